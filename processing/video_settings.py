"""The settings of a video processor by their names, what becomes of them where others are given, and of decoding.

`DecodingSettings` is the one object that every decoder of a model's videos is given.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypedDict, get_args

import numpy as np
import torch
import torch.nn.functional as F

from .frame_sampling import FRAME_SAMPLINGS, FrameSampling
from .video_containers import DEFAULT_MAX_PIXELS
from .video_decoding import DecodedVideo, DecodingBackend, decode_video
from .video_sources import ChannelOrder, FrameImages, VideoDecoder, VideoSource
from .video_stream import FramePreparation, OpenVideoFile

# More of a video go through no model; the padding of a config that asks for very many would fill all memory.
_MAX_FRAMES = 10_000

# What other video processors take, and what to do here instead.
SETTINGS_ADVICE = {
    "max_frames": "num_frames is the most frames of a video",
    "do_convert_rgb": "frames are always RGB",
    "do_pad": "videos are always padded, with a mask",
    "data_format": "pixels are always [B, T, 3, H, W]",
    "default_to_square": "give size as {'height': h, 'width': w} or {'shortest_edge': n}",
}


class VideoColBERTVideoProcessorKwargs(TypedDict, total=False):
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
    image_mean: float | Sequence[float]
    image_std: float | Sequence[float]
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


# PIL's numbers for its filters, which image processors' configs hold, and torch's names of the same filters.
INTERPOLATION_MODES = {0: "nearest-exact", 2: "bilinear", 3: "bicubic"}

_FLAGS = ("do_resize", "do_center_crop", "do_rescale", "do_normalize", "tone_map")
# Image towers take up to about 1,000 pixels; a config that asks for very many would fill all memory.
_MAX_EDGE = 4096
# Of all frames of a video together, 1.6 GB of float32: 2,600 frames of 224 by 224.
_MAX_PIXELS_OF_A_VIDEO = 2**27


def check_pixel_settings(settings: Mapping[str, Any]) -> None:
    """Checks what is done to frames once they are decoded.

    Args:
        settings: All settings of a video processor, by name.

    Raises:
        ValueError: One is of the wrong type or out of range.
    """
    for name in _FLAGS:
        if not isinstance(settings[name], bool):
            raise ValueError(f"{name} is {settings[name]!r}; it must be true or false")
    resample = settings["resample"]
    if not is_whole(resample) or resample not in INTERPOLATION_MODES:
        raise ValueError(f"resample is {resample!r}; it must be 0 (nearest), 2 (bilinear) or 3 (bicubic)")
    for name in ("size", "crop_size"):
        if not all(is_whole(edge) and 1 <= edge <= _MAX_EDGE for edge in settings[name].values()):
            raise ValueError(f"{name} is {settings[name]}; each edge must be a whole number from 1 to {_MAX_EDGE}")
    size = settings["crop_size"] if settings["do_center_crop"] else settings["size"]
    pixels = (settings["num_frames"] or 1) * max(size.values()) * min(size.values())
    if pixels > _MAX_PIXELS_OF_A_VIDEO:
        raise ValueError(
            f"num_frames is {settings['num_frames']} and frames are {size}; all frames of a video must have at most "
            f"{_MAX_PIXELS_OF_A_VIDEO} pixels together"
        )
    if not _is_number(settings["rescale_factor"]) or settings["rescale_factor"] == 0:
        raise ValueError(f"rescale_factor is {settings['rescale_factor']!r}; it must be a finite number other than 0")
    if 0 in settings["image_std"]:
        raise ValueError(f"image_std is {settings['image_std']}; a standard deviation is not 0")


def is_whole(value: object) -> bool:
    """Whether a value is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_rate(value: object) -> bool:
    """Whether a value is a positive number of something a second."""
    return _is_number(value) and value > 0  # type: ignore[operator] # a number by then


