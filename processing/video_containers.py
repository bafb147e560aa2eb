"""Containers of video: which may be opened, how, and what is read of them, with one error for all that goes wrong."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from .video_sources import IMAGE_SUFFIXES, PassingVideoError, VideoDecodingError

# Text that is not UTF-8 is no error; from PyAV 19 on it never is, and there is nothing to set.
_TEXTS: dict[str, Any] = {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "replace"}

# What may be opened, by FFmpeg's names: containers that people keep videos, pictures and sound in. Left out is what
# opens other files or addresses (playlists, SDP, ffconcat, numbered images, spanned recordings), devices, and formats
# that FFmpeg takes text for. FFmpeg looks at this list before it reads anything more than a file's first bytes.
_FORMATS = (
    *("3g2", "4xm", "amv", "anm", "apng", "asf", "asf_o", "av1", "avi", "avs2", "avs3", "bethsoftvid", "bfi", "bink"),
    *("bmv", "c93", "cavsvideo", "cdxl", "cine", "dhav", "dirac", "dnxhd", "dsicin", "dv", "dxa", "ea", "evc"),
    *("film_cpk", "filmstrip", "flic", "flv", "gdv", "gif", "gxf", "h261", "h263", "h264", "hevc", "hnm", "idcin"),
    *("iff", "ifv", "ipmovie", "ipu", "iss", "iv8", "ivf", "ivr", "jpegxl_anim", "jv", "kux", "lmlm4", "lxf", "m4v"),
    *("matroska", "mgsts", "mjpeg", "mjpeg_2000", "mm", "mods", "moflex", "mov", "mpeg", "mpegts", "mpegvideo"),
    *("mpjpeg", "mtv", "mv", "mvi", "mxf", "nsv", "nut", "nuv", "obu", "ogg", "paf", "pmp", "psxstr", "pva", "r3d"),
    *("rl2", "rm", "roq", "rpl", "ser", "siff", "smjpeg", "smk", "smush", "swf", "thp", "tiertexseq", "tmv", "ty"),
    *("usm", "vc1", "vc1test", "vividas", "vivo", "vmd", "vvc", "wc3movie", "webm", "wtv", "xmv", "yop"),
    "yuv4mpegpipe",
    *("bmp_pipe", "dds_pipe", "dpx_pipe", "exr_pipe", "gif_pipe", "hdr_pipe", "ico", "j2k_pipe", "jpeg_pipe"),
    *("jpegls_pipe", "jpegxl_pipe", "pam_pipe", "pbm_pipe", "pcx_pipe", "pgm_pipe", "png_pipe", "ppm_pipe"),
    *("psd_pipe", "qoi_pipe", "sgi_pipe", "sunrast_pipe", "tiff_pipe", "webp_pipe", "xwd_pipe"),
    *("aac", "ac3", "aiff", "amr", "ape", "au", "caf", "dts", "eac3", "flac", "mp3", "tta", "w64", "wav", "wv"),
)
# More pixels than this in a frame are refused before one is decoded: twice those of an 8K video.
DEFAULT_MAX_PIXELS = 2**26
# Longer than this no call decodes.
DEFAULT_TIME_LIMIT = 600.0
# An image file is read whole.
_MAX_IMAGE_BYTES = 2**30
# FFmpeg's own decoders of these codecs pass over the layer of transparency.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
# So many frames of the largest size an animated WebP may hold, all of which are decoded.
_WEBP_FRAMES = 4


class Deadline:
    """The moment at which decoding one video is given up.

    Args:
        seconds: From now.
        name: What the error calls the video.
    """

    def __init__(self, seconds: float, name: str) -> None:
        self._seconds = seconds
        self._name = name
        self.restart()

    def restart(self) -> None:
        """Counts the seconds from now."""
        self._end = time.monotonic() + self._seconds

    def check(self) -> None:
        """Does nothing before the moment.

        Raises:
            VideoDecodingError: It has come.
        """
        if time.monotonic() > self._end:
            raise PassingVideoError(self._name, f"takes longer to decode than the limit of {self._seconds:g} s")


class _FileView:
    """A binary file with a position of its own, and without the name, in which FFmpeg would look for a pattern."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._position = 0

    def read(self, size: int) -> bytes:
        self._file.seek(self._position)
        content = self._file.read(size)
        self._position += len(content)
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_CUR:
            offset, whence = self._position + offset, io.SEEK_SET
        self._position = self._file.seek(offset, whence)
        return self._position

    def tell(self) -> int:
        return self._position


