"""The settings of a video processor by their names, and what becomes of them where others are given."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from .frame_sampling import FrameSampling
from .video_decoding import DecodingBackend

# What other video processors take, and what to do here instead.
SETTINGS_ADVICE = {
    "max_frames": "num_frames is the most frames of a video",
    "return_metadata": "return_timestamps=True returns the times of the frames",
    "do_convert_rgb": "frames are always RGB",
    "do_pad": "videos are always padded, with a mask",
    "data_format": "pixels are always [B, T, 3, H, W]",
    "default_to_square": "give size as {'height': h, 'width': w} or {'shortest_edge': n}",
}


class VideoColBERTVideosKwargs(TypedDict, total=False):
    """The settings of a `VideoColBERTVideoProcessor`, which a call or `from_pretrained` may replace."""

    num_frames: int | None
    sampling: FrameSampling
    fps: float | None
    source_fps: float
    tone_map: bool
    max_pixels: int
    do_sample_frames: bool
    do_resize: bool
    size: int | dict[str, int]
    resample: int
    do_center_crop: bool
    crop_size: int | dict[str, int]
    do_rescale: bool
    rescale_factor: float
    do_normalize: bool
    image_mean: Sequence[float]
    image_std: Sequence[float]
    backend: DecodingBackend


def replaced_settings(own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Puts given settings in the place of a processor's own.

    Args:
        own: A processor's settings.
        given: Those of a call. `None` leaves one as it is, but for `num_frames` and `fps`, of which it is a value;
            `fps` alone means `sampling="fps"`; `do_sample_frames=False` takes all frames.

    Returns:
        All settings.

    Raises:
        ValueError: Given settings contradict each other.
    """
    given = {name: value for name, value in given.items() if value is not None or name in ("num_frames", "fps")}
    if not given.pop("do_sample_frames", True):
        if named := sorted({"num_frames", "sampling", "fps"} & given.keys()):
            raise ValueError(f"do_sample_frames=False takes all frames, so {', '.join(named)} cannot be given with it")
        given |= {"num_frames": None, "sampling": "uniform", "fps": None}
    elif given.get("fps") is not None:
        given.setdefault("sampling", "fps")
    elif given.get("sampling", "fps") != "fps":
        # The processor's own fps stands for the processor's own sampling.
        given["fps"] = None
    return {**own, **given}


def size_by_name(size: int | Mapping[str, int], field: str) -> dict[str, int]:
    """Names the parts of a size, as image processors do.

    Args:
        size: A size with its names; or a number, the shortest edge of `size` and both edges of `crop_size`.
        field: `"size"` or `"crop_size"`.

    Returns:
        `{"height": h, "width": w}`, or, of `size`, `{"shortest_edge": n}`.

    Raises:
        ValueError: The size has other names.
    """
    if isinstance(size, int):
        return {"shortest_edge": size} if field == "size" else {"height": size, "width": size}
    if set(size) != {"height", "width"} and not (field == "size" and set(size) == {"shortest_edge"}):
        right = "shortest_edge, or height and width" if field == "size" else "height and width"
        raise ValueError(f"{field} is {dict(size)}; it must hold {right}")
    return dict(size)