def three_numbers(values: float | Iterable[float], field: str) -> list[float]:
    """Lists a number for each of R, G, B.

    Args:
        values: The numbers, or one that all three are.
        field: Name of the setting.

    Raises:
        ValueError: They are not three finite numbers.
    """
    numbers = list(values) if isinstance(values, Iterable) else [values] * 3
    if len(numbers) != 3 or not all(map(_is_number, numbers)):
        raise ValueError(f"{field} is {values!r}; it must be a number, or hold three, of R, G and B")
    return numbers


def _is_number(value: object) -> bool:
    try:
        return not isinstance(value, bool | str) and math.isfinite(value)  # type: ignore[arg-type] # what it asks
    except (TypeError, OverflowError):
        return False


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
    names = set(size) if isinstance(size, Mapping) else set()
    if names != {"height", "width"} and not (field == "size" and names == {"shortest_edge"}):
        right = "shortest_edge, or height and width" if field == "size" else "height and width"
        raise ValueError(f"{field} is {size!r}; it must hold {right}")
    return dict(size)


@dataclass(frozen=True)
class DecodingSettings:
    """All that [`decode_video`] asks for beside the video and its window.

    `VideoColBERTVideoProcessor.decoding` makes one of a processor's fields; encoding, training and evaluation decode
    with that.

    Attributes:
        num_frames: How many frames of a video to take at most; `None` takes all that `sampling` gives.
        sampling: `"uniform"`, `"segment_random"` or `"fps"`; see [`decode_video`].
        fps: Frames a second, with `sampling="fps"`.
        source_fps: Frames a second in folders and arrays of frames, neither of which says it.
        backend: What decodes: `"pyav"` or `"torchcodec"`.
        tone_map: Whether videos of high dynamic range (PQ, HLG) are brought to the range of ordinary video.
        max_pixels: The most pixels that a frame of a file may have.

    Raises:
        ValueError: A value is out of range.

    Example:
        >>> video = DecodingSettings(num_frames=4).decode("a.mp4", start=0.0, end=0.5)
        >>> len(video.frames) == len(video.timestamps) <= 4
        True
    """

    num_frames: int | None = 12
    sampling: FrameSampling = "uniform"
    fps: float | None = None
    source_fps: float = 1.0
    backend: DecodingBackend = "pyav"
    tone_map: bool = False
    max_pixels: int = DEFAULT_MAX_PIXELS

    def __post_init__(self) -> None:
        if self.num_frames is not None and not (is_whole(self.num_frames) and 1 <= self.num_frames <= _MAX_FRAMES):
            raise ValueError(
                f"num_frames is {self.num_frames!r}; it must be a whole number from 1 to {_MAX_FRAMES}, or None for "
                "all frames"
            )
        if self.sampling not in FRAME_SAMPLINGS:
            raise ValueError(f"sampling is {self.sampling!r}; it must be one of {', '.join(FRAME_SAMPLINGS)}")
        if self.backend not in get_args(DecodingBackend):
            raise ValueError(f"backend is {self.backend!r}; it must be one of {', '.join(get_args(DecodingBackend))}")
        if not is_whole(self.max_pixels) or self.max_pixels < 1:
            raise ValueError(f"max_pixels is {self.max_pixels!r}; it must be a whole number from 1")
        for name in ("fps", "source_fps"):
            value = getattr(self, name)
            if not (value is None and name == "fps") and not is_rate(value):
                raise ValueError(f"{name} is {value!r}; it must be a positive number of frames a second")
        if (self.fps is None) != (self.sampling != "fps"):
            raise ValueError(f"fps is {self.fps}, but sampling is {self.sampling!r}; fps belongs to sampling='fps'")

    def decode(
        self,
        source: VideoSource | FrameImages | VideoDecoder | DecodedVideo | OpenVideoFile,
        *,
        start: float | None = None,
        end: float | None = None,
        generator: np.random.Generator | None = None,
        input_data_format: ChannelOrder | None = None,
        prepare: FramePreparation | None = None,
    ) -> DecodedVideo:
        """Decodes a video by these settings.

        Args:
            source: Whatever [`decode_video`] takes.
            start: Start of a window in seconds, included.
            end: End of the window in seconds, excluded.
            generator: The randomness of `sampling="segment_random"`.
            input_data_format: The channel order of an array whose shape leaves it open.
            prepare: What is made of each frame once it is decoded, as [`decode_video`] takes it.

        Returns:
            The frames.

        Raises:
            VideoDecodingError: As [`decode_video`], like the other errors.
        """
        return decode_video(
            source,
            start=start,
            end=end,
            generator=generator,
            input_data_format=input_data_format,
            prepare=prepare,
            **{field.name: getattr(self, field.name) for field in fields(self)},
        )


