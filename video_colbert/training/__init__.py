"""Training: what `train.py` is made of, and the parts of a run of `transformers.Trainer`."""

from typing import TYPE_CHECKING

from video_colbert.lazy_names import lazy_names

if TYPE_CHECKING:
    from video_colbert.training.trainer.trainer_parts import TrainerParts

# Reading a recipe loads no model.
__getattr__, __dir__ = lazy_names(__name__, {"TrainerParts": f"{__name__}.trainer.trainer_parts"})

__all__ = ["TrainerParts"]
