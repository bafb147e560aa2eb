"""The keyword arguments of a call: those that nobody reads are refused by name, the others sorted and checked."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeAlias, TypedDict, TypeVar

import numpy as np

from .frame_sampling import FrameSampling
from .video_decoding import DecodingBackend

Metadata: TypeAlias = Mapping[str, Any]
"""What `transformers.video_utils.load_video` returns beside frames: `fps`, `frames_indices`, `duration`, ..."""

_Call = TypeVar("_Call", bound=Callable[..., Any])

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


QUERY_KEYWORDS = ("padding", "truncation", "max_length", "return_tensors")
VIDEO_KEYWORDS = (
    "start",
    "end",
    "generator",
    "input_data_format",
    "video_metadata",
    "device",
    "return_timestamps",
    "return_metadata",
    "return_tensors",
    *VideoColBERTVideoProcessorKwargs.__annotations__,
)
_ADVICE = {
    **SETTINGS_ADVICE,
    "images": "give frames as videos=[frames], uint8 [T, H, W, 3]",
    "images_kwargs": "there are text_kwargs and videos_kwargs",
    "audio": "it takes text and videos",
    "audio_kwargs": "there are text_kwargs and videos_kwargs",
    "add_special_tokens": "captions always have the tokenizer's special tokens",
    "padding_side": "captions are always padded on the right",
    "return_attention_mask": "the attention mask is always returned",
}


def shows_settings(settings: type) -> Callable[[_Call], _Call]:
    """A decorator that names each field of a typed dict, which a call takes by `Unpack`, in the call's signature.

    So `help`, notebooks and `inspect.signature` tell what may be given. A default of None there stands for what is set
    already, since a typed dict has no defaults.

    Args:
        settings: The typed dict of the call's last parameter.
    """

    def decorate(call: _Call) -> _Call:
        own = inspect.signature(call)
        named = [parameter for parameter in own.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
        for name, annotation in settings.__annotations__.items():
            parameter = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
            named.append(parameter)
        vars(call)["__signature__"] = own.replace(parameters=named)
        return call

    return decorate


def refuse_unknown_keywords(
    given: Iterable[str], known: Iterable[str], callee: str, advice: Mapping[str, str] | None = None
) -> None:
    """Raises an error if a keyword is not known.

    Args:
        given: The keywords of a call.
        known: Those that the callee reads.
        callee: What was called, for the message.
        advice: For keywords that other libraries take, what to do here instead.

    Raises:
        TypeError: A keyword is unknown; the message names it and the nearest known one, or all of them.
    """
    known = sorted(known)
    for name in given:
        if name in known:
            continue
        if advice and name in advice:
            raise TypeError(f"{callee} takes no {name!r}: {advice[name]}")
        close = get_close_matches(name, known, n=1)
        right = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(known)}"
        raise TypeError(f"{callee} takes no {name!r}; {right}")


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


def sorted_arguments(
    arguments: Mapping[str, Any], has_text: bool, has_videos: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sorts the keyword arguments of a call by what they are for.

    Args:
        arguments: By name; those for one kind of input may stand in `text_kwargs`, `videos_kwargs`, and those for
            both in `common_kwargs`, as transformers' processors take them.
        has_text: Whether the call has captions.
        has_videos: Whether it has videos.

    Returns:
        Arguments of `process_queries`, and those of `process_videos`.

    Raises:
        TypeError: An argument has an unknown name.
        ValueError: An argument is given twice, or is for an input that the call does not have.
    """
    given = dict(arguments)
    nested = {
        "text": dict(given.pop("text_kwargs", None) or {}),
        "videos": dict(given.pop("videos_kwargs", None) or {}),
    }
    given = {**(given.pop("common_kwargs", None) or {}), **given}
    known = {"text": QUERY_KEYWORDS, "videos": VIDEO_KEYWORDS}
    everything = {"text", "videos", *QUERY_KEYWORDS, *VIDEO_KEYWORDS}
    refuse_unknown_keywords(given, everything, "The processor", _ADVICE)
    for kind, is_present in (("text", has_text), ("videos", has_videos)):
        refuse_unknown_keywords(nested[kind], known[kind], f"{kind}_kwargs", _ADVICE)
        other = known["videos" if kind == "text" else "text"]
        alone = [name for name in given if name in known[kind] and name not in other]
        if not is_present and (unread := [*nested[kind], *alone]):
            raise ValueError(f"{', '.join(unread)} given for {kind}, of which the call has none")
        for name, value in given.items():
            if name in nested[kind]:
                raise ValueError(f"{name} is given twice, alone and in {kind}_kwargs")
            if name in known[kind]:
                nested[kind][name] = value
    return nested["text"], nested["videos"]


