"""The two files by which sentence-transformers knows a checkpoint as a `MultiVectorEncoder`, saved with its config."""

import json
import os
from pathlib import Path
from typing import Any

from .multi_vector_video_colbert import SIMILARITIES, VideoColBERTMultiVector


class MultiVectorFilesMixin:
    """What a config adds to `save_pretrained`: `modules.json` and `config_sentence_transformers.json`.

    They belong to the config, since every way to save a model saves that, and a push sends what was saved with it.
    """

    interaction: Any

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], push_to_hub: bool = False, **kwargs: Any
    ) -> None:
        """Saves the config, and the files that name the module of the model.

        Args:
            save_directory: The folder, made if there is none.
            push_to_hub: Whether to upload the config.
            **kwargs: As `PreTrainedConfig.save_pretrained`.
        """
        super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)  # type: ignore[misc] # of the config
        for name, content in multi_vector_files(self.interaction).items():
            Path(save_directory, name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def multi_vector_files(interaction: str) -> dict[str, Any]:
    """Makes the content of the files by their names.

    Args:
        interaction: The config's. Where the library has no such similarity, the files are there all the same and the
            module says so when it is loaded; without them the library would add a random projection to the text tower.
    """
    module = VideoColBERTMultiVector
    # The file's own name, here and where a checkpoint's copy of it was loaded.
    reference = f"{module.__module__.split('.')[-1]}.{module.__name__}"
    return {
        "modules.json": [{"idx": 0, "name": "0", "path": "", "type": reference}],
        "config_sentence_transformers.json": {
            "model_type": "MultiVectorEncoder",
            "similarity_fn_name": SIMILARITIES.get(interaction),
            "prompts": {"query": "", "document": ""},
            "default_prompt_name": None,
        },
    }


__all__ = ["MultiVectorFilesMixin", "multi_vector_files"]
