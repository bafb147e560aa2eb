"""The settings of a video processor by their names, what becomes of them where others are given, and of decoding.

`DecodingSettings` is the one object that every decoder of a model's videos is given.
"""

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from .call_arguments import VideoColBERTVideoProcessorKwargs
from .frame_sampling import FRAME_SAMPLINGS, INTERPOLATION_MODES, FrameSampling
from .video_containers import DEFAULT_MAX_PIXELS
from .video_decoding import DecodedVideo, DecodingBackend, decode_video
from .video_sources import ChannelOrder, FrameImages, VideoDecoder, VideoSource
from .video_stream import FramePreparation, OpenVideoFile

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_BACKBONES = ("clip", "metaclip_2", "siglip", "siglip2", "videoprism", "pe_video", "pe_audio_video")
# More of a video go through no model; the padding of a config that asks for very many would fill all memory.
_MAX_FRAMES = 10_000

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
    area = max(size.values()) * min(size.values())
    if "max_num_patches" in settings["size"]:
        if settings["do_center_crop"] or not settings["do_resize"]:
            raise ValueError(f"size is {settings['size']}, which needs do_resize=True and do_center_crop=False")
        area *= size["patch_size"]
    pixels = (settings["num_frames"] or 1) * area
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
    """Lists a number for each of R, G, B, of three or of one that all are.

    Raises:
        ValueError: They are not three finite numbers; it names the setting, `field`.
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
        `{"height": h, "width": w}`, or, of `size`, `{"shortest_edge": n}` or
        `{"patch_size": p, "max_num_patches": n}`.

    Raises:
        ValueError: The size has other names.
    """
    if isinstance(size, int):
        return {"shortest_edge": size} if field == "size" else {"height": size, "width": size}
    names = set(size) if isinstance(size, Mapping) else set()
    others = ({"shortest_edge"}, {"patch_size", "max_num_patches"}) if field == "size" else ()
    if names not in ({"height", "width"}, *others):
        right = "height and width"
        if field == "size":
            right = f"shortest_edge, or {right}, or patch_size and max_num_patches"
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


def backbone_settings(
    name_or_path: str | os.PathLike[str], config: "PreTrainedConfig", hub: dict[str, Any]
) -> dict[str, Any]:
    """Reads how the frames of a backbone, a Hub id or folder, are prepared: settings of a processor by their names.

    Raises:
        ValueError: The checkpoint is of another kind.
    """
    # Decoding processes, which read this module too, start without it.
    from transformers import AutoImageProcessor
    from transformers.video_processing_utils import VideoProcessorMixin

    if config.model_type not in _BACKBONES:
        raise ValueError(f"{name_or_path} has model_type {config.model_type!r}; supported are {', '.join(_BACKBONES)}")
    if config.model_type == "videoprism":
        saved, _ = VideoProcessorMixin.get_video_processor_dict(name_or_path, **hub)
        # Its own processor takes this size, pixels from 0 to 1 and this many frames whatever is saved.
        side = config.vision_config.image_size
        height, width = (side, side) if isinstance(side, int) else side
        fixed = {"size": {"height": height, "width": width}, "num_frames": config.vision_config.num_frames}
        fixed |= {"do_center_crop": False, "do_normalize": False}
        taken = ("resample", "do_rescale", "rescale_factor")
        return {name: saved[name] for name in taken if saved.get(name) is not None} | fixed
    if config.model_type in ("pe_video", "pe_audio_video"):
        saved, _ = VideoProcessorMixin.get_video_processor_dict(name_or_path, **hub)
        # Its own processor's, where none is saved; a checkpoint for all frames of a video says no number of them.
        of_class = {"resample": 2, "do_center_crop": False}
        named = VideoColBERTVideoProcessorKwargs.__annotations__.keys() - {"sampling", "do_sample_frames"}
        return of_class | {name: saved[name] for name in named if saved.get(name) is not None}
    image = AutoImageProcessor.from_pretrained(name_or_path, trust_remote_code=False, **hub).to_dict()
    settings: dict[str, Any] = {
        name: image[name] for name in VideoColBERTVideoProcessorKwargs.__annotations__ if image.get(name) is not None
    }
    # An image processor without a crop has no such field.
    settings["do_center_crop"] = bool(image.get("do_center_crop"))
    if config.model_type == "siglip2":
        settings["size"] = {name: image[name] for name in ("patch_size", "max_num_patches")}
    return settings
