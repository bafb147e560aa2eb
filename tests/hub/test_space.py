"""Publishing a Space to the stand-in Hub, and starting what was pushed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import SpaceCard, snapshot_download

pytest.importorskip("gradio", reason="needs the extra [app]")

from tests.hub.clients import HubClient
from tests.hub_stand_in import HubStandIn
from tests.video_files import write_clip
from tests.warm_python import warm_python
from video_colbert import open_index
from video_colbert.hub import publish_checkpoint
from video_colbert.hub.space import publish_space


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("my_private_folder")
    for seed in range(3):
        write_clip(folder / f"clip_{seed}.mp4", seed)
    # Another file of the same name.
    write_clip(folder / "other" / "clip_0.mp4", 9)
    write_clip(folder / "gone.mp4", 10)
    return folder


@pytest.fixture(scope="module")
def model_id(module_client: HubClient, checkpoint_folder: Path) -> str:
    name = "tester/space-model"
    module_client(publish_checkpoint, checkpoint_folder, name)
    return name


@pytest.fixture(scope="module")
def module_client(hub: HubStandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubClient]:
    opened = HubClient(hub.settings(tmp_path_factory.mktemp("space_client")))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def index(module_client: HubClient, model_id: str, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("indexes") / "mine"
    code, _, err = module_client.command_line("index", videos, "--model", model_id, "--index", folder, "--workers", 1)
    assert code == 0, err
    (videos / "gone.mp4").unlink()
    return folder


@pytest.fixture(scope="module")
def published(module_client: HubClient, model_id: str, index: Path) -> tuple[str, str]:
    """The Space's name, and what the command said."""
    name = "tester/video-search"
    code, out, err = module_client.command_line("publish-space", name, "--model", model_id, "--index", index)
    assert code == 3, err
    assert "gone.mp4" in err
    return name, out


def test_everything_goes_in_one_commit(hub: HubStandIn, published: tuple[str, str]) -> None:
    name, out = published
    repository = hub.storage.readable("space", name, hub.owner)
    titles = [commit.title for commit in repository.history("main")]
    assert titles == ["Publish a page over an index of videos", "initial commit"]
    assert f"Space: {hub.endpoint}/spaces/{name}" in out
    files = repository.resolve("main").files
    assert {"app.py", "requirements.txt", "README.md"} <= files.keys()
    assert sorted(path for path in files if path.startswith("videos/"))[0].startswith("videos/clip_0")
    assert len([path for path in files if path.startswith("videos/")]) == 4
    assert "video_colbert/processing/video_decoding.py" in files
    assert "video_colbert/app/page/static/main.js" in files
    assert not [path for path in files if "__pycache__" in path or path.endswith(".lock")]


def test_the_card_has_the_metadata_that_the_hub_builds_by(
    hub: HubStandIn, published: tuple[str, str], model_id: str
) -> None:
    import gradio

    files = hub.storage.readable("space", published[0], hub.owner).resolve("main").files
    card = SpaceCard(files["README.md"].content.decode())
    assert (card.data.sdk, card.data.sdk_version, card.data.app_file) == ("gradio", gradio.__version__, "app.py")
    assert card.data.models == [model_id]
    needed = files["requirements.txt"].content.decode().splitlines()
    assert {re.split(r"[\[<>=!~ ]", line)[0] for line in needed[1:]} >= {"torch", "transformers", "lancedb", "gradio"}
    assert not [line for line in needed if "datasets" in line or "pytest" in line]


def test_nothing_of_this_machine_is_published(
    hub: HubStandIn, published: tuple[str, str], videos: Path, index: Path
) -> None:
    files = hub.storage.readable("space", published[0], hub.owner).resolve("main").files
    own = [path for path, file in files.items() if b"my_private_folder" in file.content or b"gone.mp4" in file.content]
    assert own == []
    # The index that was copied is as it was.
    with open_index(index) as opened:
        assert {video.path for video in opened.videos} > {str(videos / "clip_1.mp4"), str(videos / "gone.mp4")}


