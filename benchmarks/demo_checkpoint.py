"""The checkpoint that the demo trains, as an encoder."""

from pathlib import Path

from transformers import AutoModel, AutoProcessor

from video_colbert import VideoColBERTEncoder
from video_colbert.encoding.pretrained import PretrainedPair
from video_colbert.encoding.stored_model.model_reference import ModelReference


def load_demo_encoder(checkpoint: Path) -> VideoColBERTEncoder:
    """An encoder of a saved folder, loaded by the Auto classes as a user of transformers would."""
    pair = PretrainedPair(
        AutoModel.from_pretrained(checkpoint).eval(),
        AutoProcessor.from_pretrained(checkpoint),
        ModelReference(str(checkpoint), "demo"),
        is_zero_shot=False,
    )
    return VideoColBERTEncoder(pair)
