"""A property of processors' JSON: whatever is in the file, it makes right inputs or says in a sentence why not."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from video_colbert.processing import VideoColBERTProcessor

FRAMES = np.arange(5 * 40 * 48 * 3, dtype=np.uint8).reshape(5, 40, 48, 3)
NUMBERS = st.integers() | st.integers(-1, 40) | st.floats() | st.floats(-2, 2)
WORDS = st.sampled_from(["fps", "uniform", "pyav", "sentences", "nan", "3"])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["height", "width", "shortest_edge", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def saved(checkpoint_folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((checkpoint_folder / "processor_config.json").read_text("utf-8"))
    return content


def processor_or_sentence(folder: Path) -> VideoColBERTProcessor | None:
    """Loads a processor; None where an error of one kind and with a reason says that there is none."""
    try:
        return VideoColBERTProcessor.from_pretrained(folder)
    except (ValueError, TypeError, OSError, AttributeError) as error:
        reason = str(error).strip()
    assert reason
    return None


@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_processor_json_is_a_processor_or_a_sentence(
    checkpoint_folder: Path, saved: dict[str, Any], data: st.DataObject
) -> None:
    content = json.loads(json.dumps(saved))
    for _ in range(data.draw(st.integers(1, 2))):
        part = content if data.draw(st.booleans()) else content["video_processor"]
        if not isinstance(part, dict):
            break
        name = data.draw(st.sampled_from(sorted(part)) | st.text(max_size=5))
        if data.draw(st.integers(0, 3)) == 0:
            part.pop(name, None)
        else:
            part[name] = data.draw(VALUES)
        if "video_processor" not in content:
            break
    text = json.dumps(content)
    if data.draw(st.integers(0, 9)) == 0:
        text = text[: data.draw(st.integers(0, len(text)))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in checkpoint_folder.iterdir():
            if file.suffix == ".json" or file.suffix in (".txt", ".model"):
                shutil.copy(file, folder)
        (folder / "processor_config.json").write_text(text, "utf-8")
        processor = processor_or_sentence(folder)
    if processor is None:
        return
    video = processor.video_processor
    reason = ""
    try:
        inputs = processor(text=["a red circle"], videos=[FRAMES])
    except ValueError as error:
        reason = str(error)
    if reason:
        # What cannot be known before a video is there.
        assert "smaller than the crop" in reason
        return
    pixels, mask = inputs["pixel_values_videos"], inputs["video_mask"]
    assert pixels.shape[:3] == (1, mask.shape[1], 3)
    if video.do_center_crop:
        assert pixels.shape[3:] == (video.crop_size["height"], video.crop_size["width"])
    assert mask.shape[1] == (video.num_frames or int(mask.sum()))
    assert pixels.dtype == torch.float32
    # Settings that are far off may overflow; none may give what is not a number.
    assert not torch.isnan(pixels).any()
    assert inputs["input_ids"].shape[-1] == processor.query_length
