"""A clip of spoken shapes as a file: pictures with text below them, a voice, and a title."""

import io
from fractions import Fraction

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .moving_shapes_clips import ENCODER_OPTIONS, render_scene
from .spoken_shapes_plan import SpokenClip, SpokenShapesConfig
from .spoken_voice import speak

# The text's height, and the band's above and below the pictures, in shares of the pictures' side.
_FONT_SHARE = 1 / 13
_BAND_SHARE = 1 / 4
_MARGIN_SHARE = 1 / 40
_SAMPLES_A_FRAME = 1024


def make_clip(clip: SpokenClip, config: SpokenShapesConfig, *, is_spoken: bool) -> bytes:
    """Makes one clip.

    Args:
        clip: What it says and shows.
        config: Its size.
        is_spoken: Whether it has a voice.

    Returns:
        The bytes of an mp4 file of H.264 and AAC with its title; the same for the same clip and versions of espeak-ng,
        FFmpeg and Pillow.

    Raises:
        FileNotFoundError: It is to be spoken, and espeak-ng is not installed.
    """
    frames = draw_frames(clip, config)
    sound = speak(clip.spoken.text) if is_spoken else None
    return encode_film(frames, config.fps, sound, clip.told.text)


def draw_frames(clip: SpokenClip, config: SpokenShapesConfig) -> np.ndarray:
    """The frames: the scene in a square between two black bands, of which the lower one holds the text.

    A processor that takes the square in the middle, as CLIP's does, sees the scene alone.

    Args:
        clip: What is to be seen and read.
        config: Its size.

    Returns:
        uint8 array [T, H, W, 3], half as high again as wide.
    """
    side = config.image_size
    band = round(side * _BAND_SHARE / 2) * 2
    frames = np.zeros((config.num_frames, side + 2 * band, side, 3), np.uint8)
    frames[:, band : band + side] = render_scene(clip.scene, config.num_frames, side, np.random.default_rng(clip.seed))
    frames[:, band + side :] = _written(clip.written.text, side, band)
    return frames


def encode_film(frames: np.ndarray, fps: int, sound: tuple[np.ndarray, int] | None, title: str) -> bytes:
    """Encodes frames, and sound if there is any, as an mp4 file.

    Args:
        frames: uint8 array [T, H, W, 3] with even height and width.
        fps: Frames a second.
        sound: int16 array [samples] and their rate.
        title: Title of the file.

    Returns:
        The bytes of the file; equal arguments give equal bytes.
    """
    target = io.BytesIO()
    with av.open(target, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        container.metadata["title"] = title
        pictures = container.add_stream("libx264", rate=fps, options=ENCODER_OPTIONS)
        pictures.height, pictures.width = frames.shape[1:3]
        pictures.pix_fmt = "yuv420p"
        voice = None
        if sound is not None:
            voice = container.add_stream("aac", rate=sound[1], layout="mono", options={"flags": "+bitexact"})
        for frame in frames:
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame))))
        container.mux(pictures.encode())
        if voice is not None and sound is not None:
            samples, rate = sound
            for first in range(0, len(samples), _SAMPLES_A_FRAME):
                part = samples[None, first : first + _SAMPLES_A_FRAME]
                block = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format="s16", layout="mono")
                block.sample_rate, block.pts, block.time_base = rate, first, Fraction(1, rate)
                container.mux(voice.encode(block))
            container.mux(voice.encode())
    return target.getvalue()


def _written(text: str, width: int, height: int) -> np.ndarray:
    """Light text on black, broken into lines that fit."""
    font = ImageFont.load_default(round(width * _FONT_SHARE))
    margin = round(width * _MARGIN_SHARE)
    picture = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(picture)
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if draw.textlength(longer, font=font) <= width - 2 * margin:
            lines[-1] = longer
        else:
            lines.append(word)
    draw.multiline_text((margin, margin), "\n".join(lines), fill=(235, 235, 225), font=font, spacing=margin)
    return np.asarray(picture)
