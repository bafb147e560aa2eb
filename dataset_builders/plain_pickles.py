"""Pickles of plain containers, strings and numbers: what a file asks for is examined before any of it is done."""

import io
import pickle
import pickletools
from pathlib import Path
from typing import Any

from .annotation_files import AnnotationError

# All that such a pickle needs: no class, no function, no object from elsewhere.
_ALLOWED = frozenset(
    (
        *("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK"),
        *("NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS"),
        *("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET"),
    )
)
_REMEMBERS = ("PUT", "BINPUT", "LONG_BINPUT")
_MAX_OPEN_MARKS = 1000


class PlainUnpickler(pickle.Unpickler):
    """Unpickles containers, strings and numbers; whatever would call or import anything is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuses every class and function.

        Raises:
            UnpicklingError: Always.
        """
        raise pickle.UnpicklingError(f"it refers to {module}.{name}; only lists, dicts and strings are allowed")


def read_plain_pickle(file: str | Path) -> dict[str, Any]:
    """Reads a pickled dict of plain containers and strings, and does nothing else that the file asks for.

    Raises:
        AnnotationError: There is no such file, it is no pickle, it refers to a class or function, it asks for memory
            out of proportion to its size, or it is not a dict with text keys.
    """
    try:
        content = Path(file).read_bytes()
        check_operations(content)
        # Python 2 wrote the MSVD captions: its byte strings are UTF-8 text.
        value = PlainUnpickler(io.BytesIO(content), encoding="utf-8").load()
    except FileNotFoundError as error:
        raise AnnotationError(file, "no such file") from error
    except Exception as error:
        # A broken pickle raises almost any exception.
        raise AnnotationError(file, f"refused or unreadable pickle: {error or type(error).__name__}") from error
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise AnnotationError(file, "expected a pickled dict with video names as keys")
    return value


def check_operations(content: bytes) -> None:
    """Checks, without doing any of it, that a pickle asks for plain values and no more memory than they take.

    Raises:
        UnpicklingError: It asks for something else, remembers a value under a number out of proportion, or opens
            containers without end.
        ValueError: It breaks off or is no pickle.
    """
    open_marks = 0
    texts = ["?", "?"]
    for operation, argument, _ in pickletools.genops(content):
        name = operation.name
        if name not in _ALLOWED:
            asked = ".".join(texts) if name == "STACK_GLOBAL" else str(argument or name).replace(" ", ".")
            raise pickle.UnpicklingError(f"it refers to {asked}; only lists, dicts, strings and numbers are allowed")
        if isinstance(argument, str):
            texts = [texts[1], argument]
        # Memory is taken for all smaller numbers too; a pickle counts them up from 0.
        if name in _REMEMBERS and isinstance(argument, int) and argument > len(content):
            raise pickle.UnpicklingError(f"it remembers a value under the number {argument}, in {len(content)} bytes")
        open_marks += name == "MARK"
        if operation.stack_before and pickletools.markobject in operation.stack_before:
            open_marks -= 1
        if open_marks > _MAX_OPEN_MARKS:
            raise pickle.UnpicklingError(f"it opens more than {_MAX_OPEN_MARKS} containers within each other")
