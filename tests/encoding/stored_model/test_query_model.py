from pathlib import Path

import pytest
import torch

from tests.tiny_models import NEEDS_TIMM
from video_colbert import VideoColBERTEncoder
from video_colbert.errors import EncodingError


@pytest.mark.parametrize(
    "folder",
    [
        "checkpoint_folder",
        "clip_backbone_folder",
        "metaclip_2_backbone_folder",
        "siglip_backbone_folder",
        pytest.param("pe_video_backbone_folder", marks=NEEDS_TIMM),
        pytest.param("pe_audio_video_backbone_folder", marks=NEEDS_TIMM),
    ],
)
def test_an_encoder_for_queries_alone_encodes_them_as_the_whole_one_does(
    folder: str, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(folder)
    whole = VideoColBERTEncoder.from_pretrained(path)
    part = VideoColBERTEncoder.from_pretrained(path, for_videos=False)
    assert part.reference == whole.reference
    of_whole, of_part = whole.model.state_dict(), part.model.state_dict()
    assert set(of_part) < set(of_whole)
    assert not any(name.startswith(("vision_model", "temporal_transformer")) for name in of_part)
    assert all(torch.equal(weight, of_whole[name]) for name, weight in of_part.items())
    for name, buffer in part.model.named_buffers():
        assert torch.equal(buffer, whole.model.get_buffer(name))
    [expected] = whole.encode_queries("a red ball moves").bags.values()
    [found] = part.encode_queries("a red ball moves").bags.values()
    # The weights lie at other addresses, so that products may round otherwise.
    torch.testing.assert_close(found.embeds, expected.embeds, rtol=0, atol=1e-6)
    assert torch.equal(found.mask, expected.mask)


def test_an_encoder_for_queries_alone_refuses_videos(checkpoint_folder: Path) -> None:
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, for_videos=False)
    with pytest.raises(EncodingError, match="was loaded for queries alone; load it with for_videos=True"):
        encoder.encode_videos(["a.mp4"])
