"""Peers beyond the model: encoding, evaluation and the index."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.video_files import write_clip
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.encoding.pretrained import PretrainedPair
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.errors import ModelMismatchError
from video_colbert.evaluation.encoded_split import encode_split
from video_colbert.index import LanceIndex, index_videos
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor

CAPTIONS = ["a red circle grows", "a blue square", "a man rides a bicycle through the city"]


def build_encoder(backbone: Path, **config: Any) -> VideoColBERTEncoder:
    fields = {"query_length": 16, "max_frames": 16, "temporal_num_layers": 1, "temporal_num_heads": 4}
    model = VideoColBERTModel.from_backbone(backbone, **fields, **config)
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if name.startswith(("token_weights.", "temporal_transformer.")) and parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.5)
    processor = VideoColBERTProcessor.from_backbone(backbone, query_length=16, num_frames=4)
    return VideoColBERTEncoder(PretrainedPair(model, processor, ModelReference("peer", "1"), is_zero_shot=False))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [write_clip(folder / f"{seed}.mp4", seed=seed) for seed in range(3)]


@pytest.mark.parametrize(
    "config",
    [
        {"interaction": "max_sim", "query_expansion": False},
        {"interaction": "weighted_token_wise", "query_expansion": False},
        {"interaction": "weighted_token_wise", "score_levels": ["video"]},
        {"interaction": "attention_mean_max_sim", "attention_length": 20},
        {"video_representation": "mean", "query_representation": "pooled"},
    ],
    ids=str,
)
def test_evaluation_scores_a_peer_as_its_model_does(
    config: dict[str, Any], clip_backbone_folder: Path, files: list[Path]
) -> None:
    encoder = build_encoder(clip_backbone_folder, **config)
    rows = [
        {"video_id": path.stem, "video": str(path), "captions": [caption], "start": None, "end": None}
        for path, caption in zip(files, CAPTIONS, strict=True)
    ]
    # In batches of two, so that what is padded differs from the model's own batch.
    scores = encode_split(encoder, rows, batch_size=2).level_scores()
    with torch.no_grad():
        expected = encoder.model(**encoder.processor(text=CAPTIONS, videos=files))
    for level, name in (("sum", "scores"), ("frame", "frame_scores"), ("video", "video_scores")):
        torch.testing.assert_close(scores[level], expected[name], rtol=0, atol=1e-5)


def test_an_index_holds_single_vectors_and_gives_no_moments(
    clip_backbone_folder: Path, files: list[Path], tmp_path: Path
) -> None:
    encoder = build_encoder(clip_backbone_folder, video_representation="mean", query_representation="pooled")
    index = LanceIndex.create(tmp_path, model=encoder.reference, num_frames=encoder.num_frames)
    index_videos(index, encoder, files)
    queries = encoder.encode_queries(CAPTIONS)
    with torch.no_grad():
        expected = encoder.model(**encoder.processor(text=CAPTIONS, videos=files)).scores
    for row, hits in enumerate(index.search(queries)):
        scores = {Path(hit.video): hit.score for hit in hits}
        # Stored as float16, which keeps about three decimals of a cosine.
        assert [scores[path] for path in files] == pytest.approx(expected[row].tolist(), abs=2e-3)
        assert {hit.moments for hit in hits} == {()}


@pytest.mark.parametrize("interaction", ["max_sim", "weighted_token_wise", "attention_mean_max_sim"])
def test_an_index_scores_as_a_peer_does(
    interaction: str, clip_backbone_folder: Path, files: list[Path], tmp_path: Path
) -> None:
    encoder = build_encoder(clip_backbone_folder, interaction=interaction, query_expansion=False)
    index = LanceIndex.create(tmp_path, model=encoder.reference, num_frames=4)
    index_videos(index, encoder, files)
    queries = encoder.encode_queries(CAPTIONS)
    expected = encoder.similarity(queries, files)
    for row, hits in enumerate(LanceIndex.open(tmp_path).search(queries)):
        scores = {Path(hit.video): hit.score for hit in hits}
        # Sums over up to eight query tokens, stored as float16.
        assert [scores[path] for path in files] == pytest.approx(expected[row].tolist(), abs=1e-2)


def test_an_index_refuses_queries_by_weights_of_tokens_that_it_does_not_hold(
    clip_backbone_folder: Path, files: list[Path], tmp_path: Path
) -> None:
    index = LanceIndex.create(tmp_path, model=ModelReference("peer", "1"), num_frames=4)
    index_videos(index, build_encoder(clip_backbone_folder), files)
    other = build_encoder(clip_backbone_folder, interaction="weighted_token_wise")
    with pytest.raises(ModelMismatchError, match="'weighted_token_wise', which takes a weight of each token"):
        index.search(other.encode_queries(CAPTIONS))
