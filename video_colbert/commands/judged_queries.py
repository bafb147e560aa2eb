"""Files of judged queries: texts with the videos that answer them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from video_colbert.dataset_builders.annotation_files import AnnotationError, read_jsonl
from video_colbert.errors import DatasetError


def read_judged_queries(file: str | Path, paths: Sequence[str]) -> list[tuple[str, frozenset[str]]]:
    """Reads a file with an object `{"query": text, "videos": [path, ...]}` a line.

    Args:
        file: the file.
        paths: of the videos of an index. A video is named by its path there, or by the end of one.

    Returns:
        The queries with the paths of their videos.

    Raises:
        DatasetError: the file cannot be read or is no such file, a video is not in the index, or a name fits several.
    """
    by_name: dict[str, list[str]] = {}
    for path in dict.fromkeys(paths):
        by_name.setdefault(PurePath(path).name, []).append(path)
    judged = []
    try:
        for line, row in read_jsonl(file, ("query", "videos")):
            query, videos = row["query"], row["videos"]
            is_list = isinstance(videos, list) and videos and all(isinstance(video, str) for video in videos)
            if not isinstance(query, str) or not query.strip() or not is_list:
                raise AnnotationError(file, "expected a text in query and a list of paths in videos", line)
            judged.append((query, frozenset(_path(file, line, video, by_name) for video in videos)))
    except AnnotationError as error:
        raise DatasetError(str(error)) from error
    if not judged:
        raise DatasetError(f"{file} holds no judged query")
    return judged


def _path(file: str | Path, line: int, name: str, by_name: Mapping[str, Sequence[str]]) -> str:
    parts = PurePath(name).parts
    found = [path for path in by_name.get(PurePath(name).name, ()) if PurePath(path).parts[-len(parts) :] == parts]
    if name in found:
        return name
    if len(found) != 1:
        problem = f"may be {' or '.join(found)}; give more of the path" if found else "is not in the index"
        raise AnnotationError(file, f"{name!r} {problem}", line)
    return found[0]
