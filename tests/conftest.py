import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from tests.files_that_take_longest import FILES_THAT_TAKE_LONGEST
from tests.hub_stand_in import HubStandIn
from tests.tiny_checkpoints import save_tiny_backbone, save_tiny_checkpoint
from tests.tiny_tokenizers import (
    build_clip_tokenizer,
    build_metaclip_2_tokenizer,
    build_modernbert_tokenizer,
    build_siglip_2_tokenizer,
    build_siglip_tokenizer,
    build_videoprism_tokenizer,
)
from tests.warm_python.launching import end_server, make_folder
from video_colbert import VideoColBERTEncoder


def pytest_configure(config: pytest.Config) -> None:
    # Several of these processes, and those that they start, share the cores. Threads of small sums would wait for each
    # other in a loop, which takes three times as long as one thread.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    if config.option.markexpr != "gpu":
        # A GPU rounds in its own way; the tests, and the processes they start, come out alike on every machine.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif not torch.cuda.is_available():
        raise pytest.UsageError("tests marked gpu need a GPU and a torch that finds it")
    if not hasattr(config, "workerinput"):
        make_folder()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Begun last, a long file would keep one process busy after the others have ended.
    order = {name: place for place, name in enumerate(FILES_THAT_TAKE_LONGEST)}
    items.sort(key=lambda item: order.get(item.location[0], len(order)))


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        end_server()


@pytest.fixture(scope="session", autouse=True)
def _own_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What commands keep for a user goes to a folder of the tests', in the processes that they start too."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("VIDEO_COLBERT_CACHE", str(tmp_path_factory.mktemp("user_cache")))
        yield


@pytest.fixture(autouse=True)
def _environment_as_it_was() -> Iterator[None]:
    """Commands that run in the tests' own process set variables, which later tests must not see."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session")
def clip_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    return build_clip_tokenizer(tmp_path_factory.mktemp("clip_tokenizer"))


@pytest.fixture(scope="session")
def siglip_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    return build_siglip_tokenizer(tmp_path_factory.mktemp("siglip_tokenizer"))


@pytest.fixture(scope="session")
def metaclip_2_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    return build_metaclip_2_tokenizer(tmp_path_factory.mktemp("metaclip_2_tokenizer"))


@pytest.fixture(scope="session")
def siglip_2_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    return build_siglip_2_tokenizer(tmp_path_factory.mktemp("siglip_2_tokenizer"))


@pytest.fixture(scope="session")
def videoprism_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    return build_videoprism_tokenizer(tmp_path_factory.mktemp("videoprism_tokenizer"))


@pytest.fixture(scope="session")
def modernbert_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    return build_modernbert_tokenizer(tmp_path_factory.mktemp("modernbert_tokenizer"))


@pytest.fixture(scope="session")
def clip_backbone_folder(tmp_path_factory: pytest.TempPathFactory, clip_tokenizer: PreTrainedTokenizerBase) -> Path:
    return save_tiny_backbone(tmp_path_factory.mktemp("clip_backbone"), clip_tokenizer)


@pytest.fixture(scope="session")
def siglip_backbone_folder(
    tmp_path_factory: pytest.TempPathFactory, siglip_tokenizer: PreTrainedTokenizerBase
) -> Path:
    return save_tiny_backbone(tmp_path_factory.mktemp("siglip_backbone"), siglip_tokenizer, "siglip")


@pytest.fixture(scope="session")
def metaclip_2_backbone_folder(
    tmp_path_factory: pytest.TempPathFactory, metaclip_2_tokenizer: PreTrainedTokenizerBase
) -> Path:
    return save_tiny_backbone(tmp_path_factory.mktemp("metaclip_2_backbone"), metaclip_2_tokenizer, "metaclip_2")


@pytest.fixture(scope="session")
def siglip_2_backbone_folder(
    tmp_path_factory: pytest.TempPathFactory, siglip_2_tokenizer: PreTrainedTokenizerBase
) -> Path:
    """A fixed-resolution SigLIP 2 checkpoint as it lies on the Hub: SigLIP's model type and Gemma's tokenizer."""
    return save_tiny_backbone(tmp_path_factory.mktemp("siglip_2_backbone"), siglip_2_tokenizer, "siglip")


@pytest.fixture(scope="session")
def siglip2_backbone_folder(
    tmp_path_factory: pytest.TempPathFactory, siglip_2_tokenizer: PreTrainedTokenizerBase
) -> Path:
    """A SigLIP 2 checkpoint of variable resolution (NaFlex), of a model type of its own."""
    return save_tiny_backbone(tmp_path_factory.mktemp("siglip2_backbone"), siglip_2_tokenizer, "siglip2")


@pytest.fixture(scope="session")
def videoprism_backbone_folder(
    tmp_path_factory: pytest.TempPathFactory, videoprism_tokenizer: PreTrainedTokenizerBase
) -> Path:
    return save_tiny_backbone(tmp_path_factory.mktemp("videoprism_backbone"), videoprism_tokenizer, "videoprism")


@pytest.fixture(scope="session")
def pe_video_backbone_folder(
    tmp_path_factory: pytest.TempPathFactory, modernbert_tokenizer: PreTrainedTokenizerBase
) -> Path:
    return save_tiny_backbone(tmp_path_factory.mktemp("pe_video_backbone"), modernbert_tokenizer, "pe_video")


@pytest.fixture(scope="session")
def pe_audio_video_backbone_folder(
    tmp_path_factory: pytest.TempPathFactory, modernbert_tokenizer: PreTrainedTokenizerBase
) -> Path:
    """A PE-AV checkpoint as it lies on the Hub: with audio, of which the part of texts and videos is taken."""
    folder = tmp_path_factory.mktemp("pe_audio_video_backbone")
    return save_tiny_backbone(folder, modernbert_tokenizer, "pe_audio_video")


@pytest.fixture(scope="session")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory, clip_backbone_folder: Path) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("checkpoint"), clip_backbone_folder)


@pytest.fixture(scope="module")
def encoder(checkpoint_folder: Path) -> VideoColBERTEncoder:
    """An encoder of a tiny checkpoint; each file of tests has one of its own."""
    return VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")


@pytest.fixture(scope="session")
def hub() -> Iterator[HubStandIn]:
    with HubStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def quiet_datasets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Data sets are made in a folder of the test, without progress bars."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()
