from __future__ import annotations

from pathlib import Path

import pytest
import torch

from video_colbert.encoding.pretrained import load_pretrained
from video_colbert.errors import ModelLoadError


def test_revision_of_a_local_folder_follows_its_weights(checkpoint_folder: Path, tmp_path: Path) -> None:
    first = load_pretrained(checkpoint_folder, device="cpu")
    first.model.save_pretrained(tmp_path)
    first.processor.save_pretrained(tmp_path)
    copied = load_pretrained(tmp_path, device="cpu").reference.revision
    with torch.no_grad():
        first.model.frame_head.weight.mul_(1.5)
    first.model.save_pretrained(tmp_path)
    assert load_pretrained(tmp_path, device="cpu").reference.revision != copied
    assert first.reference.name == str(checkpoint_folder)


def test_number_type_is_what_was_asked_for(checkpoint_folder: Path) -> None:
    assert load_pretrained(checkpoint_folder, device="cpu", dtype="bfloat16").model.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int4"}, "dtype must be one of auto, float32, bfloat16, float16, int8, got 'int4'"),
        ({"device": "nonsense"}, "device 'nonsense' cannot be used"),
    ],
)
def test_bad_options_are_named(checkpoint_folder: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(ModelLoadError, match=message):
        load_pretrained(checkpoint_folder, **options)  # type: ignore[arg-type]