@dataclass(frozen=True)
class FrameResizing:
    """How decoded frames are resized and cropped, as uint8; needs no transformers, so that decoding processes do not.

    Attributes:
        do_resize: Whether to resize.
        size: `{"shortest_edge": n}` or `{"height": h, "width": w}`.
        resample: PIL's number of the filter.
        do_center_crop: Whether to cut out the centre.
        crop_size: `{"height": h, "width": w}` of the centre.
    """

    do_resize: bool
    size: Mapping[str, int]
    resample: int
    do_center_crop: bool
    crop_size: Mapping[str, int]

    @property
    def frame_size(self) -> tuple[int, int] | None:
        """Height and width of every frame that comes out; None where they depend on the video."""
        size = self.crop_size if self.do_center_crop else self.size if self.do_resize else {}
        return (size["height"], size["width"]) if size.keys() >= {"height", "width"} else None

    def resize_and_crop(self, frames: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Resizes and crops frames without leaving uint8.

        Args:
            frames: uint8 `[T, H, W, 3]`.

        Returns:
            uint8 `[T, 3, height, width]`.

        Raises:
            ValueError: The frames are smaller than the crop.
        """
        # A view [T, 3, H, W] that still lies in memory as [T, H, W, 3], torch's fast path for uint8.
        pixels = torch.as_tensor(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
        if self.do_resize:
            target = self.resized_size(pixels.shape[2], pixels.shape[3])
            if target != tuple(pixels.shape[2:]):
                mode = INTERPOLATION_MODES[self.resample]
                pixels = F.interpolate(pixels, size=target, mode=mode, antialias=mode != "nearest-exact")
        if self.do_center_crop:
            height, width = self.crop_size["height"], self.crop_size["width"]
            if pixels.shape[2] < height or pixels.shape[3] < width:
                raise ValueError(
                    f"frames of {pixels.shape[3]}x{pixels.shape[2]} are smaller than the crop, {width}x{height}: "
                    "set size to at least crop_size"
                )
            top, left = (pixels.shape[2] - height) // 2, (pixels.shape[3] - width) // 2
            pixels = pixels[:, :, top : top + height, left : left + width]
        return pixels

    def resize_and_crop_frame(self, frame: np.ndarray) -> np.ndarray:
        """Resizes and crops one frame, such as `decode_video` gives to `prepare`.

        Args:
            frame: uint8 `[H, W, 3]`.

        Returns:
            uint8 `[3, height, width]`.

        Raises:
            ValueError: The frame is smaller than the crop.
        """
        resized: np.ndarray = self.resize_and_crop(frame[None])[0].numpy()
        return resized

    def resized_size(self, height: int, width: int) -> tuple[int, int]:
        """Returns the height and width that frames are resized to before the crop.

        Args:
            height: Of the frames, in pixels.
            width: Of the frames, in pixels.
        """
        if "shortest_edge" not in self.size:
            return self.size["height"], self.size["width"]
        short = self.size["shortest_edge"]
        if height <= width:
            return short, int(short * width / height)
        return int(short * height / width), short
