import gzip
import io
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from video_colbert.dataset_builders.mirrors.archive_parts import group_parts
from video_colbert.dataset_builders.mirrors.video_archives import ArchiveError, UnsafeArchiveError, extract_videos

VIDEOS = {"all/a.mp4": b"a" * 3000, "all/deep/b.AVI": b"b" * 5000, "c.webm": b""}
OTHERS = {"readme.txt": b"text", "__MACOSX/all/._a.mp4": b"fork", "all/.hidden.mp4": b"h"}

Members = dict[str, bytes]


def write_zip(file: Path, members: Members) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("all/", b"")
        for name, content in members.items():
            archive.writestr(name, content)


def write_tar(file: Path, members: Members, mode: str = "w") -> None:
    with tarfile.open(file, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def write_tar_gz(file: Path, members: Members) -> None:
    write_tar(file, members, "w:gz")


def contents(folder: Path) -> Members:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("write", [write_zip, write_tar, write_tar_gz])
def test_videos_are_extracted_and_other_files_left_out(tmp_path: Path, write: Callable[[Path, Members], None]) -> None:
    write(tmp_path / "archive", {**VIDEOS, **OTHERS})
    extracted = extract_videos([tmp_path / "archive"], tmp_path / "videos")
    assert contents(tmp_path / "videos") == VIDEOS
    assert {path.relative_to(tmp_path / "videos").as_posix() for path in extracted} == set(VIDEOS)


@pytest.mark.parametrize("write", [write_zip, write_tar])
@pytest.mark.parametrize("size", [700, 4096])
def test_parts_are_read_as_one_archive(tmp_path: Path, write: Callable[[Path, Members], None], size: int) -> None:
    write(tmp_path / "archive", VIDEOS)
    whole = (tmp_path / "archive").read_bytes()
    parts = []
    for number, start in enumerate(range(0, len(whole), size)):
        parts.append(tmp_path / f"archive.tar.part-{number}")
        parts[-1].write_bytes(whole[start : start + size])
    extract_videos(parts, tmp_path / "videos")
    assert contents(tmp_path / "videos") == VIDEOS


def test_an_extraction_goes_on_where_it_stopped(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", VIDEOS)
    extract_videos([tmp_path / "a.tar"], tmp_path / "videos")
    done, cut = tmp_path / "videos/all/a.mp4", tmp_path / "videos/all/deep/b.AVI"
    time = done.stat().st_mtime_ns
    cut.write_bytes(b"b" * 100)
    extract_videos([tmp_path / "a.tar"], tmp_path / "videos")
    assert contents(tmp_path / "videos") == VIDEOS
    assert done.stat().st_mtime_ns == time


@pytest.mark.parametrize("write", [write_zip, write_tar])
@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("../evil.mp4", "leads out of the folder"),
        ("all/../../evil.mp4", "leads out of the folder"),
        ("/evil.mp4", "absolute"),
        ("C:\\evil.mp4", "absolute"),
        ("..\\evil.mp4", "leads out of the folder"),
    ],
)
def test_members_that_leave_the_folder_are_refused_before_anything_is_written(
    tmp_path: Path, write: Callable[[Path, Members], None], member: str, reason: str
) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    write(folder / "archive", {**VIDEOS, member: b"evil"})
    before = contents(tmp_path)
    with pytest.raises(UnsafeArchiveError, match=reason) as raised:
        extract_videos([folder / "archive"], folder / "videos")
    assert raised.value.archive == folder / "archive"
    assert contents(tmp_path) == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tars_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("link.mp4")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(UnsafeArchiveError, match="link or a device"):
        extract_videos([tmp_path / "a.tar"], tmp_path / "videos")


def test_links_in_zips_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("link.mp4")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UnsafeArchiveError, match="link or a device"):
        extract_videos([tmp_path / "a.zip"], tmp_path / "videos")


@pytest.mark.parametrize("content", [b"", b"no archive at all" * 100])
def test_what_is_no_archive_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(ArchiveError, match=r"a\.tar: damaged archive, or neither zip nor tar"):
        extract_videos([tmp_path / "a.tar"], tmp_path / "videos")


