"""A video with all of its frames, as it is attacked, and its way through the model as any video's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from video_colbert.encoding.clip_decoding import DecodedClip, clip_name
from video_colbert.encoding.encoded import BadVideo, EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.processing import DecodedVideo, VideoDecodingError, decode_video

MOST_BYTES = 2**31
"""The most that the frames of an attacked video take: an attack holds all of them."""

Frames = npt.NDArray[np.uint8]
"""uint8 [T, H, W, 3], RGB: all frames of a video."""


def read_all_frames(encoder: VideoColBERTEncoder, clip: VideoClip) -> DecodedVideo:
    """Decodes every frame of a clip, at its own size.

    Args:
        encoder: whose settings of decoding count.
        clip: the video, or the window of it.

    Raises:
        VideoDecodingError: it cannot be decoded, or its frames take more than `MOST_BYTES`.
    """
    decoding = encoder.processor.video_processor.decoding
    held = 0

    def counted(frame: Frames) -> Frames:
        nonlocal held
        held += frame.nbytes
        if held > MOST_BYTES:
            raise VideoDecodingError(
                clip_name(clip),
                f"its frames take more than {MOST_BYTES / 2**30:g} GiB; an attack holds all of them, so cut it first",
            )
        return frame

    return decode_video(
        clip.source,
        start=clip.start,
        end=clip.end,
        source_fps=decoding.source_fps,
        backend=decoding.backend,
        tone_map=decoding.tone_map,
        max_pixels=decoding.max_pixels,
        prepare=counted,
    )


def sampled_indices(encoder: VideoColBERTEncoder, video: DecodedVideo) -> npt.NDArray[np.int64]:
    """Which of a video's frames the model samples, by the processor's own settings.

    Args:
        encoder: the model.
        video: all frames of a video.
    """
    numbered = replace(video, frame_indices=np.arange(len(video.frames)))
    chosen = encoder.processor.video_processor.decoding.decode(numbered).frame_indices
    if chosen is None:
        raise ValueError("frames that are numbered came back without their numbers")
    return np.asarray(chosen, dtype=np.int64)


def encode_video(
    encoder: VideoColBERTEncoder, video: DecodedVideo, *, generator: np.random.Generator | None = None
) -> EncodedVideo:
    """Encodes a video of which all frames are at hand, through the real processor, which takes 8-bit frames alone.

    Args:
        encoder: the model.
        video: uint8 frames with their times.
        generator: draws a random frame of each segment in place of its middle, where it is given.

    Raises:
        ValueError: the model gives vectors that are not finite.
    """
    decoder = encoder.clip_decoder()
    decoding = decoder.decoding
    if generator is not None:
        decoding = replace(decoding, sampling="segment_random", fps=None)
    chosen = decoding.decode(video, prepare=decoder.resizing.resize_and_crop_frame, generator=generator)
    clip = DecodedClip(VideoClip("<frames>"), torch.from_numpy(chosen.frames), chosen.timestamps, chosen.duration)
    [encoded] = encoder.encode_decoded([clip])
    if isinstance(encoded, BadVideo):
        raise ValueError(encoded.reason)
    return encoded