def test_what_was_pushed_starts_in_a_clean_environment_and_answers(
    hub: HubStandIn, module_client: HubClient, published: tuple[str, str], tmp_path: Path
) -> None:
    pushed = Path(
        module_client(snapshot_download, published[0], repo_type="space", local_dir=str(tmp_path / "pushed"))
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= hub.settings(tmp_path / "cache", token=None)
    environment |= {"GRADIO_SERVER_PORT": "0", "SPACE_HOST": "tester-video-search.hf.space", "PYTHONUNBUFFERED": "1"}
    # As `python app.py`, in another working directory; the package must be the one that was pushed.
    code = (
        f"import sys, runpy; sys.path.insert(0, {str(pushed)!r}); import video_colbert\n"
        f"assert video_colbert.__file__.startswith({str(pushed)!r}), video_colbert.__file__\n"
        f"runpy.run_path({str(pushed / 'app.py')!r}, run_name='__main__')"
    )
    process = subprocess.Popen(
        [warm_python(), "-c", code], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        address = f"http://127.0.0.1:{port_of(process)}"
        assert b"<title>Video search</title>" in ask(address, "/")
        [state] = call(address, "info", {})["indexes"]
        assert (state["videos"], state["folders"], state["num_bad"]) == (4, ["videos"], 0)
        hits = call(address, "search", {"text": "a red square"})["hits"]
        assert {hit["name"] for hit in hits} >= {"clip_1.mp4", "clip_2.mp4"}
        assert len(hits) == 4
        file = ask(address, f"/media/videos/{hits[0]['id']}/file")
        assert file == (pushed / hits[0]["video"]).read_bytes()
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_another_app_of_that_name_is_not_replaced(hub: HubStandIn, module_client: HubClient, index: Path) -> None:
    module_client(make_other_app, "tester/my-game")
    code, _, err = module_client.command_line("publish-space", "tester/my-game", "--index", index)
    assert code == 1
    assert "exists and holds another app" in err


def test_an_index_of_another_model_or_of_a_folders_is_refused(
    module_client: HubClient, index: Path, tmp_path: Path, checkpoint_folder: Path, videos: Path
) -> None:
    code, _, err = module_client.command_line("publish-space", "tester/x", "--model", "me/other", "--index", index)
    assert code == 1
    assert "not with me/other" in err
    local = tmp_path / "local"
    module_client.command_line(
        "index", videos / "clip_1.mp4", "--model", checkpoint_folder, "--index", local, "--workers", 1
    )
    code, _, err = module_client.command_line("publish-space", "tester/x", "--index", local)
    assert code == 1
    assert "which a Space cannot load" in err


def test_videos_that_are_too_large_and_conditions_are_told(module_client: HubClient, index: Path) -> None:
    code, _, err = module_client.command_line(
        "publish-space", "tester/x", "--index", index, "--where", "duration > 99"
    )
    assert code == 1
    assert "there is no video for the Space: none with duration > 99 has a file here" in err
    with pytest.raises(Exception, match="may take 0; choose fewer with --where"):
        module_client(publish_space, "tester/x", index, most_bytes=10)


def make_other_app(name: str) -> None:
    from huggingface_hub import HfApi

    HfApi().create_repo(name, repo_type="space", space_sdk="gradio")
    HfApi().upload_file(path_or_fileobj=b"print('a game')", path_in_repo="app.py", repo_id=name, repo_type="space")


def port_of(process: subprocess.Popen[str]) -> int:
    told = []
    assert process.stderr is not None
    for line in process.stderr:
        told.append(line)
        if found := re.search(r"at port (\d+)", line):
            return int(found[1])
    raise AssertionError("".join(told))


def ask(address: str, path: str, parameters: object = None) -> bytes:
    data = None if parameters is None else json.dumps(parameters).encode()
    request = urllib.request.Request(address + path, data, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - both are of this machine
        return bytes(answer.read())


def call(address: str, name: str, parameters: object) -> dict[str, object]:
    event = json.loads(ask(address, f"/gradio_api/call/v2/{name}", parameters))["event_id"]
    stream = ask(address, f"/gradio_api/call/{name}/{event}").decode()
    [data] = re.findall(r"event: complete\ndata: (.*)", stream)
    return json.loads(data)[0]