@pytest.mark.parametrize("write", [write_zip, write_tar, write_tar_gz])
def test_a_truncated_archive_is_an_error(tmp_path: Path, write: Callable[[Path, Members], None]) -> None:
    write(tmp_path / "archive", VIDEOS)
    whole = (tmp_path / "archive").read_bytes()
    (tmp_path / "archive").write_bytes(whole[: min(4000, len(whole) // 2)])
    with pytest.raises(ArchiveError, match="damaged archive"):
        extract_videos([tmp_path / "archive"], tmp_path / "videos")
    assert not (tmp_path / "videos").exists()


def test_a_missing_last_part_is_an_error(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {**VIDEOS, "last.mp4": b"l" * 10_000})
    whole = (tmp_path / "a.tar").read_bytes()
    # The cut falls between two members, where nothing but the missing end of the archive shows it.
    with tarfile.open(tmp_path / "a.tar") as archive:
        cut = archive.getmember("last.mp4").offset
    (tmp_path / "a.tar.part-0").write_bytes(whole[:cut])
    with pytest.raises(ArchiveError, match="one of its parts is incomplete"):
        extract_videos([tmp_path / "a.tar.part-0"], tmp_path / "videos")


def test_an_archive_whose_checksum_is_wrong_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    write_tar_gz(tmp_path / "a.tar.gz", VIDEOS)
    content = bytearray((tmp_path / "a.tar.gz").read_bytes())
    content[-8] ^= 1  # of the CRC-32, which is followed by the length
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(ArchiveError, match=r"a\.tar\.gz: damaged archive.*CRC"):
        extract_videos([tmp_path / "a.tar.gz"], tmp_path / "videos")
    assert not (tmp_path / "videos").exists()


@pytest.mark.parametrize(
    "compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_damaged_member_is_an_error_that_names_it_and_leaves_no_piece(tmp_path: Path, compression: int) -> None:
    content = random.Random(0).randbytes(5000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", compression) as archive:
        archive.writestr("a.mp4", content)
    whole = bytearray((tmp_path / "a.zip").read_bytes())
    for place in range(1000, 1100):
        whole[place] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(whole)
    with pytest.raises(ArchiveError, match=r"a\.zip: member 'a\.mp4' of a damaged archive"):
        extract_videos([tmp_path / "a.zip"], tmp_path / "videos")
    assert contents(tmp_path / "videos") == {}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        (6, b"\x01\x00", "is encrypted; extract it"),
        (8, b"\x63\x00", "is compressed by method 99"),
        (8, b"\x09\x00", "is compressed by method 9,"),
    ],
)
def test_members_that_cannot_be_read_are_named_before_anything_is_written(
    tmp_path: Path, field: int, value: bytes, reason: str
) -> None:
    write_zip(tmp_path / "a.zip", {"good.mp4": b"g", "bad.mp4": b"b"})
    content = bytearray((tmp_path / "a.zip").read_bytes())
    # The same field of the member's own header and, two bytes further on, of its entry in the directory.
    for signature, offset in ((b"PK\x03\x04", field), (b"PK\x01\x02", field + 2)):
        start = content.rindex(signature) + offset
        content[start : start + 2] = value
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ArchiveError, match=f"member 'bad.mp4' {reason}"):
        extract_videos([tmp_path / "a.zip"], tmp_path / "videos")
    assert not (tmp_path / "videos").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("second", [b"two", b"longer"])
def test_of_two_members_of_one_name_none_is_dropped(tmp_path: Path, kind: str, second: bytes) -> None:
    members = [("a.mp4", b"one"), ("./a.mp4", second)]
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "a", "w") as archive:
            for name, content in members:
                archive.writestr(name, content)
    else:
        write_tar(tmp_path / "a", dict(members))
    with pytest.raises(ArchiveError, match=r"two members are named 'a\.mp4'; nothing was extracted"):
        extract_videos([tmp_path / "a"], tmp_path / "videos")
    assert not (tmp_path / "videos").exists()


def test_a_video_cannot_be_the_folder_of_another(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {"a.mp4": b"a", "a.mp4/b.mp4": b"b"})
    with pytest.raises(ArchiveError, match=r"'a\.mp4' is a video and a folder"):
        extract_videos([tmp_path / "a.tar"], tmp_path / "videos")


def write_sparse_tar(file: Path, size: int) -> None:
    """A member in GNU's sparse format, one byte of which is stored."""
    header = tarfile.TarInfo("a.mp4")
    header.size, header.type = 512, tarfile.GNUTYPE_SPARSE
    block = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    block[386:410] = b"%011o\0%011o\0" % (size - 512, 512)  # where the stored bytes belong, and how many they are
    block[483:495] = b"%011o\0" % size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    file.write_bytes(bytes(block) + b"x" * 512 + bytes(1024))


def test_an_archive_that_would_fill_the_disk_is_refused_and_the_error_states_the_limit(tmp_path: Path) -> None:
    write_sparse_tar(tmp_path / "small.tar", 10_000)
    extract_videos([tmp_path / "small.tar"], tmp_path / "small")
    assert contents(tmp_path / "small") == {"a.mp4": bytes(10_000 - 512) + b"x" * 512}
    write_sparse_tar(tmp_path / "large.tar", 3 * 2**30)
    write_zip(tmp_path / "large.zip", {"a.mp4": bytes(70 * 2**20)})
    for name in ("large.tar", "large.zip"):
        with pytest.raises(ArchiveError, match=r"would become more than 67108864, which is the limit \(.*100 times"):
            extract_videos([tmp_path / name], tmp_path / "large")
    assert not (tmp_path / "large").exists()


def test_a_header_that_says_it_is_gigabytes_long_is_not_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@PaxHeader")
    info.size, info.type = 4 * 2**30, tarfile.XHDTYPE
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(2**20))
    with pytest.raises(ArchiveError, match="a header of 4294967296 bytes"):
        extract_videos([tmp_path / "a.tar.gz"], tmp_path / "videos")


def test_parts_are_grouped_by_archive_and_put_in_order() -> None:
    names = ["v.tar.part-10", "v.tar.part-9", "w.zip.002", "w.zip.001", "x.tar.gz", "y.tgz.part_ab", "y.tgz.part_aa"]
    groups = {key: [path.name for path in paths] for key, paths in group_parts([Path(n) for n in names]).items()}
    assert groups == {
        "v.tar": ["v.tar.part-9", "v.tar.part-10"],
        "w.zip": ["w.zip.001", "w.zip.002"],
        "x.tar.gz": ["x.tar.gz"],
        "y.tgz": ["y.tgz.part_aa", "y.tgz.part_ab"],
    }
