"""Every recipe, dry: two steps over a tiny backbone of the same family and a handful of clips in official layouts."""

from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import pytest
import torch
import yaml
from accelerate import Accelerator
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.state import AcceleratorState

from tests.dataset_builders.small_benchmarks import WRITERS, write_activitynet
from tests.modeling_video_colbert.contextual_models import random_passages
from tests.tiny_models import random_batch, tiny_backbone
from tests.video_files import write_clip
from video_colbert.dataset_builders.protocols import get_protocol
from video_colbert.modeling_video_colbert import VideoColBERTConfig, VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.arguments import merged_recipes, parse_arguments
from video_colbert.training.contrastive_step import contrastive_step
from video_colbert.training.optimization import build_optimizer
from video_colbert.training.training_run import train

RECIPES = Path(__file__).parents[1] / "recipes"
DATA = sorted((RECIPES / "data").glob("*.yaml"))
BACKBONES = sorted((RECIPES / "backbone").glob("*.yaml"))
PEERS = sorted((RECIPES / "peers").glob("*.yaml"))
# What a field of the configuration holds that the paper leaves open.
OPEN_FIELDS = {
    "calibrate_logit_bias",
    "frame_head",
    "query_head",
    "share_logit_parameters",
    "temporal_init",
    "temporal_position_embedding",
    "temporal_residual",
}


def name_of(path: Path) -> str:
    return path.stem


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.getbasetemp() / "datasets")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module")
def benchmark_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives a benchmark's folder: its annotation files for a few videos, and those videos."""
    written: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in written:
            root = tmp_path_factory.mktemp(name)
            # Without its list files ActivityNet has a third training video, to hold one out.
            write_activitynet(root, lists=False) if name == "activitynet" else WRITERS[name](root)
            videos = [path for path in sorted(root.rglob("*")) if path.suffix in {".mp4", ".mkv", ".avi"}]
            for seed, video in enumerate(videos):
                made = write_clip(root / "made.mp4", seed=seed)
                made.rename(video)
            written[name] = root
        return written[name]

    return folder


def test_there_are_five_data_and_three_backbone_recipes() -> None:
    assert [*map(name_of, DATA)] == ["activitynet", "didemo", "msrvtt", "msvd", "vatex"]
    assert [*map(name_of, BACKBONES)] == ["clip_b16", "clip_b32", "siglip_b16"]


@pytest.mark.parametrize("backbone", BACKBONES, ids=name_of)
@pytest.mark.parametrize("data", DATA, ids=name_of)
def test_recipe_passes_its_dry_run(
    data: Path,
    backbone: Path,
    benchmark_folder: Callable[[str], Path],
    clip_backbone_folder: Path,
    siglip_backbone_folder: Path,
    tmp_path: Path,
) -> None:
    tiny = siglip_backbone_folder if "siglip" in backbone.stem else clip_backbone_folder
    overrides = {
        "backbone": tiny,
        "data_dir": benchmark_folder(data.stem),
        "output_dir": tmp_path,
        "max_train_steps": 2,
        # Always of two videos, since these have two captions at least.
        "per_device_train_batch_size": 3 if merged_recipes([data]).get("caption_sampling") == "all" else 2,
        "gradient_accumulation_steps": 1,
        "hold_out": 1,
        "num_workers": 0,
        "allow_missing": "false",
    }
    command_line = [f"--{name}={value}" for name, value in overrides.items()]
    assert train(parse_arguments(["--recipe", str(data), str(backbone), *command_line])) == 0
    config = VideoColBERTModel.from_pretrained(tmp_path / "best").config
    expected = merged_recipes([data, backbone])["config_overrides"]
    assert {name: getattr(config, name) for name in expected} == expected


