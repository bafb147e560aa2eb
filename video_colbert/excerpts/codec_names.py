"""What codecs are called, whatever decodes them."""

from __future__ import annotations

from av import CodecContext


def codec_name(context: CodecContext) -> str:
    """The name of a stream's codec, such as "av1" where libdav1d decodes it.

    Args:
        context: of the stream.
    """
    return context.codec.canonical_name.removeprefix("lib")
