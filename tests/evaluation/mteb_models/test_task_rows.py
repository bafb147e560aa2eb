import hashlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset, Video

from tests.video_files import write_clip
from video_colbert.evaluation.mteb_models.task_rows import as_source, query_texts, source_digest, video_sources


def test_a_column_of_videos_is_read_without_decoding_it(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", 0)
    data = clip.read_bytes()
    of_bytes = Dataset.from_dict({"video": [{"path": None, "bytes": data}]})
    of_paths = Dataset.from_dict({"video": [str(clip)]})
    for rows, expected in (
        (of_bytes, data),
        (of_bytes.cast_column("video", Video()), data),
        (of_paths, str(clip)),
        (of_paths.cast_column("video", Video()), str(clip)),
    ):
        [source] = video_sources(rows)
        assert source == expected
        assert source_digest(source) == hashlib.sha256(data).hexdigest()
    with pytest.raises(ValueError, match="columns text, and no 'video'"):
        video_sources(Dataset.from_dict({"text": ["a"]}))


def test_frames_and_decoders_that_know_their_file_are_taken() -> None:
    frames = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    assert source_digest(as_source(frames)) == source_digest(as_source(torch.from_numpy(frames)))
    assert source_digest(as_source(frames.tolist())) == source_digest(frames)
    assert source_digest(frames) != source_digest(frames.reshape(2, 4, 2, 6))
    assert as_source(SimpleNamespace(_hf_encoded={"path": "a.mp4", "bytes": None})) == "a.mp4"
    with pytest.raises(ValueError, match="neither a path nor bytes"):
        as_source({"path": None, "bytes": None})
    with pytest.raises(ValueError, match="is a SimpleNamespace; it must be a path"):
        as_source(SimpleNamespace())


def test_instructions_follow_their_queries() -> None:
    rows = Dataset.from_dict({"text": ["a dog", "a cat"], "instruction": ["outside", None]})
    assert query_texts(rows) == ["a dog outside", "a cat"]
    assert query_texts(rows.remove_columns("instruction")) == ["a dog", "a cat"]
    with pytest.raises(ValueError, match="columns id, and no 'text'"):
        query_texts(Dataset.from_dict({"id": ["1"]}))
    with pytest.raises(ValueError, match="a query is a list"):
        query_texts(Dataset.from_dict({"text": [["hello", "there"]]}))