@contextmanager
def decoding_errors(name: str) -> Iterator[None]:
    """Turns whatever goes wrong while a video is read into the one error.

    Args:
        name: What the error calls the video.

    Raises:
        VideoDecodingError: Anything was raised.
    """
    try:
        yield
    except VideoDecodingError:
        raise
    # Odd files make PyAV raise not only FFmpegError and OSError but ValueError, IndexError, RuntimeError and more.
    except Exception as error:
        raise VideoDecodingError(name, error_reason(error)) from error


def open_container(file: str | BinaryIO, name: str, max_pixels: int = DEFAULT_MAX_PIXELS) -> InputContainer:
    """Opens a video file, and nothing else: a file that names others is refused.

    Args:
        file: A local path, or a seekable binary file.
        name: What errors call it.
        max_pixels: The most pixels that a frame may have.

    Returns:
        The open container, to be closed by the caller.

    Raises:
        VideoDecodingError: The file is no video file, or cannot be read as one.
    """
    options = {
        "format_whitelist": ",".join(_FORMATS),
        "protocol_whitelist": "file" if isinstance(file, str) else "none",
        "max_pixels": str(max_pixels),
    }
    try:
        if isinstance(file, str) and Path(file).suffix.lower() in IMAGE_SUFFIXES:
            # FFmpeg takes the path of an image for a pattern of paths.
            opened: str | _FileView = _FileView(io.BytesIO(_image_bytes(file, name)))
        elif isinstance(file, str):
            # The prefix keeps FFmpeg from reading a path with a colon as a protocol.
            opened = f"file:{file}"
        else:
            opened = _FileView(file)
        return cast(InputContainer, av.open(opened, mode="r", container_options=options, **_TEXTS))
    except av.ArgumentError as error:
        raise VideoDecodingError(
            name, "is not a video file of a format that is read here; lists of other files are not followed"
        ) from error
    except av.FFmpegError as error:
        raise VideoDecodingError(
            name, f"is not a video file, or its header is missing or damaged ({error_reason(error)})"
        ) from error


