"""A backbone whose text tower takes longer captions: its positions, interpolated."""

import json
import shutil
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from video_colbert.modeling_video_colbert.backbone_video_colbert import load_backbone

_POSITIONS = "text_model.embeddings.position_embedding.weight"
_TOKENIZER_FILE = "tokenizer_config.json"


def stretch_text_positions(backbone: str | Path, folder: Path, positions: int) -> Path:
    """Saves a backbone with more text positions than it was trained with, to train from.

    The learned positions are interpolated linearly, the first and the last staying where they are, so that neighbours
    in a long caption are as near as parts of a position were (as Long-CLIP does, Zhang et al., arXiv 2403.15378, which
    keeps the first 20 as they are). The tower has seen no long caption and should be trained on some.

    Args:
        backbone: Local folder of a CLIP, MetaCLIP 2 or SigLIP checkpoint.
        folder: Where the new one goes, with tokenizer and image settings; made if need be.
        positions: How many it will have, more than now.

    Returns:
        The folder.

    Raises:
        ValueError: The backbone has as many already, or lacks weights.
        OSError: It cannot be read, or the new one not written.
    """
    model = load_backbone(backbone, torch.float32)
    config = model.config.text_config
    present = config.max_position_embeddings
    if positions <= present:
        raise ValueError(f"positions is {positions}; the text tower of {backbone} has {present} already.")
    state = {**model.state_dict(), _POSITIONS: stretched(model.state_dict()[_POSITIONS], positions)}
    config.max_position_embeddings = positions
    longer = type(model)(model.config)
    longer.load_state_dict(state)
    folder.mkdir(parents=True, exist_ok=True)
    for file in Path(backbone).iterdir():
        if file.suffix in (".json", ".txt", ".model") and file.name != "config.json":
            shutil.copyfile(file, folder / file.name)
    tokenizer = folder / _TOKENIZER_FILE
    if tokenizer.exists():
        settings = json.loads(tokenizer.read_text(encoding="utf-8"))
        tokenizer.write_text(
            json.dumps({**settings, "model_max_length": positions}, indent=2) + "\n", encoding="utf-8"
        )
    longer.save_pretrained(folder)
    return folder


def stretched(table: Tensor, positions: int) -> Tensor:
    """Interpolates a `[P, D]` table of positions linearly to `[positions, D]`, keeping its ends.

    Example:
        >>> stretched(torch.tensor([[0.0], [1.0], [2.0]]), 5).flatten().tolist()
        [0.0, 0.5, 1.0, 1.5, 2.0]
    """
    longer = F.interpolate(table.T[None], size=positions, mode="linear", align_corners=True)
    return longer[0].T.contiguous()


__all__ = ["stretch_text_positions", "stretched"]