def for_each(value: object, length: int, name: str) -> list[Any]:
    """Lists an argument that is given once for all videos or in a list of one for each.

    Raises:
        ValueError: The list has another length.
    """
    if not isinstance(value, list | tuple | np.ndarray):
        return [value] * length
    if len(value) != length:
        raise ValueError(f"{name} lists {len(value)} values for {length} videos")
    return list(value)


@functools.cache
def _metadata_fields() -> frozenset[str]:
    # A process that only decodes reads these settings too, and transformers takes seconds to load.
    from transformers.video_utils import VideoMetadata

    return frozenset(VideoMetadata.__dataclass_fields__)


def is_metadata(value: object) -> bool:
    """Whether a value describes frames, rather than being a video."""
    return isinstance(value, Mapping) and bool(_metadata_fields() & set(value)) and not {"path", "bytes"} & set(value)


def metadata_list(metadata: Any, length: int) -> list[Metadata]:
    """Lists the metadata of a call's videos.

    Args:
        metadata: Those of one video, which are then those of all, or a list of one for each, nested or not.
        length: How many videos there are.

    Raises:
        ValueError: There are not as many as videos, or one of them is something else.
    """
    if not isinstance(metadata, list | tuple):
        listed = [metadata] * length
    else:
        listed = [item for part in metadata for item in (part if isinstance(part, list | tuple) else [part])]
    if len(listed) != length:
        raise ValueError(f"video_metadata lists {len(listed)} values for {length} videos")
    for item in listed:
        if not is_metadata(item):
            raise ValueError(
                f"video_metadata holds {type(item).__name__}; it must hold VideoMetadata, or dictionaries of "
                f"{', '.join(sorted(_metadata_fields()))}"
            )
    return listed


def check_query_arguments(
    query_length: int, is_cut: bool, padding: object, truncation: object, max_length: object
) -> None:
    """Checks that what a tokenizer would be asked for is what is done with captions.

    Args:
        query_length: Tokens of a caption or a window of it.
        is_cut: Whether longer captions are cut.
        padding: `"max_length"`.
        truncation: `None`, or whether longer captions are cut.
        max_length: `None`, or `query_length`.

    Raises:
        ValueError: Another treatment is asked for; the message says how to have it, if it can be had.
    """
    if padding != "max_length":
        right = f"padding='max_length', to query_length ({query_length})"
        raise ValueError(f"padding is {padding!r}; captions are always padded in one way, {right}")
    if truncation is not None and truncation is not is_cut:
        done = "cut at query_length; query_windows='sentences' avoids it" if is_cut else "never cut but split"
        raise ValueError(f"truncation is {truncation!r}; longer captions are {done}")
    if max_length not in (None, query_length):
        raise ValueError(
            f"max_length is {max_length}; captions have query_length={query_length} tokens, a setting of the processor"
        )


def check_return_tensors(return_tensors: object) -> None:
    """Checks the kind of tensors that is asked for.

    Raises:
        ValueError: It is not `"pt"`, `"np"` or `None`.
    """
    if return_tensors not in ("pt", "np", None):
        raise ValueError(f"return_tensors is {return_tensors!r}; it must be 'pt', 'np' or None")
