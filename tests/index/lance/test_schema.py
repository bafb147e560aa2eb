from __future__ import annotations

from pathlib import Path

import lancedb
import pyarrow as pa
import pytest

from tests.index.made_videos import MODEL, make_video
from video_colbert.errors import IndexStoreError
from video_colbert.index import LanceIndex


def test_index_of_another_schema_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("video_colbert.index.lance.schema.SCHEMA_VERSION", 99)
        patch.setattr("video_colbert.index.lance.schema._READ_VERSIONS", ("99",))
        LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    with pytest.raises(IndexStoreError, match="schema version 99, this release reads 2 and 3; index the videos again"):
        LanceIndex.open(tmp_path)


def test_index_of_the_former_two_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "videos.jsonl").write_text("{}\n")
    (tmp_path / "tokens.safetensors").write_bytes(b"")
    assert LanceIndex.exists(tmp_path)
    with pytest.raises(IndexStoreError, match=r"made by an earlier version; .*index the videos again"):
        LanceIndex.open(tmp_path)
    with pytest.raises(IndexStoreError, match="there is an index in"):
        LanceIndex.create(tmp_path, model=MODEL, num_frames=3)


FOREIGN_HEADERS: list[dict[bytes, bytes]] = [
    {b"num_frames": b"x"},
    {b"num_frames": b"[1]"},
    {b"num_frames": b"-3"},
    {b"num_frames": b"true"},
    {b"num_frames": b"[" * 5000},
    {b"codec": b"pq"},
    {b"merge_similarity": b"2"},
    {b"merge_similarity": b"{}"},
    {b"windows": b"{}"},
    {b"windows": b"7"},
    {b"windows": b'{"length": 1}'},
    {b"windows": b'{"kind": "scenes"}'},
    {b"windows": b'{"kind": "auto", "seconds": 3}'},
    {b"schema_version": b"two"},
]


@pytest.mark.parametrize("changed", FOREIGN_HEADERS, ids=str)
def test_foreign_header_is_one_sentence(changed: dict[bytes, bytes], tmp_path: Path) -> None:
    LanceIndex.create(tmp_path / "own", model=MODEL, num_frames=3)
    schema = lancedb.connect(tmp_path / "own").open_table("videos").schema
    metadata = schema.metadata | {b"video_colbert." + name: value for name, value in changed.items()}
    lancedb.connect(tmp_path / "other").create_table("videos", schema=schema.with_metadata(metadata))
    with pytest.raises(IndexStoreError, match=f"index in {tmp_path / 'other'} "):
        LanceIndex.open(tmp_path / "other")


@pytest.mark.parametrize("name", ["model", "revision", "num_frames", "codec", "merge_similarity"])
def test_header_that_lacks_something_says_what(name: str, tmp_path: Path) -> None:
    LanceIndex.create(tmp_path / "own", model=MODEL, num_frames=3)
    schema = lancedb.connect(tmp_path / "own").open_table("videos").schema
    metadata = {key: value for key, value in schema.metadata.items() if key != f"video_colbert.{name}".encode()}
    lancedb.connect(tmp_path / "other").create_table("videos", schema=schema.with_metadata(metadata))
    with pytest.raises(IndexStoreError, match=rf"does not say its video_colbert\.{name}"):
        LanceIndex.open(tmp_path / "other")


@pytest.mark.parametrize("name", ["path", "timestamps", "frame_tokens", "pooled"])
def test_table_whose_columns_are_not_those_of_an_index_says_which(name: str, tmp_path: Path) -> None:
    LanceIndex.create(tmp_path / "own", model=MODEL, num_frames=3).add([make_video("a.mp4")])
    schema = lancedb.connect(tmp_path / "own").open_table("videos").schema
    other = schema.set(schema.get_field_index(name), pa.field(name, pa.list_(pa.list_(pa.int32()))))
    lancedb.connect(tmp_path / "other").create_table("videos", schema=other)
    with pytest.raises(IndexStoreError, match=f"is no index of this release: its column (pooled|{name}) "):
        LanceIndex.open(tmp_path / "other")


def test_table_of_something_else_is_no_index(tmp_path: Path) -> None:
    lancedb.connect(tmp_path).create_table("videos", [{"id": "a"}])
    with pytest.raises(IndexStoreError, match="is no index of video-colbert"):
        LanceIndex.open(tmp_path)
