"""The study of long captions, on a handful of clips."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import run_long_study
import torch
from long_backbone import TextTowerSettings, make_text_towers
from long_data import GALLERY, LENGTHS, LongCaptionsConfig, load_long_split, plan_long_clips
from transformers import AutoTokenizer, SiglipModel

from video_colbert.dataset_builders.shapes.graded_shapes_clips import render_task_clip
from video_colbert.training.tiny_backbones import save_tiny_clip_backbone, train_clip_tokenizer

DATA = LongCaptionsConfig(num_train=3, num_galleries=2, image_size=16)
TOWERS = TextTowerSettings(width=16, num_layers=1, num_stills=60, image_size=16, batch_size=8, steps=3, long_steps=2)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP whose tokenizer knows the words of the captions."""
    captions = [clip.caption for clip in plan_long_clips(replace(DATA, num_train=40), "train", 20)]
    folder = tmp_path_factory.mktemp("long") / "clip"
    sizes = {"width": 16, "num_layers": 1, "image_size": 16, "patch_size": 8, "text_length": 16}
    return save_tiny_clip_backbone(folder, train_clip_tokenizer([*captions, "a small medium large"]), **sizes)


@pytest.fixture(scope="module")
def towers(clip: Path) -> dict[str, Path]:
    return make_text_towers(clip.parent / "towers", clip, TOWERS)


@pytest.mark.parametrize("length", LENGTHS)
def test_clips_of_a_gallery_differ_in_one_word_and_in_its_frames(length: int, clip: Path) -> None:
    clips = plan_long_clips(DATA, "test", length)
    tokenizer = AutoTokenizer.from_pretrained(clip)
    places = set()
    for start in range(0, len(clips), GALLERY):
        gallery = clips[start : start + GALLERY]
        words = np.array([each.caption.split() for each in gallery])
        differing = np.flatnonzero((words != words[0]).any(0))
        assert len(differing) == 1
        assert len(set(words[:, differing[0]])) == GALLERY
        # The word tells: no other actor has its colour.
        assert all(list(row).count(row[differing[0]]) == 1 for row in words)
        frames = [render_task_clip(each) for each in gallery]
        sentence = words[0][: differing[0] + 1].tolist()
        event = sum(word.endswith(".") for word in sentence)
        changed = np.flatnonzero((frames[0] != frames[1]).any((1, 2, 3)))
        assert set(changed) <= {2 * event, 2 * event + 1}
        places.add(event)
    longest = max(len(tokenizer(each.caption)["input_ids"]) for each in clips)
    assert longest <= LENGTHS[length]


def test_towers_have_the_positions_that_they_are_to_have_and_are_made_once(
    towers: dict[str, Path], clip: Path
) -> None:
    models = {name: SiglipModel.from_pretrained(folder) for name, folder in towers.items()}
    positions = {name: model.config.text_config.max_position_embeddings for name, model in models.items()}
    assert positions == {"short": 16, "stretched": 128, "long": 128}
    layers = {name: model.text_model.encoder.layers[0].mlp.fc1.weight for name, model in models.items()}
    assert torch.equal(layers["short"], layers["stretched"])
    assert not torch.equal(layers["short"], layers["long"])
    assert make_text_towers(clip.parent / "towers", clip, TOWERS) == towers
    with pytest.raises(ValueError, match="other settings"):
        make_text_towers(clip.parent / "towers", clip, replace(TOWERS, steps=4))


@pytest.mark.parametrize("name", ["cut", "sentence_windows", "chunk_pooling", "long_pretraining"])
def test_a_configuration_is_trained_on_all_lengths_and_measured_on_each(
    name: str, towers: dict[str, Path], clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = run_long_study.configurations()
    arguments = run_long_study.run_arguments(known["common"], known[name], towers, seed=0)
    arguments.max_train_steps, arguments.per_device_train_batch_size = 4, 2
    monkeypatch.setattr(run_long_study, "DATA", DATA)
    splits = {split: load_long_split(clip.parent / "clips", DATA, clip, split) for split in ("train", "test")}
    rows = list(run_long_study.length_rows(arguments))
    assert [part for part, _ in rows] == [0, 1, 2, 3]
    model, processor = run_long_study.train_steps(arguments, list(splits["train"].values()), iter(rows))
    assert processor.process_queries([splits["test"][20].clips[0].caption])["input_ids"].shape[-1] in (16, 128)
    for length in LENGTHS:
        clips = splits["test"][length]
        right = 0
        for place, shown in enumerate(clips.clips):
            gallery = np.arange(place // GALLERY * GALLERY, place // GALLERY * GALLERY + GALLERY)
            queries = processor.process_queries([shown.caption])
            with torch.inference_mode():
                scores = model(**queries, pixel_values_videos=clips.pixel_values(gallery)).scores[0]
            ties = int((scores == scores[place % GALLERY]).sum())
            right += (scores.max() == scores[place % GALLERY]) / ties
        assert run_long_study.recall(model, processor, clips) == pytest.approx(100 * float(right) / 8, abs=13)


def test_the_report_has_a_curve_a_table_and_verdicts(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"configuration": name, "seed": seed, "sentences": length, "recall_at_1": recall + seed, "settings": "x"}
        for name, recall in (("cut", 30.0), ("sentence_windows", 80.0))
        for seed in (0, 1)
        for length in LENGTHS
    )
    (tmp_path / "study").mkdir()
    page = tmp_path / "study.md"
    page.write_text("".join(f"<!-- {name} -->\n\n<!-- end of {name} -->\n" for name in ("long", "long claims")))
    run_long_study.write_report(table, tmp_path)
    text = page.read_text()
    assert "| `sentence_windows` | 2 | 80.5 ± 0.7 |" in text
    assert "| `sentence_windows` > `cut` | supports | +50.0 [+50.0, +50.0] |" in text
    assert "| `sentence_windows` > `chunk_pooling` | not run |" in text
    assert (tmp_path / "study" / "long.png").stat().st_size < 100_000
