from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig

from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.modeling_video_colbert.backbone_video_colbert import load_backbone
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.stretched_backbone import stretch_text_positions, stretched

TABLE = "text_model.embeddings.position_embedding.weight"


def test_positions_between_are_on_a_straight_line() -> None:
    table = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    found = stretched(table, 20)
    for column in range(3):
        expected = np.interp(np.linspace(0, 6, 20), np.arange(7), table[:, column].numpy())
        assert found[:, column].numpy() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_a_stretched_backbone_is_the_same_but_for_its_positions(
    family: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    backbone: Path = request.getfixturevalue(f"{family}_backbone_folder")
    folder = stretch_text_positions(backbone, tmp_path / "long", 150)
    assert AutoConfig.from_pretrained(folder).text_config.max_position_embeddings == 150
    before, after = (load_backbone(place, torch.float32).state_dict() for place in (backbone, folder))
    torch.testing.assert_close(after[TABLE], stretched(before[TABLE], 150))
    assert all(torch.equal(after[name], value) for name, value in before.items() if name != TABLE)
    fields = {"query_length": 150, "temporal_num_heads": 4}
    model = VideoColBERTModel.from_backbone(folder, **fields)
    processor = VideoColBERTProcessor.from_backbone(folder, query_length=150)
    caption = "red " * (100 if family == "clip" else 35)
    inputs, longer = (processor.process_queries([caption + end]) for end in ("", "blue"))
    present = before[TABLE].shape[0]
    assert present < int(inputs["attention_mask"].sum()) < 140
    tokens, other = (model.get_text_features(**each).query_embeds for each in (inputs, longer))
    # What stands at the end of a long caption counts.
    assert not torch.equal(tokens[:, present:], other[:, present:])
    with pytest.raises(ValueError, match="has 150 already"):
        stretch_text_positions(folder, tmp_path / "again", 150)
