"""Videos to pixel tensors: decode, sample frames, resize, crop, normalise, pad."""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers.feature_extraction_utils import BatchFeature
from transformers.processing_utils import VideosKwargs
from transformers.video_processing_utils import VideoProcessorMixin
from typing_extensions import Unpack

from .call_arguments import (
    SETTINGS_ADVICE,
    Metadata,
    VideoColBERTVideoProcessorKwargs,
    check_return_tensors,
    metadata_list,
    refuse_unknown_keywords,
    replaced_settings,
    shows_settings,
)
from .frame_sampling import FrameResizing, FrameSampling
from .video_batches import decoded_batch, described, frame_sizes, metadata_of, on_one_canvas, padded, video_list
from .video_containers import DEFAULT_MAX_PIXELS
from .video_decoding import DecodingBackend
from .video_settings import (
    DecodingSettings,
    check_pixel_settings,
    is_whole,
    size_by_name,
    three_numbers,
)
from .video_sources import ChannelOrder

# What the library stores in a processor's config beside the processor's own fields.
_LIBRARY_FIELDS = ("auto_map", "processor_class", "image_processor_type", "video_processor_type")


class VideoColBERTVideoProcessor(VideoProcessorMixin):
    """Turns videos into the frames that the image tower of a backbone takes.

    The defaults are CLIP's; `VideoColBERTProcessor.from_backbone` reads a checkpoint's own. Frames are resized
    as uint8 with torch, which equals torchvision bit for bit and Pillow to one level of 255. (Pillow from 13 on
    resizes an image that loses much more height than width in another order than torchvision and its own earlier
    versions do: there, portrait frames that SigLIP makes square differ by a few levels at hard edges.)

    Every argument may be replaced for one call or by `from_pretrained`, by its name.

    Args:
        num_frames: How many frames of a video to take, T. Shorter videos are padded with zeros and a mask.
            `None` takes all that `sampling` gives and pads to the longest video of a batch.
        sampling: `"uniform"`, `"segment_random"` or `"fps"`; see `decode_video`. `None` means `"fps"` where `fps` is
            given and `"uniform"` else.
        fps: Frames a second to take, with `sampling="fps"`.
        source_fps: Frames a second in folders and arrays of frames, neither of which says it.
        do_resize: Whether to resize.
        size: `{"shortest_edge": n}`, or n, keeps the proportions (CLIP), `{"height": h, "width": w}` not (SigLIP).
            `{"patch_size": p, "max_num_patches": n}` keeps them up to whole patches (SigLIP 2 NaFlex): frames are as
            large as n patches of p by p pixels allow, so those of a batch are of several sizes, with `frame_sizes`.
        resample: PIL's number of the filter: 0 nearest, 2 bilinear, 3 bicubic.
        do_center_crop: Whether to cut out the centre.
        crop_size: `{"height": h, "width": w}` of the centre, or n for a square.
        do_rescale: Whether to multiply by `rescale_factor`.
        rescale_factor: What brings 0 to 255 to the range of mean and standard deviation.
        do_normalize: Whether to subtract the mean and divide by the standard deviation.
        image_mean: Mean of each of R, G, B, or of all.
        image_std: Standard deviation of each of R, G, B, or of all.
        backend: What decodes: `"pyav"` or `"torchcodec"`.
        tone_map: Whether videos of high dynamic range (PQ, HLG) are brought to the range of ordinary video, by the
            curve of `tone_mapped`; else they are taken as they are stored, which looks pale.
        max_pixels: The most pixels that a frame of a file may have; a file with more is refused before one is decoded.
        **kwargs: What the library itself stores in a processor's config.

    Raises:
        TypeError: An argument has an unknown name.
        ValueError: An argument is out of range.
    """

    valid_kwargs = VideoColBERTVideoProcessorKwargs
    # So that a checkpoint says where its code is; `AutoVideoProcessor` itself needs torchvision.
    _auto_class = "AutoVideoProcessor"
    do_convert_rgb = True

    def __init__(
        self,
        num_frames: int | None = 12,
        sampling: FrameSampling | None = None,
        fps: float | None = None,
        source_fps: float = 1.0,
        do_resize: bool = True,
        size: int | dict[str, int] | None = None,
        resample: int = 3,
        do_center_crop: bool = True,
        crop_size: int | dict[str, int] | None = None,
        do_rescale: bool = True,
        rescale_factor: float = 1 / 255,
        do_normalize: bool = True,
        image_mean: float | Sequence[float] = (0.48145466, 0.4578275, 0.40821073),
        image_std: float | Sequence[float] = (0.26862954, 0.26130258, 0.27577711),
        backend: DecodingBackend = "pyav",
        tone_map: bool = False,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        **kwargs: object,
    ) -> None:
        unknown = [name for name in kwargs if name not in _LIBRARY_FIELDS]
        refuse_unknown_keywords(unknown, _FIELDS, type(self).__name__, SETTINGS_ADVICE)
        kwargs.pop("video_processor_type", None)
        super().__init__(**kwargs)
        # Every field is an instance attribute, so that every field is saved: a default that changes here
        # cannot change an old checkpoint.
        self.num_frames = num_frames
        self.sampling: FrameSampling = ("uniform" if fps is None else "fps") if sampling is None else sampling
        self.fps = fps
        self.source_fps = source_fps
        self.do_resize = do_resize
        self.size = size_by_name(224 if size is None else size, "size")
        self.resample = int(resample) if is_whole(resample) else resample
        self.do_center_crop = do_center_crop
        self.crop_size = size_by_name(224 if crop_size is None else crop_size, "crop_size")
        self.do_rescale = do_rescale
        self.rescale_factor = rescale_factor
        self.do_normalize = do_normalize
        self.image_mean = three_numbers(image_mean, "image_mean")
        self.image_std = three_numbers(image_std, "image_std")
        self.backend = backend
        self.tone_map = tone_map
        self.max_pixels = max_pixels
        self._validate()

    @property
    def do_sample_frames(self) -> bool:
        """Whether frames are sampled; set to false, all frames of every video are taken."""
        return self.num_frames is not None or self.sampling != "uniform"

    @do_sample_frames.setter
    def do_sample_frames(self, value: bool) -> None:
        if value and not self.do_sample_frames:
            raise ValueError(
                "do_sample_frames cannot be set to true here; set num_frames, which says how many to take"
            )
        if not value:
            self.num_frames, self.sampling, self.fps = None, "uniform", None

    @property
    def model_input_names(self) -> list[str]:
        """The names of the model's inputs that this processor makes."""
        sizes = ["frame_sizes"] if self.resizing.keeps_shape else []
        return ["pixel_values_videos", "video_mask", *sizes]

    @property
    def decoding(self) -> DecodingSettings:
        """How videos are decoded for this processor, wherever they are: here, in an index, in training."""
        return DecodingSettings(
            self.num_frames, self.sampling, self.fps, self.source_fps, self.backend, self.tone_map, self.max_pixels
        )

    @property
    def resizing(self) -> FrameResizing:
        """How decoded frames become those that a model takes."""
        return FrameResizing(self.do_resize, self.size, self.resample, self.do_center_crop, self.crop_size)

    @classmethod
    def from_dict(cls, video_processor_dict: dict[str, Any], **kwargs: Any) -> "VideoColBERTVideoProcessor":
        """Makes a processor of saved fields.

        Args:
            video_processor_dict: What `to_dict` returns.
            **kwargs: Settings in place of saved ones.

        Returns:
            A processor; with `return_unused_kwargs`, also the arguments that are no settings.

        Raises:
            TypeError: An argument has an unknown name.
            ValueError: A setting is out of range.
        """
        saved = {
            name: value
            for name, value in video_processor_dict.items()
            if name in _FIELDS or name not in VideosKwargs.__annotations__
        }
        # Saved beside another sampling it never had an effect.
        if saved.get("sampling", "fps") != "fps":
            saved["fps"] = None
        given = {
            name: value for name, value in kwargs.items() if name in VideoColBERTVideoProcessorKwargs.__annotations__
        }
        others = {name: value for name, value in kwargs.items() if name not in given}
        returns_others = others.pop("return_unused_kwargs", False)
        processor = cls(**replaced_settings(saved, given))
        if returns_others:
            return processor, others  # type: ignore[return-value] # the library's own way
        # With an underscore, the library's Auto classes tell each other how they were called.
        named = [name for name in others if name[0] != "_" and name not in ("trust_remote_code", "use_fast")]
        refuse_unknown_keywords(
            named, VideoColBERTVideoProcessorKwargs.__annotations__, f"{cls.__name__}.from_dict", SETTINGS_ADVICE
        )
        return processor

    def to_dict(self) -> dict[str, Any]:
        """Returns every field, also those that are `None`: a missing one would come back as the default.

        Returns:
            What is saved in `processor_config.json`.
        """
        fields = {name: getattr(self, name) for name in _FIELDS}
        saved = {**fields, **super().to_dict()}
        # As the library writes it into a processor that it saves, which is to stay the same by being saved.
        module = type(self).__module__.rpartition(".")[2]
        saved["auto_map"] = {**saved.get("auto_map", {}), "AutoVideoProcessor": f"{module}.{type(self).__name__}"}
        return saved

    def with_settings(self, **settings: Any) -> "VideoColBERTVideoProcessor":
        """Returns a processor of other settings.

        Args:
            **settings: Arguments of the constructor in place of this processor's own; `None` leaves one as it is, but
                for `num_frames` and `fps`, of which it is a value. `fps` alone means `sampling="fps"`;
                `do_sample_frames=False` takes all frames.

        Raises:
            TypeError: An argument has an unknown name.
            ValueError: A setting is out of range.
        """
        known = VideoColBERTVideoProcessorKwargs.__annotations__
        refuse_unknown_keywords(settings, known, type(self).__name__, SETTINGS_ADVICE)
        return type(self)(**replaced_settings(self.to_dict(), settings))

    def _validate(self) -> None:
        _ = self.decoding  # raises its own errors
        check_pixel_settings({name: getattr(self, name) for name in _FIELDS})

    @shows_settings(VideoColBERTVideoProcessorKwargs)
    def preprocess(
        self,
        videos: Any,
        *,
        start: float | Sequence[float | None] | None = None,
        end: float | Sequence[float | None] | None = None,
        generator: np.random.Generator | Sequence[np.random.Generator] | None = None,
        input_data_format: ChannelOrder | None = None,
        video_metadata: Metadata | Sequence[Metadata] | Sequence[Sequence[Metadata]] | None = None,
        device: str | torch.device | None = None,
        return_timestamps: bool = False,
        return_metadata: bool = False,
        return_tensors: str | None = "pt",
        **settings: Unpack[VideoColBERTVideoProcessorKwargs],
    ) -> BatchFeature:
        """Decodes videos and prepares their frames.

        One video that cannot be decoded is an error of the whole call: a batch job calls this once per file and
        catches `VideoDecodingError`.

        Args:
            videos: One video or a list of B, in any form that `video_list` takes: all of transformers' `VideoInput`,
                what `datasets.Video()` gives, frames with their metadata.
            start: Window start in seconds, included; one for all videos, or a list of B.
            end: Window end in seconds, excluded; one for all videos, or a list of B.
            generator: For `"segment_random"`: one for all videos, or a list of B.
            input_data_format: The channel order of arrays whose shape leaves it open.
            video_metadata: Of frames, such as `transformers.video_utils.load_video` returns: their `fps`; of one
                video or a list of B.
            device: Where frames are normalised and returned.
            return_timestamps: Whether to return the times of the frames.
            return_metadata: Whether to return the videos' metadata.
            return_tensors: `"pt"`, `"np"`, or `None` for lists of B.
            **settings: Settings in place of the processor's own, as `with_settings` takes them.

        Returns:
            `pixel_values_videos`, float32 `[B, T, 3, H, W]`, zero where there is no frame; `video_mask`, bool
            `[B, T]`, true on frames, which come first; `frame_sizes`, int64 `[B, 2]`, height and width, where `size`
            gives frames of several sizes; with `return_timestamps`, `timestamps`, a list of B
            float64 arrays: seconds of each video's frames; with `return_metadata`, `video_metadata`, a list of B
            `transformers.video_utils.VideoMetadata`.

        Raises:
            VideoDecodingError: A video cannot be decoded.
            TypeError: A setting has an unknown name.
            ValueError: An argument is out of range, or a list has another length than `videos`.
        """
        check_return_tensors(return_tensors)
        own = self.with_settings(**settings) if settings else self
        batch = video_list(videos, input_data_format)
        if video_metadata is not None:
            batch = [
                described(video, metadata, input_data_format)
                for video, metadata in zip(batch, metadata_list(video_metadata, len(batch)), strict=True)
            ]
        decoded, sizes = decoded_batch(
            batch, own.decoding, own.resize_and_crop_frame, start, end, generator, input_data_format
        )
        length = own.num_frames or max(len(video.frames) for video in decoded)
        pixels = [own.normalize(torch.from_numpy(video.frames).to(device)) for video in decoded]
        keeps_shape = own.resizing.keeps_shape
        pixel_values, mask = padded(on_one_canvas(pixels) if keeps_shape else pixels, length)
        data: dict[str, Any] = {"pixel_values_videos": pixel_values, "video_mask": mask}
        if keeps_shape:
            data["frame_sizes"] = frame_sizes(pixels)
        if return_tensors == "np":
            data = {name: tensor.cpu().numpy() for name, tensor in data.items()}
        elif return_tensors is None:
            data = {name: list(tensor) if tensor is pixel_values else tensor.tolist() for name, tensor in data.items()}
        if return_timestamps:
            data["timestamps"] = [video.timestamps for video in decoded]
        if return_metadata:
            data["video_metadata"] = [
                metadata_of(source, video, size, own.backend)
                for source, video, size in zip(batch, decoded, sizes, strict=True)
            ]
        return BatchFeature(data)

    def resize_and_crop(self, frames: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Resizes and crops uint8 `[T, H, W, 3]` frames to uint8 `[T, 3, height, width]`; see [`FrameResizing`]."""
        return self.resizing.resize_and_crop(frames)

    def resize_and_crop_frame(self, frame: np.ndarray) -> np.ndarray:
        """Resizes and crops one frame, as `decode_video` gives it to `prepare`, to uint8 `[3, height, width]`."""
        return self.resizing.resize_and_crop_frame(frame)

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


_FIELDS = tuple(
    name
    for name in inspect.signature(VideoColBERTVideoProcessor.__init__).parameters
    if name not in ("self", "kwargs")
)
