"""Downloads the data-only copies of the benchmarks that others keep on the Hugging Face Hub, at a fixed revision.

What the repositories hold was read from their cards and from code that uses them, not from the files themselves;
`check_protocol` compares what is loaded with the protocol.
"""

import json
import logging
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download

from .archive_parts import group_parts
from .video_archives import extract_videos

logger = logging.getLogger(__name__)

RECORD_FILE = "hub_mirror.json"


@dataclass(frozen=True)
class Mirror:
    """A data set repository that holds a benchmark.

    Attributes:
        repo_id: The repository.
        annotations: Patterns of its annotation files that the benchmark's builder reads.
        archives: Patterns of its archives of videos.
        revision: The commit to read; None where none is known, so that the newest at the time of the first
            download is read and recorded.
    """

    repo_id: str
    annotations: tuple[str, ...]
    archives: tuple[str, ...]
    revision: str | None = None


MIRRORS: Mapping[str, Mirror] = {
    "msrvtt": Mirror(
        "friedrichor/MSR-VTT",
        annotations=("msrvtt_*.json",),
        archives=("MSRVTT_Videos.zip",),
        revision="81f238bb782a1c9795e13fbc4391368e44afddfe",
    ),
    "msvd": Mirror(
        "friedrichor/MSVD",
        annotations=("msvd_*.json",),
        archives=("MSVD_Videos.zip",),
    ),
    "didemo": Mirror(
        "friedrichor/DiDeMo",
        annotations=("didemo_*.json",),
        archives=("DiDeMo_Videos*.tar", "DiDeMo_Videos*.tar.part-*"),
    ),
    "activitynet": Mirror(
        "friedrichor/ActivityNet_Captions",
        annotations=("raw_data/train.json", "raw_data/val_1.json"),
        archives=("ActivityNet_Videos.tar.part-*",),
    ),
}


def download_mirror(
    name: str,
    data_dir: str | Path,
    *,
    revision: str | None = None,
    videos: bool = True,
    archives: str | None = None,
    token: str | None = None,
) -> Path:
    """Downloads a benchmark's copy on the Hub into a folder that `load_benchmark` reads.

    The commit is recorded in the folder, and later calls read the same one. What is there is not fetched or
    extracted again.

    Args:
        name: "msrvtt", "msvd", "didemo" or "activitynet".
        data_dir: Folder to fill; made if it does not exist. Videos go to `videos` in it.
        revision: Commit, branch or tag of the repository; by default the recorded one, else the known one, else the
            newest.
        videos: Whether to fetch the videos (2 to 42 GB), or the annotations alone.
        archives: Pattern of the archives to fetch, such as "*test*"; by default all.
        token: Access token of the Hub, where the repository needs one.

    Returns:
        The folder.

    Raises:
        ValueError: No copy of the benchmark is known, the folder holds another revision, or the repository does not
            hold the files that are expected.
        ArchiveError: An archive is damaged, or would write outside the folder.
    """
    if name not in MIRRORS:
        raise ValueError(f"no copy of {name!r} on the Hub is known; there are copies of {', '.join(MIRRORS)}")
    mirror = MIRRORS[name]
    target = Path(data_dir)
    target.mkdir(parents=True, exist_ok=True)
    record_file = target / RECORD_FILE
    record = json.loads(record_file.read_text("utf-8")) if record_file.exists() else {}
    commit = resolve_revision(mirror, record, revision, token)
    if record and (record["repo_id"], record["revision"]) != (mirror.repo_id, commit):
        raise ValueError(
            f"{target} holds {record['repo_id']} at {record['revision']}, not {mirror.repo_id} at {commit}; "
            "choose another folder"
        )
    record = {"repo_id": mirror.repo_id, "revision": commit, "extracted": record.get("extracted", [])}
    _write_record(record_file, record)
    files = HfApi(token=token).list_repo_files(mirror.repo_id, repo_type="dataset", revision=commit)

    def fetch(file: str) -> Path:
        return Path(hf_hub_download(mirror.repo_id, file, repo_type="dataset", revision=commit, token=token))

    for file in _matching(files, mirror.annotations, mirror.repo_id):
        destination = target / file
        if not destination.exists():
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(fetch(file), destination)
    if not videos:
        return target
    wanted = [
        file
        for file in _matching(files, mirror.archives, mirror.repo_id)
        if archives is None or fnmatch(file, archives)
    ]
    if not wanted:
        raise ValueError(f"no archive of {mirror.repo_id} matches {archives!r}")
    for archive, parts in group_parts([Path(file) for file in wanted]).items():
        if archive not in record["extracted"]:
            extracted = extract_videos([fetch(part.as_posix()) for part in parts], target / "videos")
            logger.info("%s: %d videos from %s", mirror.repo_id, len(extracted), archive)
            record["extracted"].append(archive)
            _write_record(record_file, record)
    return target


def resolve_revision(
    mirror: Mirror, record: Mapping[str, object], revision: str | None = None, token: str | None = None
) -> str:
    """Turns a revision into a full commit hash.

    Args:
        mirror: The repository.
        record: What an earlier download recorded; empty for the first.
        revision: What was asked for, if anything.
        token: Access token of the Hub.

    Returns:
        The hash.

    Raises:
        ValueError: The Hub does not say which commit the revision is.
    """
    wanted = revision or record.get("revision") or mirror.revision or "main"
    if re.fullmatch(r"[0-9a-f]{40}", str(wanted)):
        return str(wanted)
    commit = HfApi(token=token).dataset_info(mirror.repo_id, revision=str(wanted)).sha
    if commit is None:
        raise ValueError(f"the Hub names no commit for {mirror.repo_id} at {wanted}")
    return commit


def _matching(files: list[str], patterns: tuple[str, ...], repo_id: str) -> list[str]:
    found = []
    for pattern in patterns:
        matches = sorted(file for file in files if fnmatch(file, pattern))
        if not matches:
            raise ValueError(f"{repo_id} holds no file {pattern}; it has {', '.join(sorted(files)[:20])}")
        found += matches
    return found


def _write_record(file: Path, record: Mapping[str, object]) -> None:
    unfinished = file.with_name(f".{file.name}.part")
    unfinished.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    unfinished.replace(file)
