from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import torch
from moto.server import ThreadedMotoServer

from tests.index.lance.mapped.mapped_indexes import hits_from_table, make_all_candidates, set_fastest_format
from tests.index.made_videos import MODEL, make_queries, make_video
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.errors import IndexStoreError, ModelMismatchError
from video_colbert.index import LanceIndex
from video_colbert.index.passages.encode_passages import stored_passages
from video_colbert.index.passages.reading_store import Reading
from video_colbert.text.passages import Passage
from video_colbert.text.text_model import EncodedText

BUCKET = "videos"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 service with one bucket."""
    stand_in = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    stand_in.start()
    host, port = stand_in.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="id",
        aws_secret_access_key="secret",  # noqa: S106 - of a stand-in
    )
    client.create_bucket(Bucket=BUCKET)
    yield address
    stand_in.stop()


@pytest.fixture
def options(server: str) -> dict[str, str]:
    return {
        "endpoint": server,
        "region": "us-east-1",
        "aws_access_key_id": "id",
        "aws_secret_access_key": "secret",
    }


def test_index_in_object_storage_does_what_one_in_a_folder_does(
    tmp_path_factory: pytest.TempPathFactory, options: dict[str, str]
) -> None:
    address = f"s3://{BUCKET}/some/index"
    assert not LanceIndex.exists(address, storage_options=options)
    remote = LanceIndex.create(address, model=MODEL, num_frames=3, storage_options=options)
    local = LanceIndex.create(tmp_path_factory.mktemp("index"), model=MODEL, num_frames=3)
    assert LanceIndex.exists(address, storage_options=options)
    reader = LanceIndex.open(address, model=MODEL, storage_options=options)
    for index in (remote, local):
        index.add([make_video(f"{number}.mp4", metadata={"number": number}) for number in range(5)])
        index.add([make_video("1.mp4", digest="other", seed=99), make_video("5.mp4", start=1.0, end=2.0)])
        index.move({"digest of 0.mp4": "/elsewhere/0.mp4"})
        assert index.remove(["digest of 3.mp4"]) == 1
    assert reader.videos == local.videos
    assert reader.search(make_queries(), top_k=10) == local.search(make_queries(), top_k=10)
    assert reader.search(make_queries(), where="number < 4") == local.search(make_queries(), where="number < 4")


def test_readings_and_words_are_kept_in_object_storage_beside_the_videos(options: dict[str, str]) -> None:
    address = f"s3://{BUCKET}/said"
    index = LanceIndex.create(address, model=MODEL, num_frames=3, storage_options=options)
    index.add([make_video(f"{name}.mp4", digest=name) for name in "ab"])
    reading = Reading("a", "speech", "tiny", (Passage("speech", "the red dog", 1.0, 2.0),))
    index.readings.keep([reading, Reading("b", "speech", "tiny", ())])
    index.passages.prepare(ModelReference("some/text", "0"))
    [stored] = stored_passages([reading])
    index.passages.add([(stored, EncodedText(torch.eye(4), ((0, 0), (0, 3), (4, 7), (8, 11))))])
    reader = LanceIndex.open(address, storage_options=options)
    assert list(reader.readings.read(["a"])) == [reading]
    [found] = reader.passages.search_keywords("dog", count=3)
    assert (found.stored, reader.passages.model) == (stored, ModelReference("some/text", "0"))
    reader.forget(["a"])
    assert (set(index.readings.known()), len(index.passages)) == ({("b", "speech")}, 0)


def test_endpoint_and_credentials_come_from_the_environment(
    options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", options["endpoint"])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    LanceIndex.create(f"s3://{BUCKET}/environment", model=MODEL, num_frames=3).add([make_video("a.mp4")])
    assert len(LanceIndex.open(f"s3://{BUCKET}/environment")) == 1


def test_errors_of_the_storage_are_one_sentence(options: dict[str, str]) -> None:
    with pytest.raises(IndexStoreError, match=f"there is no index in s3://{BUCKET}/nothing; make one"):
        LanceIndex.open(f"s3://{BUCKET}/nothing", storage_options=options)
    with pytest.raises(
        IndexStoreError, match=r"s3://no-bucket/x cannot be .* \(The specified bucket does not exist\)$"
    ):
        LanceIndex.create("s3://no-bucket/x", model=MODEL, num_frames=3, storage_options=options)
    LanceIndex.create(f"s3://{BUCKET}/mine", model=MODEL, num_frames=3, storage_options=options)
    with pytest.raises(ModelMismatchError, match="made with some/model"):
        LanceIndex.open(f"s3://{BUCKET}/mine", model=ModelReference("other/model", "b"), storage_options=options)


def test_candidates_of_an_index_in_object_storage_are_read_from_the_cache_folder(
    tmp_path: Path, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_colbert.index.lance.latest_snapshot.EXACT_LIMIT", 10)
    monkeypatch.setenv("VIDEO_COLBERT_CACHE", str(tmp_path / "cache"))
    set_fastest_format(monkeypatch, "int8")
    address = f"s3://{BUCKET}/large"
    found = []
    for seed in (None, 7):
        remote = LanceIndex.create(address, model=MODEL, num_frames=3, storage_options=options)
        local = LanceIndex.create(tmp_path / f"local {seed}", model=MODEL, num_frames=3)
        for index in (remote, local):
            index.add([make_video(f"{number}.mp4", frames=1 + number % 4, seed=seed) for number in range(30)])
            make_all_candidates(index)
        expected = hits_from_table(tmp_path / f"local {seed}", make_queries(), top_k=30)
        for reader in (remote, LanceIndex.open(address, storage_options=options)):
            assert reader.search(make_queries(), top_k=30) == expected
        found.append(expected)
        (folder,) = (tmp_path / "cache" / "tokens").iterdir()
        assert {file.suffix for file in folder.iterdir()} == {"", ".frame", ".video", ".int8"}
        # Another index at the same address has the same row ids, and here the same ids of videos.
        client = boto3.resource("s3", endpoint_url=options["endpoint"], **_credentials(options))
        client.Bucket(BUCKET).objects.filter(Prefix="large/").delete()
    assert found[0] != found[1]


def _credentials(options: dict[str, str]) -> dict[str, str]:
    return {name.replace("region", "region_name"): value for name, value in options.items() if name != "endpoint"}
