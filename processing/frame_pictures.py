"""Decoded frames as players show them: square pixels, upright, RGB, in one size, without transparency."""

from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorTrc, Interpolation, VideoReformatter

from .tone_mapping import HdrTransfer, tone_mapped

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
    than the video's first are scaled to its size, whatever their own pixels' shape. What is transparent lies on white.
    Colours of high
    dynamic range are taken as they are stored, unless `tone_map` is set.

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
            pixels = _on_white(_channels(self._scaled(frame, width, height, "rgba"), np.dtype(np.uint8), 4))
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


def _on_white(pixels: np.ndarray) -> np.ndarray:
    alpha = pixels[..., 3:].astype(np.uint16)
    if (alpha == 255).all():
        return pixels[..., :3]
    blended: np.ndarray = (pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
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
