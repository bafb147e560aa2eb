import json
import tracemalloc
from dataclasses import fields
from pathlib import Path

import pytest

from video_colbert.training.arguments import TrainingArguments, merged_recipes, parse_arguments


def write_recipe(folder: Path, text: str, name: str = "recipe.yaml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_recipes_compose_and_arguments_override_them(tmp_path: Path) -> None:
    data = write_recipe(tmp_path, "dataset: msrvtt\nnum_frames: 12\nconfig_overrides: {query_length: 32}", "data.yaml")
    backbone = write_recipe(
        tmp_path,
        "backbone: some/clip\nnum_frames: 8\nlearning_rate: 1e-4\nfreeze: [text]\n"
        "config_overrides: {logit_bias_init: -10.5, max_frames: 64}",
        "backbone.yaml",
    )
    override = json.dumps({"max_frames": 16})
    arguments = parse_arguments(
        ["--recipe", str(data), str(backbone), "--learning_rate", "2e-4", "--config_overrides", override]
    )
    assert (arguments.dataset, arguments.backbone, arguments.num_frames) == ("msrvtt", "some/clip", 8)
    assert arguments.learning_rate == 2e-4
    assert arguments.freeze == ["text"]
    assert arguments.config_overrides == {"query_length": 32, "logit_bias_init": -10.5, "max_frames": 16}
    assert arguments.weight_decay == TrainingArguments(backbone="b").weight_decay


def test_number_that_yaml_takes_for_text_is_a_number(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "backbone: b\nlearning_rate: 1e-4\npush_to_hub: false")
    arguments = parse_arguments(["--recipe", str(recipe)])
    assert arguments.learning_rate == 1e-4
    assert arguments.push_to_hub is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("num_epochs: 3", "names 'num_epochs', which is no argument; did you mean 'num_train_epochs'"),
        ("zzz: 3", "names 'zzz', which is no argument$"),
        ("num_frames: five", "--num_frames.*invalid int value: 'five'"),
        ("num_frames: null", "num_frames is null"),
        ("caption_sampling: some", "caption_sampling.*invalid choice: 'some'"),
        ("config_overrides: 5", "config_overrides.*'5'"),
        ("[1, 2]", "must be a mapping"),
        ("a: [", "is not YAML"),
        ("seed: 1\nseed: 2", "'seed' is given twice"),
        (
            "config_overrides: &a {query_length: 5}\nprocessor_overrides: *a",
            "a refers to another value; write that out",
        ),
        ("config_overrides: &a {b: *a}", "a refers to another value"),
        ("config_overrides: " + "[" * 5000 + "]" * 5000, "is nested too deeply"),
        ("config_overrides: {query_length: 2020-01-01}", "not JSON serializable"),
        ("backbone: !!python/object/apply:os.getcwd []", "is not YAML of plain values"),
        ("seed: !!int ''", "holds a value that cannot be read"),
        ("push_to_hub: !!bool maybe", "holds a value that cannot be read"),
        ("seed: " + "1" * 5000, "holds a value that cannot be read"),
        ("? [a]\n: b", "is not YAML"),
    ],
)
def test_malformed_recipe_is_named_with_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    recipe = write_recipe(tmp_path, text)
    with pytest.raises(ValueError, match=f"(?s){recipe}.*{message}"):
        merged_recipes([recipe])


def test_a_recipe_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_bytes(b"backbone: caf\xe9")
    with pytest.raises(ValueError, match=f"{recipe} holds a value that cannot be read: .*utf-8"):
        merged_recipes([recipe])


def test_a_recipe_of_references_takes_little_memory(tmp_path: Path) -> None:
    lines = ["config_overrides:", "  a: &a [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"  b{n}: &b{n} [{','.join(['*' + ('a' if n == 0 else f'b{n - 1}')] * 10)}]" for n in range(7)]
    recipe = write_recipe(tmp_path, "\n".join(lines))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="refers to another value"):
            merged_recipes([recipe])
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()


def test_a_dictionary_may_be_json_text_in_one_recipe_and_yaml_in_another(tmp_path: Path) -> None:
    text = write_recipe(tmp_path, "config_overrides: '{\"query_length\": 5}'", "text.yaml")
    mapping = write_recipe(tmp_path, "config_overrides: {max_frames: 7}", "mapping.yaml")
    for recipes in ([text, mapping], [mapping, text]):
        assert merged_recipes(recipes) == {"config_overrides": {"query_length": 5, "max_frames": 7}}


def test_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.yaml does not exist"):
        merged_recipes([tmp_path / "absent.yaml"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "either backbone"),
        ({"backbone": "b", "model": "m"}, "either backbone"),
        ({"model": "m", "config_overrides": {"max_frames": 3}}, "a model has its own"),
        ({"backbone": "b", "push_to_hub": True}, "push_to_hub needs hub_model_id"),
        ({"backbone": "b", "streaming": True}, "streaming needs max_train_steps"),
        ({"backbone": "b", "streaming": True, "max_train_steps": 1, "caption_sampling": "all"}, "goes with neither"),
        ({"backbone": "b", "freeze": ["sound"]}, "the towers are 'text' and 'image'"),
        ({"backbone": "b", "num_frames": 0}, "num_frames is 0; it must be at least 1"),
        ({"backbone": "b", "num_workers": -1}, "num_workers is -1"),
        ({"backbone": "b", "max_bad_share": 1.5}, r"max_bad_share is 1.5; it must be in \[0, 1\]"),
        ({"backbone": "b", "config_overrides": {"query_len": 3}}, r"\['query_len'\]"),
        ({"backbone": "b", "frame_cache": "c"}, "frame_cache_frames_per_segment, 2 or more, or random_frames=false"),
    ],
)
def test_value_that_makes_no_sense_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingArguments(**values)  # type: ignore[arg-type]


def test_saved_arguments_name_no_place_of_this_machine(tmp_path: Path) -> None:
    backbone = tmp_path / "some-clip"
    backbone.mkdir()
    arguments = TrainingArguments(backbone=str(backbone), data_dir="/data/videos", output_dir="/data/runs", seed=7)
    arguments.save(tmp_path / "arguments.json")
    text = (tmp_path / "arguments.json").read_text()
    assert "/" not in text
    assert json.loads(text)["backbone"] == "some-clip"
    assert json.loads(text)["seed"] == 7


def test_every_argument_is_described_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--recipe" in text
    for item in fields(TrainingArguments):
        assert item.metadata["help"][:20] in text, item.name