def readable_file(file: str | BinaryIO, name: str, max_pixels: int = DEFAULT_MAX_PIXELS) -> str | BinaryIO:
    """What FFmpeg can read of a file: itself, or an animated WebP, which it cannot, as an animated PNG.

    Args:
        file: A local path, or a seekable binary file.
        name: What errors call it.
        max_pixels: The most pixels that a frame may have.

    Returns:
        The file, or another in memory.

    Raises:
        VideoDecodingError: It is an animated WebP that is too large or damaged, or Pillow is not installed.
    """
    if isinstance(file, str):
        with Path(file).open("rb") as opened:
            start = opened.read(30)
    else:
        file.seek(0)
        start = file.read(30)
    if len(start) < 30 or (start[:4], start[8:16], start[20] & 2) != (b"RIFF", b"WEBPVP8X", 2):
        return file
    width, height = 1 + int.from_bytes(start[24:27], "little"), 1 + int.from_bytes(start[27:30], "little")
    try:
        from PIL import Image, ImageSequence
    except ImportError as error:
        raise PassingVideoError(name, "is an animated WebP, which needs Pillow: pip install pillow") from error
    with decoding_errors(name), Image.open(file) as animation:
        frames_limit = max(_WEBP_FRAMES * max_pixels // (width * height), 1)
        count: int = getattr(animation, "n_frames", 1)
        if width * height > max_pixels or count > frames_limit:
            raise PassingVideoError(
                name,
                f"is an animated WebP of {count} frames of {width}x{height}, more than max_pixels={max_pixels} allows",
            )
        frames = [
            (frame.convert("RGBA"), frame.info.get("duration", 0)) for frame in ImageSequence.Iterator(animation)
        ]
    png = io.BytesIO()
    frames[0][0].save(
        png,
        "PNG",
        save_all=True,
        append_images=[frame for frame, _ in frames[1:]],
        duration=[duration for _, duration in frames],
        compress_level=1,
    )
    return png


def container_formats(file: str | BinaryIO, name: str) -> set[str]:
    """Names the container format of a video file.

    Args:
        file: A local path, or a seekable binary file.
        name: What errors call it.

    Returns:
        FFmpeg's names of the format, such as `{"mov", "mp4", ...}`.

    Raises:
        VideoDecodingError: The file is no video file.
    """
    with decoding_errors(name), open_container(file, name) as container:
        return set(container.format.name.split(","))


def main_video_stream(container: InputContainer, name: str, max_pixels: int = DEFAULT_MAX_PIXELS) -> VideoStream:
    """Finds the main video stream; the cover picture of a sound file is none.

    Args:
        container: An open file.
        name: What errors call it.
        max_pixels: The most pixels that a frame may have.

    Returns:
        The stream, set to decode with one thread.

    Raises:
        VideoDecodingError: There is no video stream, none with a known codec, or its frames are too large.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        kinds: list[str] = sorted({stream.type for stream in container.streams if stream.type != "video"})
        kinds += ["a cover picture"] if container.streams.video else []
        raise VideoDecodingError(name, f"has no video stream (it holds {' and '.join(kinds) or 'nothing'})")
    best = container.streams.best("video")
    stream = best if best in streams else streams[0]
    if stream.codec_context is None:
        raise VideoDecodingError(name, "has a video stream of an unknown codec")
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > max_pixels:
        raise PassingVideoError(
            name, f"has frames of {width}x{height}, more than the limit of {max_pixels} pixels (max_pixels)"
        )
    # One thread attributes each error to its packet, and several workers do not fight for the cores.
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {"max_pixels": str(max_pixels)}
    return stream


def has_alpha_layer(stream: VideoStream) -> bool:
    """Whether a VP8 or VP9 stream has its transparency beside it, as webm stores it."""
    return stream.metadata.get("alpha_mode") == "1" and stream.codec_context.name in _ALPHA_DECODERS


def stream_decoder(stream: VideoStream) -> VideoCodecContext:
    """The decoder of a stream, at the place that its container was sought to last."""
    own: VideoCodecContext = stream.codec_context
    if not has_alpha_layer(stream):
        return own
    try:
        decoder = cast(VideoCodecContext, av.CodecContext.create(_ALPHA_DECODERS[own.name], "r"))
    except av.codec.codec.UnknownCodecError:
        return own
    decoder.thread_count, decoder.options = own.thread_count, own.options
    return decoder


class PacketReader:
    """The packets of a stream that are not empty, from where the container stands.

    Content that no longer makes sense to FFmpeg ends them, as the end of the file does.

    Args:
        container: An open file.
        stream: The stream to read.
        deadline: When to give up with a `VideoDecodingError`.

    Attributes:
        stopped: Whether they ended at content that makes no sense.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, deadline: Deadline) -> None:
        self.stopped = False
        self._packets = self._read(container, stream, deadline)

    def __iter__(self) -> Iterator["Packet[VideoStream]"]:
        return self._packets

    def _read(
        self, container: InputContainer, stream: VideoStream, deadline: Deadline
    ) -> Iterator["Packet[VideoStream]"]:
        try:
            for packet in container.demux(stream):
                deadline.check()
                if packet.size:
                    yield packet
        except av.InvalidDataError:
            self.stopped = True
        except IndexError:
            # What PyAV raises at the end of a file in which a stream appears that its header does not declare.
            return


def error_reason(error: Exception) -> str:
    """Says what an error of FFmpeg or of the system says, without the file's name.

    Args:
        error: The error.

    Returns:
        One line.
    """
    if isinstance(error, MemoryError):
        return "there is not enough memory to decode it"
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def _image_bytes(path: str, name: str) -> bytes:
    size = Path(path).stat().st_size
    if size > _MAX_IMAGE_BYTES:
        raise VideoDecodingError(name, f"is an image of {size} bytes, more than the limit of {_MAX_IMAGE_BYTES}")
    return Path(path).read_bytes()
