"""The checkpoint that the demo trains, as an encoder."""

from pathlib import Path

from transformers import AutoModel, AutoProcessor

from video_colbert import VideoColBERTEncoder
from video_colbert.encoding.passes.choose_format import FormatChoice
from video_colbert.encoding.passes.number_formats import NumberFormat, with_image_tower_in
from video_colbert.encoding.pretrained import PretrainedPair
from video_colbert.encoding.stored_model.model_reference import ModelReference


def load_demo_encoder(checkpoint: Path, number_format: NumberFormat = "float32") -> VideoColBERTEncoder:
    """An encoder of a saved folder, loaded by the Auto classes as a user of transformers would."""
    pair = PretrainedPair(
        with_image_tower_in(AutoModel.from_pretrained(checkpoint).eval(), number_format),
        AutoProcessor.from_pretrained(checkpoint),
        ModelReference(str(checkpoint), "demo"),
        is_zero_shot=False,
        choice=FormatChoice(number_format),
    )
    return VideoColBERTEncoder(pair)
