"""Our models under `mteb.evaluate`, by both of its protocols, against our own evaluation."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

mteb = pytest.importorskip("mteb")

from tests.evaluation.mteb_models.clip_tasks import CAPTIONS, ClipsT2V, ClipsV2T, Form, video_column  # noqa: E402
from tests.video_files import write_clip  # noqa: E402
from video_colbert import VideoColBERTEncoder  # noqa: E402
from video_colbert.evaluation import mteb_model  # noqa: E402
from video_colbert.evaluation.dataset_rows import DatasetRows  # noqa: E402
from video_colbert.evaluation.evaluate import evaluate  # noqa: E402
from video_colbert.evaluation.graded_metrics import mean_ndcg  # noqa: E402

# To which mteb rounds what it measures.
MTEB_DECIMALS = 5

pytestmark = pytest.mark.usefixtures("quiet_datasets")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [write_clip(folder / f"{seed}.mp4", seed) for seed in range(len(CAPTIONS))]


@pytest.fixture(scope="module")
def own(encoder: VideoColBERTEncoder, clips: list[Path]) -> dict[str, dict[str, float]]:
    """What our own evaluation says of both directions, by mteb's names."""
    rows = [
        {"video_id": str(number), "video": str(clip), "captions": [caption], "start": None, "end": None}
        for number, (clip, caption) in enumerate(zip(clips, CAPTIONS, strict=True))
    ]
    report = evaluate(encoder, DatasetRows("made", "test", rows))
    scores = encoder.similarity(CAPTIONS, clips)
    found = {}
    for result in report.results:
        if result.level == "sum":
            of_direction = scores if result.direction == "text_to_video" else scores.T
            rankings = {
                str(row): [(str(column), score) for column, score in enumerate(line)]
                for row, line in enumerate(of_direction.tolist())
            }
            found[result.direction] = {
                "ndcg_at_10": mean_ndcg(rankings, {query: {query: 1.0} for query in rankings}),
                **{f"recall_at_{k}": result.metrics[f"R@{k}"] / 100 for k in (1, 5, 10)},
            }
    return found


def scores_of(model: Any, task: Any) -> dict[str, float]:
    result = mteb.evaluate(model, task, cache=None, co2_tracker=False, show_progress_bar=False)
    [scores] = result.task_results[0].scores["test"]
    return scores


@pytest.mark.parametrize("form", ["feature", "rows"])
def test_a_search_model_is_one_by_protocol_and_measures_what_our_evaluation_does(
    encoder: VideoColBERTEncoder, clips: list[Path], own: dict[str, dict[str, float]], form: Form
) -> None:
    model = mteb_model(encoder)
    assert isinstance(model, mteb.SearchProtocol)
    assert not isinstance(model, mteb.EncoderProtocol)
    scores = scores_of(model, ClipsT2V(clips, form))
    # It would say nothing if all were found, or none.
    assert 0 < own["text_to_video"]["recall_at_5"] < 1
    for name, value in own["text_to_video"].items():
        assert scores[name] == pytest.approx(round(value, MTEB_DECIMALS), abs=1e-6), name
    assert model.counted == {"ClipsT2V": (len(CAPTIONS), len(CAPTIONS))}


@pytest.mark.parametrize(("task", "direction"), [(ClipsT2V, "text_to_video"), (ClipsV2T, "video_to_text")])
@pytest.mark.parametrize("form", ["feature", "rows"])
def test_an_encoder_model_is_one_by_protocol_and_measures_the_same_in_both_directions(
    encoder: VideoColBERTEncoder,
    clips: list[Path],
    own: dict[str, dict[str, float]],
    task: type[Any],
    direction: str,
    form: Form,
) -> None:
    model = mteb_model(encoder, as_encoder=True)
    assert isinstance(model, mteb.EncoderProtocol)
    assert not isinstance(model, mteb.SearchProtocol)
    scores = scores_of(model, task(clips, form))
    for name, value in own[direction].items():
        assert scores[name] == pytest.approx(round(value, MTEB_DECIMALS), abs=1e-6), name


