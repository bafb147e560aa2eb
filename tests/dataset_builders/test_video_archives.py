import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from video_colbert.dataset_builders.video_archives import UnsafeArchiveError, extract_videos, group_parts

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
    with pytest.raises(ValueError, match=r"a\.tar: damaged archive, or neither zip nor tar"):
        extract_videos([tmp_path / "a.tar"], tmp_path / "videos")


@pytest.mark.parametrize("write", [write_zip, write_tar, write_tar_gz])
def test_a_truncated_archive_is_an_error(tmp_path: Path, write: Callable[[Path, Members], None]) -> None:
    write(tmp_path / "archive", VIDEOS)
    whole = (tmp_path / "archive").read_bytes()
    (tmp_path / "archive").write_bytes(whole[: min(4000, len(whole) // 2)])
    with pytest.raises(ValueError, match="damaged archive"):
        extract_videos([tmp_path / "archive"], tmp_path / "videos")
    assert not (tmp_path / "videos").exists()


def test_a_missing_last_part_is_an_error(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {**VIDEOS, "last.mp4": b"l" * 10_000})
    whole = (tmp_path / "a.tar").read_bytes()
    # The cut falls between two members, where nothing but the missing end of the archive shows it.
    with tarfile.open(tmp_path / "a.tar") as archive:
        cut = archive.getmember("last.mp4").offset
    (tmp_path / "a.tar.part-0").write_bytes(whole[:cut])
    with pytest.raises(ValueError, match="one of its parts is incomplete"):
        extract_videos([tmp_path / "a.tar.part-0"], tmp_path / "videos")


def test_parts_are_grouped_by_archive_and_put_in_order() -> None:
    names = ["v.tar.part-10", "v.tar.part-9", "w.zip.002", "w.zip.001", "x.tar.gz", "y.tgz.part_ab", "y.tgz.part_aa"]
    groups = {key: [path.name for path in paths] for key, paths in group_parts([Path(n) for n in names]).items()}
    assert groups == {
        "v.tar": ["v.tar.part-9", "v.tar.part-10"],
        "w.zip": ["w.zip.001", "w.zip.002"],
        "x.tar.gz": ["x.tar.gz"],
        "y.tgz": ["y.tgz.part_aa", "y.tgz.part_ab"],
    }
