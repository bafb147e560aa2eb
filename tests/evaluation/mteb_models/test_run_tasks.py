"""Tasks of mteb from their names to results: mteb's own class of MSR-VTT, over made data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

mteb = pytest.importorskip("mteb")

from tests.evaluation.mteb_models.clip_tasks import CAPTIONS, ClipsV2T, msrvtt_rows  # noqa: E402
from tests.video_files import write_clip  # noqa: E402
from video_colbert import VideoColBERTEncoder  # noqa: E402
from video_colbert.evaluation import run_tasks  # noqa: E402

pytestmark = pytest.mark.usefixtures("quiet_datasets")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [write_clip(folder / f"{seed}.mp4", seed) for seed in range(len(CAPTIONS))]


@pytest.fixture
def msrvtt(clips: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hub's `mteb/MSR-VTT`, of other videos: what its task's own loader asks for."""
    rows = msrvtt_rows(clips)

    def load_dataset(path: str, *, revision: str, split: str) -> object:
        assert (path, split) == ("mteb/MSR-VTT", "test")
        return rows

    monkeypatch.setattr("mteb.tasks.retrieval.eng.msr_vtt.load_dataset", load_dataset)


@pytest.mark.usefixtures("msrvtt")
def test_a_task_by_its_name_and_one_of_the_other_direction_are_kept_in_mtebs_files(
    encoder: VideoColBERTEncoder, clips: list[Path], tmp_path: Path
) -> None:
    run = run_tasks(encoder, ["MSRVTTT2V", ClipsV2T(clips)], results_dir=tmp_path)
    assert [(result.task, result.num_queries) for result in run.results] == [("MSRVTTT2V", 10), ("ClipsV2T", None)]
    meta = encoder.reference
    folder = tmp_path / "results" / f"local__{Path(meta.name).name}" / meta.revision
    assert json.loads((folder / "model_meta.json").read_text())["model_type"] == ["late-interaction"]
    kept = json.loads((folder / "MSRVTTT2V.json").read_text())
    assert run.results[0].metrics["ndcg_at_10"] == kept["scores"]["test"][0]["ndcg_at_10"]
    assert run.results[0].dataset == "mteb/MSR-VTT"
    # mteb takes what is there.
    again = run_tasks(encoder, ["MSRVTTT2V"], results_dir=tmp_path)
    assert again.results[0].metrics == run.results[0].metrics
    assert again.results[0].num_queries is None


def test_a_task_that_is_not_there_is_named(encoder: VideoColBERTEncoder) -> None:
    with pytest.raises(ValueError, match=r"mteb has no task 'MSRVTTT2X'.*MSRVTTT2V"):
        run_tasks(encoder, ["MSRVTTT2X"])
    with pytest.raises(ValueError, match="no task is named"):
        run_tasks(encoder, [])
