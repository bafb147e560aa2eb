"""A folder with everything that the README and the guides name, and a process that runs what they tell to run in it.

CLIP is a tiny model on the stand-in for the Hub, of which `me` is a user; `s3://` and `qdrant://` lead to others. Left
out are the lines that set up an environment, which are checked for what they name.
"""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer
from PIL import Image

from tests.dataset_builders.small_benchmarks import write_msrvtt
from tests.documents.blocks import REPOSITORY
from tests.hub.clients import HubClient
from tests.hub_stand_in import HubStandIn
from tests.index.qdrant.qdrant_server import serve
from tests.text.tiny_text_models import save_stanford
from tests.video_files import write_clip
from tests.warm_python import warm_python
from video_colbert.cli import build_parser
from video_colbert.commands.arguments.model_arguments import DEFAULT_MODEL

# What a training run over a handful of clips needs beside what a page says.
TINY_RUN = [
    "--max_train_steps=2",
    "--per_device_train_batch_size=3",
    "--gradient_accumulation_steps=1",
    "--hold_out=1",
    "--num_workers=0",
]
KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass(frozen=True)
class Workplace:
    """Where the blocks of a page are run.

    Attributes:
        names: what stands here for what the pages name.
        client: a process that sees the stand-ins and stands in the folder.
    """

    names: Mapping[str, str]
    client: HubClient

    def run_python(self, code: str) -> None:
        """Runs a block of code, which prints nothing here."""
        self.client(_run_python, self._replaced(code))

    def run_command(self, words: list[str]) -> None:
        """Runs a command, or checks what it names where it cannot be run here."""
        match words:
            case ["video-colbert", "train", *arguments]:
                assert self.client(_train, [*map(_of_repository, arguments), *TINY_RUN]) == 0
            case ["video-colbert", "serve", *arguments]:
                # It does not end by itself; the tests of the command start it.
                build_parser().parse_args(["serve", *arguments])
            case ["video-colbert", *arguments]:
                code, _, notices = self.client.command_line(*map(self._replaced, arguments))
                assert code == 0, f"{shlex.join(words)}: {notices}"
            case ["accelerate", "launch", "--quiet", "train.py", *arguments]:
                assert self.client(_train, [*map(_of_repository, arguments), *TINY_RUN]) == 0
            case ["python", "train.py", "--help"]:
                done = subprocess.run([warm_python(), "train.py", "--help"], cwd=REPOSITORY, capture_output=True)
                assert done.returncode == 0
            case ["make", target]:
                done = subprocess.run(["make", "-n", target], cwd=REPOSITORY, capture_output=True)
                assert done.returncode == 0, target
            case ["pip", "install", "-e", target]:
                extras = [extra for listed in re.findall(r"\[(.+)\]", target) for extra in listed.split(",")]
                project = (REPOSITORY / "pyproject.toml").read_text()
                assert all(f"\n{extra} = [" in project for extra in extras)
            case ["pip", "install", "torch", "--index-url", _]:
                pass
            case _:
                raise AssertionError(f"a page has a command that no test runs: {shlex.join(words)}")

    def _replaced(self, text: str) -> str:
        for name, stand_in in self.names.items():
            text = re.sub(rf"(?<![\w/]){re.escape(name)}", stand_in, text)
        return text


@contextlib.contextmanager
def open_workplace(folder: Path, backbone: Path, checkpoint: Path) -> Iterator[Workplace]:
    """Fills a folder with what the pages name, and starts what stands for the Hub, for S3 and for Qdrant.

    Args:
        folder: an empty one.
        backbone: a tiny CLIP checkpoint.
        checkpoint: a tiny Video-ColBERT checkpoint over it.
    """
    _write_files(folder, checkpoint)
    # A Hub of its own: what a page publishes has names that other tests publish under, too.
    with HubStandIn() as hub, serve() as qdrant, _object_storage(folder) as storage:
        hub.host(DEFAULT_MODEL, backbone)
        hub.host("colbert-ir/colbertv2.0", save_stanford(folder / "colbert"))
        settings = {**hub.settings(folder / "home"), **storage, "VIDEO_COLBERT_CACHE": str(folder / "cache")}
        client = HubClient({**settings, "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"})
        client(os.chdir, folder)
        names = {
            "CHECKPOINT": str(checkpoint),
            "me/": f"{hub.owner}/",
            "qdrant://host:6333/": f"qdrant://127.0.0.1:{qdrant.port}/",
        }
        try:
            yield Workplace(names, client)
        finally:
            client.close()


def _write_files(folder: Path, checkpoint: Path) -> None:
    # The examples remove c.mp4 and d.mp4.
    in_folder = [f"my_videos/{name}.mp4" for name in "cde"]
    for number, name in enumerate(("a.mp4", "b.mp4", *in_folder, "lectures/one.mp4")):
        write_clip(folder / name, number)
    Image.new("RGB", (64, 48), "teal").save(folder / "photo.jpg")
    notes = ("Leaves make energy, 1742", "A ball at night", "Rain in Iceland", "Two nails", "Red bread", "A train")
    (folder / "notes.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in notes))
    asked = ({"query": text, "videos": [f"notes.jsonl:{line}"]} for line, text in enumerate(notes, start=1))
    # As many as it takes to learn how likely hits are right.
    (folder / "judged.jsonl").write_text("\n".join([*map(json.dumps, asked)] * 12))
    (folder / "queries.txt").write_text("a red circle\na dog runs\n")
    (folder / "about.csv").write_text("video,year,genre\nc.mp4,2021,news\nd.mp4,2019,sport\n")
    write_clip(folder / "runs/demo/clips/test/test_000000.mp4", 0)
    shutil.copytree(checkpoint, folder / "runs/demo/training/best")
    write_msrvtt(folder / "MSRVTT")
    for number, video in enumerate(sorted((folder / "MSRVTT/videos").iterdir())):
        write_clip(video, number)
    for part in ("train", "validation", "test"):
        captions = []
        for number, name in enumerate(("one", "two", "three")):
            write_clip(folder / "clips" / part / f"{name}.mp4", number)
            captions.append(json.dumps({"video": f"{name}.mp4", "caption": f"a clip of {name}"}))
        (folder / "clips" / part / "captions.jsonl").write_text("\n".join(captions))


@contextlib.contextmanager
def _object_storage(folder: Path) -> Iterator[dict[str, str]]:
    """A bucket with a list of two videos, and these; gives the variables by which a process finds it."""
    storage = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    storage.start()
    try:
        host, port = storage.get_host_and_port()
        address = f"http://{host}:{port}"
        client = boto3.client(
            "s3",
            endpoint_url=address,
            region_name="us-east-1",
            aws_access_key_id="id",
            aws_secret_access_key="secret",  # noqa: S106 # of a stand-in
        )
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="list.txt", Body=b"a.mp4\nb.mp4\n")
        for name in ("a.mp4", "b.mp4"):
            client.put_object(Bucket="bucket", Key=name, Body=(folder / name).read_bytes())
        yield {**KEYS, "AWS_ENDPOINT_URL": address, "AWS_ALLOW_HTTP": "true"}
    finally:
        storage.stop()


def _of_repository(word: str) -> str:
    return str(REPOSITORY / word) if word.startswith("recipes/") else word


def _run_python(code: str) -> None:
    """Runs in the client's process."""
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(code, "page", "exec"), {"__name__": "page"})  # noqa: S102 # our own file


def _train(arguments: list[str]) -> int:
    """Runs in the client's process."""
    from video_colbert.training.arguments import parse_arguments
    from video_colbert.training.training_run import train

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return train(parse_arguments(arguments))
