from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow.fs import S3FileSystem

from tests.video_files import write_clip
from video_colbert.encoding.bulk_encoder import BulkEncoder
from video_colbert.encoding.encoded import EncodedVideo, VideoClip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.media_files import content_digest, is_gone, is_remote, open_media, public_name
from video_colbert.index.ingest.events import Encoded
from video_colbert.index.ingest.metadata_files import read_manifest
from video_colbert.index.ingest.plan import IngestPlan
from video_colbert.processing import VideoDecodingError


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    address = f"{host}:{port}"
    system, _ = S3FileSystem.from_uri(f"{s3_url(address, '')}&allow_bucket_creation=true")
    system.create_dir("videos")
    yield address
    server.stop()


def test_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(range(256)) * 10_000)
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert content_digest(str(path)) == expected
    with path.open("rb") as file:
        file.read(7)
        assert content_digest(file) == expected


def test_what_is_not_there_is_an_error_that_names_it(tmp_path: Path, bucket: str) -> None:
    for source in (str(tmp_path / "none.mp4"), s3_url(bucket, "none.mp4")):
        with pytest.raises(VideoDecodingError) as caught, open_media(source):
            pass
        assert caught.value.source == source
        assert caught.value.reason


def test_videos_and_manifest_in_object_storage_are_encoded(
    tmp_path: Path, bucket: str, checkpoint_folder: Path
) -> None:
    local = write_clip(tmp_path / "a.mp4", 1)
    system, _ = S3FileSystem.from_uri(s3_url(bucket, ""))
    url = s3_url(bucket, "a.mp4")
    for name, content in (("a.mp4", local.read_bytes()), ("list.txt", f"{url}\n".encode())):
        with system.open_output_stream(f"videos/{name}") as file:
            file.write(content)
    listed, _ = read_manifest(s3_url(bucket, "list.txt"))
    assert listed == [url]
    assert is_remote(url)
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")
    with BulkEncoder([encoder], workers=1) as bulk:
        [event] = bulk.run(IngestPlan(listed, {}, None))
    assert isinstance(event, Encoded)
    video = event.video
    [expected] = encoder.encode_videos([VideoClip(local)])
    assert isinstance(expected, EncodedVideo)
    assert video.clip == VideoClip(url)
    assert video.embeds["frame"].tolist() == expected.embeds["frame"].tolist()
    assert event.file.digest == content_digest(str(local))


def s3_url(address: str, name: str) -> str:
    return f"s3://test:test@videos/{name}?endpoint_override={address}&scheme=http"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("/videos/a?token=1.mp4", "/videos/a?token=1.mp4"),
        ("https://host/a.mp4?v=2&page=1", "https://host/a.mp4?v=2&page=1"),
        ("https://host/a.mp4?expires=never", "https://host/a.mp4?expires=never"),
        ("https://me:word@host:81/a.mp4", "https://host:81/a.mp4"),
        ("s3://KEY:WORD@bucket/a.mp4?endpoint_override=x", "s3://bucket/a.mp4?endpoint_override=x"),
        ("https://host/a.mp4?X-Amz-Date=1&v=2&X-Amz-Signature=WORD", "https://host/a.mp4?v=2"),
        ("https://host/a.mp4?sv=2022&sr=b&se=2027&sig=WORD", "https://host/a.mp4"),
        ("https://host/a.mp4?Expires=1&Signature=WORD&Key-Pair-Id=K", "https://host/a.mp4"),
    ],
)
def test_a_public_name_holds_no_key_and_everything_else(source: str, shown: str) -> None:
    assert public_name(source) == shown
    assert public_name(shown) == shown


def test_only_what_is_known_not_to_be_there_is_gone(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    there, nowhere, below_a_file = (str(tmp_path / name) for name in ("a.mp4", "b.mp4", "a.mp4/c.mp4"))
    assert [is_gone(path) for path in (there, nowhere, below_a_file)] == [False, True, True]
    assert not is_gone("https://host/a.mp4")
    assert not is_gone("a\0b")