def test_a_kept_index_encodes_only_what_is_new_and_forgets_what_is_gone(
    encoder: VideoColBERTEncoder, clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    encode = VideoColBERTEncoder.encode_videos

    def counted(self: VideoColBERTEncoder, videos: Any, **options: Any) -> Any:
        listed = list(videos)
        encoded.append(len(listed))
        return encode(self, listed, **options)

    monkeypatch.setattr(VideoColBERTEncoder, "encode_videos", counted)
    first = scores_of(mteb_model(encoder, index_dir=tmp_path), ClipsT2V(clips[:6]))
    again = scores_of(mteb_model(encoder, index_dir=tmp_path), ClipsT2V(clips[:6]))
    assert encoded == [6]
    assert (tmp_path / "ClipsT2V-default-test").is_dir()
    assert again["ndcg_at_10"] == first["ndcg_at_10"]
    other = scores_of(mteb_model(encoder, index_dir=tmp_path), ClipsT2V(clips[4:8]))
    assert encoded == [6, 2]
    in_memory = scores_of(mteb_model(encoder), ClipsT2V(clips[4:8]))
    assert other["ndcg_at_10"] == pytest.approx(in_memory["ndcg_at_10"], abs=1e-6)


def test_a_file_that_is_there_twice_is_encoded_once_and_both_ids_have_its_score(
    encoder: VideoColBERTEncoder, clips: list[Path]
) -> None:
    model = mteb_model(encoder)
    task = ClipsT2V([clips[0], clips[1], clips[0]], ids=["a", "b", "c"])
    task.load_data()
    split = task.dataset["default"]["test"]
    arguments = {"task_metadata": task.metadata, "hf_split": "test", "hf_subset": "default", "encode_kwargs": {}}
    model.index(split["corpus"], **arguments)
    found = model.search(split["queries"], top_k=10, **arguments)
    expected = encoder.similarity(CAPTIONS[:3], [clips[0], clips[1], clips[0]])
    for query, line in zip(("q0", "q1", "q2"), expected.tolist(), strict=True):
        assert found[query] == pytest.approx(dict(zip("abc", line, strict=True)), abs=1e-5)
    some = model.search(split["queries"], top_k=1, top_ranked={"q0": ["b"], "q1": ["a", "b"]}, **arguments)
    assert list(some["q0"]) == ["b"]
    assert len(some["q1"]) == 1
    assert some["q2"] == {}


def test_a_bad_video_is_told_of_and_counts_as_not_found(
    encoder: VideoColBERTEncoder, clips: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    given = [*clips[:3], bad]
    with caplog.at_level(logging.WARNING):
        model = mteb_model(encoder)
        searched = scores_of(model, ClipsT2V(given))
        encoded = scores_of(mteb_model(encoder, as_encoder=True), ClipsT2V(given))
    assert [video.source for video in model.bad["ClipsT2V"]] == ["v3"]
    assert "video v3 cannot be decoded and is found by no query" in caplog.text
    assert searched["recall_at_10"] == pytest.approx(0.75)
    # mteb's own search gives every document a rank; a bad one has the last.
    assert encoded["recall_at_3"] == pytest.approx(0.75)
    assert encoded["ndcg_at_3"] == pytest.approx(searched["ndcg_at_3"], abs=1e-6)


def test_what_is_not_done_is_refused(encoder: VideoColBERTEncoder, clips: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ClipsV2T looks for text and not for videos; .*as_encoder=True"):
        scores_of(mteb_model(encoder), ClipsV2T(clips))
    with pytest.raises(ValueError, match="encode_kwargs has precision"):
        mteb.evaluate(
            mteb_model(encoder), ClipsT2V(clips), cache=None, encode_kwargs={"precision": "int8"}, co2_tracker=False
        )
    with pytest.raises(ValueError, match="index_dir is of a search model"):
        mteb_model(encoder, as_encoder=True, index_dir=tmp_path)  # type: ignore[call-overload]


def test_pairs_and_batches_of_an_encoder_model_are_scored_alike(
    encoder: VideoColBERTEncoder, clips: list[Path]
) -> None:
    model = mteb_model(encoder, as_encoder=True)
    arguments = {"task_metadata": ClipsT2V.metadata, "hf_split": "test", "hf_subset": "default"}
    # Batches without a data set behind them, as another wrapper of mteb may hand on.
    videos = model.encode([{"video": [row["bytes"] for row in video_column(clips[:3], "rows")["video"]]}], **arguments)
    texts = model.encode([{"text": CAPTIONS[:2]}, {"text": CAPTIONS[2:3]}], **arguments)
    expected = encoder.similarity(CAPTIONS[:3], clips[:3])
    torch.testing.assert_close(model.similarity(texts, videos), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(model.similarity(videos, texts), expected.T, rtol=0, atol=1e-5)
    torch.testing.assert_close(model.similarity(texts[0], videos.numpy()), expected[:1], rtol=0, atol=1e-5)
    torch.testing.assert_close(model.similarity_pairwise(texts, videos), expected.diagonal(), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="both sides are videos"):
        model.similarity(videos, videos)
    with pytest.raises(ValueError, match="text and video; this model encodes a text, or a video"):
        model.encode([{"text": ["a"], "video": [str(clips[0])]}], **arguments)
