"""The README, run from top to bottom: its Python blocks as they stand, its commands with what is at hand here.

CLIP is a tiny model on the stand-in for the Hub, of which `me` is a user; `s3://` and `qdrant://` lead to others. Left
out are the lines that set up an environment, which are checked for what they name. The examples of each command's help
are run likewise.
"""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image

from tests.dataset_builders.small_benchmarks import write_msrvtt
from tests.hub.clients import HubClient
from tests.hub_stand_in import HubStandIn
from tests.index.qdrant.qdrant_server import serve
from tests.text.tiny_text_models import save_stanford
from tests.video_files import write_clip
from tests.warm_python import warm_python
from video_colbert.cli import COMMANDS, build_parser, main
from video_colbert.commands.arguments.model_arguments import DEFAULT_MODEL

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text()
# What a training run over a handful of clips needs beside what the README says.
TINY_RUN = [
    "--max_train_steps=2",
    "--per_device_train_batch_size=3",
    "--gradient_accumulation_steps=1",
    "--hold_out=1",
    "--num_workers=0",
    "--output_dir=run",
]


@dataclass(frozen=True)
class Block:
    """A fenced block of the README.

    Attributes:
        language: what stands after the fence.
        text: the lines between the fences.
    """

    language: str
    text: str


BLOCKS = [Block(language, text) for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", README, re.M | re.S)]


def commands(block: Block) -> Iterator[list[str]]:
    """The words of each command of a block, without comments."""
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if words:
            yield words


@pytest.fixture
def workplace(
    tmp_path: Path, clip_backbone_folder: Path, checkpoint_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with everything that the README names."""
    # The examples remove c.mp4 and d.mp4.
    in_folder = [f"my_videos/{name}.mp4" for name in "cde"]
    for number, name in enumerate(("a.mp4", "b.mp4", *in_folder, "lectures/one.mp4")):
        write_clip(tmp_path / name, number)
    Image.new("RGB", (64, 48), "teal").save(tmp_path / "photo.jpg")
    notes = ("Leaves make energy, 1742", "A ball at night", "Rain in Iceland", "Two nails", "Red bread", "A train")
    (tmp_path / "notes.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in notes))
    asked = ({"query": text, "videos": [f"notes.jsonl:{line}"]} for line, text in enumerate(notes, start=1))
    (tmp_path / "judged.jsonl").write_text("\n".join(map(json.dumps, asked)))
    (tmp_path / "about.csv").write_text("video,year,genre\nc.mp4,2021,news\nd.mp4,2019,sport\n")
    write_clip(tmp_path / "runs/demo/clips/test/test_000000.mp4", 0)
    shutil.copytree(checkpoint_folder, tmp_path / "runs/demo/training/best")
    write_msrvtt(tmp_path / "MSRVTT")
    for number, video in enumerate(sorted((tmp_path / "MSRVTT/videos").iterdir())):
        write_clip(video, number)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path


@pytest.fixture
def hub() -> Iterator[HubStandIn]:
    """A Hub of its own: what the README publishes has names that other tests publish under, too."""
    with HubStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def names(
    hub: HubStandIn, clip_backbone_folder: Path, checkpoint_folder: Path, tmp_path: Path
) -> Iterator[dict[str, str]]:
    """What stands here for what the README names."""
    hub.host(DEFAULT_MODEL, clip_backbone_folder)
    hub.host("colbert-ir/colbertv2.0", save_stanford(tmp_path / "colbert"))
    with serve() as qdrant:
        yield {
            "CHECKPOINT": str(checkpoint_folder),
            "me/": f"{hub.owner}/",
            "qdrant://host:6333/": f"qdrant://127.0.0.1:{qdrant.port}/",
        }


@pytest.fixture
def client(hub: HubStandIn, workplace: Path, names: dict[str, str]) -> Iterator[HubClient]:
    """A process that sees the stand-ins and stands in the folder."""
    storage = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    storage.start()
    host, port = storage.get_host_and_port()
    address = f"http://{host}:{port}"
    keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="id",
        aws_secret_access_key="secret",  # noqa: S106 # of a stand-in
    ).create_bucket(Bucket="bucket")
    settings = {
        **hub.settings(workplace / "home"),
        **keys,
        "AWS_ENDPOINT_URL": address,
        "AWS_ALLOW_HTTP": "true",
        "VIDEO_COLBERT_CACHE": str(workplace / "cache"),
    }
    client = HubClient({**settings, "OMP_NUM_THREADS": "1"})
    client(os.chdir, workplace)
    yield client
    client.close()
    storage.stop()


def replaced(text: str, names: dict[str, str]) -> str:
    for name, stand_in in names.items():
        text = re.sub(rf"(?<![\w/]){re.escape(name)}", stand_in, text)
    return text


def run_python(code: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(code, "README.md", "exec"), {"__name__": "readme"})  # noqa: S102 # our own file


def train(arguments: list[str]) -> int:
    """Runs in the client's process."""
    from video_colbert.training.arguments import parse_arguments
    from video_colbert.training.training_run import train as run

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return run(parse_arguments(arguments))


def run_command(words: list[str], names: dict[str, str], client: HubClient) -> None:
    match words:
        case ["video-colbert", "train", *arguments]:
            assert client(train, [*arguments, *TINY_RUN]) == 0
        case ["video-colbert", "serve", *arguments]:
            # It does not end by itself; the tests of the command start it.
            build_parser().parse_args(["serve", *arguments])
        case ["video-colbert", *arguments]:
            code, _, notices = client.command_line(*(replaced(word, names) for word in arguments))
            assert code == 0, f"{shlex.join(words)}: {notices}"
        case ["accelerate", "launch", "--quiet", "train.py", *arguments]:
            recipes = [str(REPOSITORY / word) if word.startswith("recipes/") else word for word in arguments]
            assert client(train, [*recipes, *TINY_RUN]) == 0
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
            raise AssertionError(f"the README has a command that no test runs: {shlex.join(words)}")


def needs_ray(words: list[str]) -> bool:
    return "--ray" in words


def test_every_block_runs(workplace: Path, names: dict[str, str], client: HubClient) -> None:
    for block in BLOCKS:
        if block.language == "python":
            client(run_python, replaced(block.text, names))
        elif block.language == "bash":
            for words in commands(block):
                if not needs_ray(words):
                    run_command(words, names, client)


def test_the_examples_of_every_help_run(workplace: Path, names: dict[str, str], client: HubClient) -> None:
    for command in COMMANDS:
        for example in command.EXAMPLES:
            # Of a line that a shell runs, the command in it.
            [found] = re.findall(r"video-colbert [^|)]+", example)
            run_command(shlex.split(found), names, client)


def test_every_help_shows_its_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit, match="0"):
            main([command.NAME, "--help"])
        shown = " ".join(capsys.readouterr().out.split())
        # Nothing in it is a placeholder that was not filled, or a sign that was written twice for one.
        assert "%%" not in shown
        assert "%(" not in shown
        assert command.EXAMPLES
        assert all(example in shown for example in command.EXAMPLES)


def test_every_command_in_the_text_is_understood() -> None:
    inline = [text.replace("\n", " ") for text in re.findall(r"`(video-colbert [^`]+)`", README)]
    for command in inline:
        build_parser().parse_args(shlex.split(command)[1:])


def test_blocks_are_of_languages_that_are_run_or_shown() -> None:
    assert {block.language for block in BLOCKS} <= {"python", "bash", "text"}
    assert sum(block.language == "python" for block in BLOCKS) >= 2


@pytest.mark.parametrize("name", re.findall(r"\]\(((?:docs|recipes)/[^)#]+)", README))
def test_links_lead_to_files(name: str) -> None:
    assert (REPOSITORY / name).exists()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(\w+\.py)` \|$", README, re.M))))
def test_every_quoted_figure_has_its_script(name: str) -> None:
    assert (REPOSITORY / "benchmarks" / name).exists()