@pytest.mark.parametrize("peer", PEERS, ids=name_of)
def test_peer_builds_a_model_and_takes_training_steps(peer: Path, tmp_path: Path) -> None:
    # Of CLIP's proportions: the text tower is as wide as the joint space, which temporal_init: clip needs.
    tiny_backbone("clip", clip_projection_dim=32).save_pretrained(tmp_path)
    files = [RECIPES / "data" / "msrvtt.yaml", RECIPES / "backbone" / "clip_b32.yaml", peer]
    arguments = parse_arguments(
        ["--recipe", *map(str, files), f"--backbone={tmp_path}", "--data_dir=.", "--output_dir=."]
    )
    expected = {**merged_recipes(files[:2])["config_overrides"], **merged_recipes([peer])["config_overrides"]}
    assert arguments.config_overrides == expected
    # What a tiny text tower has.
    sizes = {"temporal_num_layers": 3, "temporal_num_heads": 4, "query_length": 16}
    model = VideoColBERTModel.from_backbone(tmp_path, **(arguments.config_overrides | sizes)).train()
    assert {name: getattr(model.config, name) for name in expected} == expected | sizes
    optimizer = build_optimizer(model, arguments)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    batches = [random_batch(3, 3, seed=seed) for seed in range(2)]
    for place, batch in enumerate(batches):
        batch["video_keys"] = batch["caption_keys"] = torch.arange(3) + 3 * place
        if model.config.passage_levels:
            batch |= random_passages(3, seed=place) | {"query_levels": torch.full((3,), -1)}
    accelerator = Accelerator(cpu=True)
    wrapped = accelerator.prepare(model)
    # The temporal transformer's frame output starts at zero, so its layers learn from the second step on.
    for _ in range(2):
        optimizer.zero_grad()
        assert torch.isfinite(contrastive_step(accelerator, wrapped, batches).loss)
        optimizer.step()
    # Attention does not see a bias that is the same for all keys; the others all move.
    still = [name for name, new in model.named_parameters() if new.numel() and torch.equal(before[name], new)]
    assert [name for name in still if not name.endswith("k_proj.bias")] == []


def test_whole_run_of_a_peer_trains_selects_and_saves_it(
    benchmark_folder: Callable[[str], Path], clip_backbone_folder: Path, tmp_path: Path
) -> None:
    recipes = [
        RECIPES / "data" / "msrvtt.yaml",
        RECIPES / "backbone" / "clip_b32.yaml",
        RECIPES / "peers" / "drl_wti.yaml",
    ]
    command_line = [
        f"--backbone={clip_backbone_folder}",
        f"--data_dir={benchmark_folder('msrvtt')}",
        f"--output_dir={tmp_path}",
        "--max_train_steps=2",
        "--per_device_train_batch_size=3",
        "--hold_out=1",
        "--num_workers=0",
        # The tiny text tower is wider than its joint space.
        '--config_overrides={"temporal_init": "random"}',
    ]
    assert train(parse_arguments(["--recipe", *map(str, recipes), *command_line])) == 0
    model = VideoColBERTModel.from_pretrained(tmp_path / "best")
    assert model.config.interaction == "weighted_token_wise"
    assert set(model.token_weights) == {"query", "video"}


@pytest.mark.parametrize("data", DATA, ids=name_of)
def test_best_checkpoint_is_chosen_on_validation_where_the_protocol_has_it(data: Path) -> None:
    recipe = merged_recipes([data])
    splits = get_protocol(recipe["dataset"], recipe["protocol"]).splits
    assert recipe.get("validation_split") == ("validation" if "validation" in splits else None)
    assert recipe["dataset"] == data.stem


@pytest.mark.parametrize("backbone", BACKBONES, ids=name_of)
def test_every_choice_that_the_paper_leaves_open_is_written_out_and_marked(backbone: Path) -> None:
    recipe = merged_recipes([backbone])
    assert recipe["config_overrides"].keys() >= OPEN_FIELDS
    assert "open" in VideoColBERTConfig.__doc__
    text = backbone.read_text()
    for name in OPEN_FIELDS:
        comment = [line for line in text.partition(f"{name}:")[0].splitlines() if "#" in line][-3:]
        assert "open" in "\n".join(comment).lower(), name


@pytest.mark.parametrize(("name", "processes"), [("one_gpu", 1), ("eight_gpus", 8), ("cpu", 1)])
def test_accelerate_reads_its_configuration(name: str, processes: int) -> None:
    file = RECIPES / "accelerate" / f"{name}.yaml"
    config = load_config_from_file(str(file))
    assert config.num_processes == processes
    assert config.use_cpu == (name == "cpu")
    assert yaml.safe_load(file.read_text())["mixed_precision"] == ("no" if name == "cpu" else "bf16")


def test_the_demos_model_cuts_no_query_of_words_that_its_captions_lack(clip_backbone_folder: Path) -> None:
    overrides = yaml.safe_load((RECIPES / "demo.yaml").read_text())["config_overrides"]
    fields = {name: overrides[name] for name in ("query_length", "query_windows")}
    processor = VideoColBERTProcessor.from_backbone(clip_backbone_folder, **fields)
    queries = ["something extraordinary that zigzags and wobbles", "a person", "a red square grows"]
    assert len(processor.tokenizer(queries[0])["input_ids"]) > overrides["query_length"]
    assert processor.truncated_queries(queries) == []
    spelled = "".join(word.word for word in processor.query_words(queries)[0])
    assert spelled == queries[0].replace(" ", "")
