"""Videos to pixel tensors: decode, sample frames, resize, crop, normalise, pad."""

import inspect
from collections.abc import Sequence
from typing import Any, TypeAlias, get_args

import numpy as np
import torch
import torch.nn.functional as F
from transformers.feature_extraction_utils import BatchFeature
from transformers.processing_utils import VideosKwargs
from transformers.video_processing_utils import VideoProcessorMixin

from .frame_sampling import FRAME_SAMPLINGS, FrameSampling
from .video_decoding import DecodedVideo, DecodingBackend, decode_video
from .video_sources import ChannelOrder, VideoSource

Video: TypeAlias = VideoSource | DecodedVideo

# PIL's numbers for its filters, which image processors' configs hold, and torch's names of the same filters.
_INTERPOLATION_MODES = {0: "nearest-exact", 2: "bilinear", 3: "bicubic"}


class VideoColBERTVideosKwargs(VideosKwargs, total=False):  # type: ignore[call-arg] # a TypedDict, unseen by mypy
    """What `VideoColBERTVideoProcessor` takes beyond the library's own video arguments."""

    sampling: FrameSampling
    source_fps: float
    backend: DecodingBackend


class VideoColBERTVideoProcessor(VideoProcessorMixin):
    """Turns videos into the frames that a CLIP or SigLIP image tower takes.

    The defaults are CLIP's; `VideoColBERTProcessor.from_backbone` reads a checkpoint's own. Frames are resized
    as uint8 with torch, which equals torchvision bit for bit and Pillow to one level of 255. (Pillow from 13 on
    resizes an image that loses much more height than width in another order than torchvision and its own earlier
    versions do: there, portrait frames that SigLIP makes square differ by a few levels at hard edges.)

    Args:
        num_frames: How many frames of a video to take, T. Shorter videos are padded with zeros and a mask.
            `None` takes all that `sampling` gives and pads to the longest video of a batch.
        sampling: `"uniform"`, `"segment_random"` or `"fps"`; see `decode_video`.
        fps: Frames a second, with `sampling="fps"`.
        source_fps: Frames a second in folders and arrays of frames, neither of which says it.
        do_resize: Whether to resize.
        size: `{"shortest_edge": n}` keeps the proportions (CLIP), `{"height": h, "width": w}` does not (SigLIP).
        resample: PIL's number of the filter: 0 nearest, 2 bilinear, 3 bicubic.
        do_center_crop: Whether to cut out the centre.
        crop_size: `{"height": h, "width": w}` of the centre.
        do_rescale: Whether to multiply by `rescale_factor`.
        rescale_factor: What brings 0 to 255 to the range of mean and standard deviation.
        do_normalize: Whether to subtract the mean and divide by the standard deviation.
        image_mean: Mean of each of R, G, B.
        image_std: Standard deviation of each of R, G, B.
        backend: What decodes: `"pyav"` or `"torchcodec"`.
        **kwargs: What the library itself stores in a processor's config.

    Raises:
        ValueError: An argument is out of range.
    """

    model_input_names = ["pixel_values_videos", "video_mask"]  # noqa: RUF012 # the library's own way of declaring it
    valid_kwargs = VideoColBERTVideosKwargs

    def __init__(
        self,
        num_frames: int | None = 12,
        sampling: FrameSampling = "uniform",
        fps: float | None = None,
        source_fps: float = 1.0,
        do_resize: bool = True,
        size: dict[str, int] | None = None,
        resample: int = 3,
        do_center_crop: bool = True,
        crop_size: dict[str, int] | None = None,
        do_rescale: bool = True,
        rescale_factor: float = 1 / 255,
        do_normalize: bool = True,
        image_mean: Sequence[float] = (0.48145466, 0.4578275, 0.40821073),
        image_std: Sequence[float] = (0.26862954, 0.26130258, 0.27577711),
        backend: DecodingBackend = "pyav",
        **kwargs: object,
    ) -> None:
        kwargs.pop("video_processor_type", None)
        super().__init__(**kwargs)
        # Every field is an instance attribute, so that every field is saved: a default that changes here
        # cannot change an old checkpoint.
        self.num_frames = num_frames
        self.sampling = sampling
        self.fps = fps
        self.source_fps = source_fps
        self.do_resize = do_resize
        self.size = {"shortest_edge": 224} if size is None else dict(size)
        self.resample = int(resample)
        self.do_center_crop = do_center_crop
        self.crop_size = {"height": 224, "width": 224} if crop_size is None else dict(crop_size)
        self.do_rescale = do_rescale
        self.rescale_factor = rescale_factor
        self.do_normalize = do_normalize
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        self.backend = backend
        self._validate()

    def to_dict(self) -> dict[str, Any]:
        """Returns every field, also those that are `None`: a missing one would come back as the default.

        Returns:
            What is saved in `processor_config.json`.
        """
        fields = {name: getattr(self, name) for name in _FIELDS}
        return {**fields, **super().to_dict()}

    def _validate(self) -> None:
        if self.num_frames is not None and self.num_frames < 1:
            raise ValueError(f"num_frames is {self.num_frames}; it must be at least 1, or None for all frames")
        if self.sampling not in FRAME_SAMPLINGS:
            raise ValueError(f"sampling is {self.sampling!r}; it must be one of {', '.join(FRAME_SAMPLINGS)}")
        if self.backend not in get_args(DecodingBackend):
            raise ValueError(f"backend is {self.backend!r}; it must be one of {', '.join(get_args(DecodingBackend))}")
        if set(self.size) not in ({"shortest_edge"}, {"height", "width"}):
            raise ValueError(f"size is {self.size}; it must hold shortest_edge, or height and width")
        if set(self.crop_size) != {"height", "width"}:
            raise ValueError(f"crop_size is {self.crop_size}; it must hold height and width")
        if self.resample not in _INTERPOLATION_MODES:
            raise ValueError(f"resample is {self.resample}; it must be 0 (nearest), 2 (bilinear) or 3 (bicubic)")
        if len(self.image_mean) != 3 or len(self.image_std) != 3 or 0 in self.image_std:
            raise ValueError(
                f"image_mean is {self.image_mean} and image_std {self.image_std}; "
                "each holds three numbers, and a standard deviation is not 0"
            )

    def preprocess(
        self,
        videos: Video | Sequence[Video],
        *,
        start: float | Sequence[float | None] | None = None,
        end: float | Sequence[float | None] | None = None,
        num_frames: int | None = None,
        sampling: FrameSampling | None = None,
        fps: float | None = None,
        generator: np.random.Generator | Sequence[np.random.Generator] | None = None,
        source_fps: float | None = None,
        input_data_format: ChannelOrder | None = None,
        return_timestamps: bool = False,
        return_tensors: str | None = "pt",
    ) -> BatchFeature:
        """Decodes videos and prepares their frames.

        One video that cannot be decoded is an error of the whole call: a batch job calls this once per file and
        catches `VideoDecodingError`.

        Args:
            videos: One video or a list of B: anything that `decode_video` takes, or a `DecodedVideo`, out of
                whose frames is sampled.
            start: Window start in seconds, included; one for all videos, or a list of B.
            end: Window end in seconds, excluded; one for all videos, or a list of B.
            num_frames: Instead of the processor's own.
            sampling: Instead of the processor's own.
            fps: Instead of the processor's own.
            generator: For `"segment_random"`: one for all videos, or a list of B.
            source_fps: Instead of the processor's own.
            input_data_format: The channel order of arrays whose shape leaves it open.
            return_timestamps: Whether to return the times of the frames.
            return_tensors: `"pt"` or `"np"`.

        Returns:
            `pixel_values_videos`, float32 `[B, T, 3, H, W]`, zero where there is no frame; `video_mask`, bool
            `[B, T]`, true on frames, which come first; with `return_timestamps`, `timestamps`, a list of B
            float64 arrays: seconds of each video's frames.

        Raises:
            VideoDecodingError: A video cannot be decoded.
            ValueError: An argument is out of range, or a list has another length than `videos`.
        """
        batch = _as_batch(videos)
        sampling = self.sampling if sampling is None else sampling
        # The processor's own fps stands for the processor's own sampling.
        fps = self.fps if fps is None and sampling == "fps" else fps
        num_frames = self.num_frames if num_frames is None else num_frames
        decoded = [
            decode_video(
                video,
                num_frames,
                start=video_start,
                end=video_end,
                sampling=sampling,
                fps=fps,
                generator=video_generator,
                source_fps=self.source_fps if source_fps is None else source_fps,
                input_data_format=input_data_format,
                backend=self.backend,
            )
            for video, video_start, video_end, video_generator in zip(
                batch,
                _for_each(start, len(batch), "start"),
                _for_each(end, len(batch), "end"),
                _for_each(generator, len(batch), "generator"),
                strict=True,
            )
        ]
        length = num_frames or max(len(video.frames) for video in decoded)
        pixel_values, mask = self._pad([self.prepare_frames(video.frames) for video in decoded], length)
        data: dict[str, Any] = {"pixel_values_videos": pixel_values, "video_mask": mask}
        if return_tensors == "np":
            data = {name: tensor.numpy() for name, tensor in data.items()}
        elif return_tensors not in ("pt", None):
            raise ValueError(f"return_tensors is {return_tensors!r}; it must be 'pt' or 'np'")
        if return_timestamps:
            data["timestamps"] = [video.timestamps for video in decoded]
        return BatchFeature(data)

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
            target = self._resized(pixels.shape[2], pixels.shape[3])
            if target != tuple(pixels.shape[2:]):
                mode = _INTERPOLATION_MODES[self.resample]
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

    def prepare_frames(self, frames: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Resizes, crops, rescales and normalises frames.

        Args:
            frames: uint8 `[T, H, W, 3]`.

        Returns:
            float32 `[T, 3, height, width]`.
        """
        return self.normalize(self.resize_and_crop(frames))

    def normalize(self, pixels: torch.Tensor) -> torch.Tensor:
        """Rescales and normalises resized frames, on whatever device they are.

        Args:
            pixels: uint8 `[..., 3, height, width]`, such as `resize_and_crop` returns.

        Returns:
            float32, of the same shape.
        """
        pixels = pixels.contiguous().to(torch.float32)
        if self.do_rescale:
            pixels *= self.rescale_factor
        if self.do_normalize:
            pixels -= torch.tensor(self.image_mean, device=pixels.device).view(3, 1, 1)
            pixels /= torch.tensor(self.image_std, device=pixels.device).view(3, 1, 1)
        return pixels

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        if "shortest_edge" not in self.size:
            return self.size["height"], self.size["width"]
        short = self.size["shortest_edge"]
        if height <= width:
            return short, int(short * width / height)
        return int(short * height / width), short

    @staticmethod
    def _pad(videos: list[torch.Tensor], length: int) -> tuple[torch.Tensor, torch.Tensor]:
        shapes = {tuple(video.shape[1:]) for video in videos}
        if len(shapes) > 1:
            raise ValueError(
                f"the videos of a batch have frames of several sizes after resizing: {sorted(shapes)}; "
                "set do_center_crop, or a size of height and width"
            )
        pixel_values = torch.zeros(len(videos), length, *shapes.pop())
        mask = torch.zeros(len(videos), length, dtype=torch.bool)
        for row, video in enumerate(videos):
            pixel_values[row, : len(video)] = video
            mask[row, : len(video)] = True
        return pixel_values, mask


def _as_batch(videos: Video | Sequence[Video]) -> list[Video]:
    if isinstance(videos, list | tuple):
        if not videos:
            raise ValueError("videos is an empty list; give at least one video")
        return list(videos)
    if isinstance(videos, np.ndarray | torch.Tensor) and videos.ndim == 5:
        return list(videos)
    return [videos]  # type: ignore[list-item] # bytes and str are sequences too, but each is one video


def _for_each(value: object, length: int, name: str) -> list[Any]:
    if not isinstance(value, list | tuple | np.ndarray):
        return [value] * length
    if len(value) != length:
        raise ValueError(f"{name} lists {len(value)} values for {length} videos")
    return list(value)


_FIELDS = tuple(
    name
    for name in inspect.signature(VideoColBERTVideoProcessor.__init__).parameters
    if name not in ("self", "kwargs")
)
