"""Decoded frames as players show them: square pixels, upright, RGB, in one size, without transparency.

High dynamic range is brought to the range of ordinary video on request, by a curve that is written down here.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Literal, TypeAlias

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorTrc, Interpolation, VideoReformatter

HdrTransfer: TypeAlias = Literal["PQ", "HLG"]

# ITU-R BT.2408: the luminance of paper in cd/m2, whether coded in PQ or in HLG for a display of 1,000 cd/m2.
_PAPER_WHITE = 203.0
_HLG_PEAK = 1000.0
_HLG_GAMMA = 1.2
# What paper becomes, of 255.
_PAPER_LEVEL = 230
# ITU-R BT.2087: linear RGB of BT.2020 to linear RGB of BT.709.
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], dtype=np.float32
)
_BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593], dtype=np.float32)
_LEVELS = 4096

HDR_TRANSFERS: dict[int, HdrTransfer] = {ColorTrc.SMPTE2084.value: "PQ", ColorTrc.ARIB_STD_B67.value: "HLG"}
# Pixels up to a tenth wider or higher than square are shown as stored: those of 4:3 television (16:15, 12:11, 10:11),
# whose frames FFmpeg's own tools, and most software that is fed by them, take as they are.
_NEARLY_SQUARE = Fraction(11, 10)
# Beyond this a stored shape is taken for damage, and the pixels for square.
_BELIEVED = Fraction(10)
# The types of side data that FFmpeg numbers today and may number soon; PyAV names the lower ones.
_SIDE_DATA_TYPES = range(48)


class FramePictures:
    """Turns the frames of one video into arrays.

    The rules: pixels that are more than a tenth wider or higher than square (anamorphic DVD, HDV) are made square: the
    stored height stays, and the width becomes what a player shows; one beyond 10:1 is not believed. Then a display
    matrix of quarter turns and mirror images is applied (other angles stay as they are). Frames of another stored size
    than the video's first are scaled to its size, whatever their own pixels' shape. What is transparent lies on black.
    Colours of high dynamic range are taken as they are stored, unless `tone_map` is set.

    Args:
        size: Width and height of the frames as the stream declares them.
        first_size: Finds the width and height of the video's first frame; called for a frame of another size.
        pixel_aspect: Width of a pixel over its height; `None` or 0 where it is not known, which means 1.
        tone_map: Whether PQ and HLG are brought to the range of ordinary video; see `tone_mapped`.

    Attributes:
        transfer: `"PQ"` or `"HLG"` once such a frame has come, else `None`.
    """

    def __init__(
        self,
        size: tuple[int, int],
        first_size: Callable[[], tuple[int, int]],
        pixel_aspect: Fraction | None,
        tone_map: bool = False,
    ) -> None:
        self._size = size
        self._first_size = first_size
        self._aspect = shown_aspect(pixel_aspect)
        self._tone_map = tone_map
        self._reformatter = VideoReformatter()
        self.transfer: HdrTransfer | None = None

    def __call__(self, frame: VideoFrame) -> np.ndarray:
        """Turns a frame into an array.

        Args:
            frame: As decoded.

        Returns:
            uint8 `[H, W, 3]`, RGB, upright; a view of memory of its own.
        """
        transfer = HDR_TRANSFERS.get(frame.color_trc)
        self.transfer = transfer or self.transfer
        width, height = (frame.width, frame.height)
        if (width, height) != self._size:
            width, height = self._first_size()
        width = max(1, round(width * self._aspect))
        if transfer is not None and self._tone_map:
            scaled = self._scaled(frame, width, height, "rgb48le")
            pixels = tone_mapped(_channels(scaled, np.dtype("<u2"), 3), transfer)
        elif may_be_transparent(frame.format):
            pixels = on_black(_channels(self._scaled(frame, width, height, "rgba"), np.dtype(np.uint8), 4))
        else:
            pixels = _channels(self._scaled(frame, width, height, "rgb24"), np.dtype(np.uint8), 3)
        return _upright(pixels, frame)

    def _scaled(self, frame: VideoFrame, width: int, height: int, pixel_format: str) -> VideoFrame:
        # One thread: starting one per core costs ten times the conversion of a small frame.
        if (width, height) == (frame.width, frame.height):
            return self._reformatter.reformat(frame, format=pixel_format, threads=1)
        return self._reformatter.reformat(
            frame, width, height, format=pixel_format, interpolation=Interpolation.BICUBIC, threads=1
        )


def tone_mapped(pixels: np.ndarray, transfer: HdrTransfer) -> np.ndarray:
    """Maps a picture of high dynamic range to sRGB.

    With `x` the largest of R, G, B in linear light, 1 being paper (203 cd/m2), all three are scaled by `y / x`:

        y = s x                                        up to paper, with s the light of level 230 of 255
        y = s + (1 - s) t / (1 + t)                    above, with t = (x - 1) s / (1 - s)

    The curve and its slope are continuous, and it comes close to 1 at the brightest. Then BT.2020's colours are
    brought to BT.709's, clipped, and coded by sRGB's curve.

    Args:
        pixels: uint16 `[H, W, 3]`, RGB coded in PQ or HLG, of BT.2020's colours, 65,535 being 1.
        transfer: Which of the two.

    Returns:
        uint8 `[H, W, 3]`.
    """
    linear = _linear_light(transfer)[pixels]
    if transfer == "HLG":
        # The display's own part of HLG, which follows the scene's brightness.
        luma = linear @ _BT2020_LUMA
        linear *= np.maximum(luma, 1e-9)[..., None] ** np.float32(_HLG_GAMMA - 1)
        linear *= np.float32(_HLG_PEAK / _PAPER_WHITE)
    brightest = linear.max(axis=-1, keepdims=True)
    linear *= _compressed(brightest) / np.maximum(brightest, 1e-9)
    levels = np.clip(linear @ _TO_BT709.T, 0, 1)
    # Evenly spaced square roots: dark levels, which the eye tells apart best, are not merged.
    coded: np.ndarray = _srgb_levels()[np.round(np.sqrt(levels) * (_LEVELS - 1)).astype(np.uint16)]
    return coded


def _compressed(light: np.ndarray) -> np.ndarray:
    paper = np.float32(_srgb_to_linear(_PAPER_LEVEL / 255))
    excess = np.maximum(light - 1, 0) * paper / (1 - paper)
    compressed: np.ndarray = np.minimum(light, 1) * paper + (1 - paper) * excess / (1 + excess)
    return compressed


@cache
def _linear_light(transfer: HdrTransfer) -> np.ndarray:
    """Of each 16-bit code: PQ in units of paper white, HLG as light of the scene from 0 to 1."""
    code = np.arange(65536) / 65535
    if transfer == "PQ":
        # SMPTE ST 2084.
        m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
        root = code ** (1 / m2)
        light = 10000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1) / _PAPER_WHITE
    else:
        # ARIB STD-B67, ITU-R BT.2100.
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    return light.astype(np.float32)


@cache
def _srgb_levels() -> np.ndarray:
    light = (np.arange(_LEVELS) / (_LEVELS - 1)) ** 2
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * code).astype(np.uint8)


def _srgb_to_linear(code: float) -> float:
    return float(((code + 0.055) / 1.055) ** 2.4)


def shown_aspect(pixel_aspect: Fraction | None) -> Fraction:
    """By how much a frame's width is multiplied when it is shown, given its pixels' width over their height."""
    if not pixel_aspect or pixel_aspect < 0:
        return Fraction(1)
    is_changed = _NEARLY_SQUARE < max(pixel_aspect, 1 / pixel_aspect) <= _BELIEVED
    return pixel_aspect if is_changed else Fraction(1)


def _channels(frame: VideoFrame, dtype: np.dtype, channels: int) -> np.ndarray:
    """The pixels of a frame whose channels lie side by side, `[H, W, channels]`, without a copy."""
    [plane] = frame.planes
    if plane.line_size <= 0:  # stored from the bottom up
        return frame.to_ndarray()
    shape = (frame.height, frame.width, channels)
    strides = (plane.line_size, channels * dtype.itemsize, dtype.itemsize)
    return np.ndarray(shape, dtype, buffer=memoryview(plane), strides=strides)


def may_be_transparent(pixel_format: VideoFormat) -> bool:
    """Whether pixels of a format say how opaque they are."""
    return pixel_format.has_palette or any(component.is_alpha for component in pixel_format.components)


def on_black(pixels: np.ndarray) -> np.ndarray:
    """Lays a picture that may be transparent on black.

    Args:
        pixels: uint8 `[H, W, 4]`, RGB and how opaque.

    Returns:
        uint8 `[H, W, 3]`; a view where all is opaque.
    """
    alpha = pixels[..., 3:].astype(np.uint16)
    if (alpha == 255).all():
        return pixels[..., :3]
    blended: np.ndarray = (pixels[..., :3] * alpha + 127) // 255
    return blended.astype(np.uint8)


def _upright(pixels: np.ndarray, frame: VideoFrame) -> np.ndarray:
    """Applies the display matrix: quarter turns and mirror images; other angles stay as they are."""
    matrix = _display_matrix(frame)
    if matrix is None:
        return pixels
    # Row-major 3 x 3, little-endian on every platform that FFmpeg runs on here: a pixel (x, y) is shown at
    # (a x + c y, b x + d y), up to a shift.
    a, b, _, c, d = np.frombuffer(matrix, dtype=np.int32)[:5].tolist()
    if b == c == 0:
        return pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    if a == d == 0:
        return pixels.transpose(1, 0, 2)[:: -1 if b < 0 else 1, :: -1 if c < 0 else 1]
    return pixels


def _display_matrix(frame: VideoFrame) -> bytes | None:
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV has no name for some type of what is attached, and then gives none of it.
        matrix = _without_unnamed_side_data(frame).side_data.get("DISPLAYMATRIX")
    return bytes(matrix) if isinstance(matrix, SideData) and len(bytes(matrix)) >= 36 else None


def _without_unnamed_side_data(frame: VideoFrame) -> VideoFrame:
    named: set[object] = {kind.value for kind in SideDataType}
    graph = av.filter.Graph()
    last = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1)
    )
    for kind in _SIDE_DATA_TYPES:
        if kind not in named:
            remove = graph.add("sidedata", f"mode=delete:type={kind}")
            last.link_to(remove)
            last = remove
    sink = graph.add("buffersink")
    last.link_to(sink)
    graph.configure()
    graph.push(frame)
    shown = graph.pull()
    if not isinstance(shown, VideoFrame):
        raise TypeError(f"a filter of pictures gave {type(shown).__name__}")
    return shown
