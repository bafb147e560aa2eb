"""The JSON files of a checkpoint: read whole, or refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from video_colbert.errors import CheckpointError


def read_json_object(path: Path) -> dict[str, Any]:
    """Reads a JSON file that holds an object.

    Raises:
        CheckpointError: it is missing or holds something else.
    """
    content = _read(path)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} must hold a JSON object, not a {type(content).__name__}")
    return content


def read_json_object_if_there(path: Path) -> dict[str, Any]:
    """Reads a JSON file that holds an object; an empty one where there is no file.

    Raises:
        CheckpointError: it holds something else.
    """
    return read_json_object(path) if path.is_file() else {}


def read_json_list_if_there(path: Path, of_what: str) -> list[Any]:
    """Reads a JSON file that holds a list; an empty one where there is no file.

    Args:
        path: of the file.
        of_what: what the list is of, for the error.

    Raises:
        CheckpointError: it holds something else.
    """
    if not path.is_file():
        return []
    content = _read(path)
    if not isinstance(content, list):
        raise CheckpointError(f"{path} must hold a list of {of_what}, not a {type(content).__name__}")
    return content


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no {path}; save the model and its processor there") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not JSON: {error}") from error
