from __future__ import annotations

import json
from typing import Any

import pytest

from video_colbert.index.fusion.background import SourceBackground
from video_colbert.index.fusion.calibration import SourceCalibration
from video_colbert.index.fusion.parameters import FusionParameters
from video_colbert.index.fusion.source_weights import SourceWeights


def test_parameters_come_back_from_json_as_they_were() -> None:
    parameters = FusionParameters(
        backgrounds={"speech": SourceBackground(0.5, 0.1)},
        calibrations={"speech": SourceCalibration(-1.5, 2.0, 0.25, 1.0)},
        weights={"video": SourceWeights(0.5, 3.0)},
    )
    assert FusionParameters.from_json(json.loads(json.dumps(parameters.to_json()))) == parameters


NONE: dict[str, Any] = {"backgrounds": {}, "calibrations": {}, "weights": {}}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ([], "must be an object of backgrounds, calibrations, weights"),
        (
            {**NONE, "weights": []},
            "weights of fusion parameters must be an object of sources",
        ),
        (
            {**NONE, "weights": {"speech": {"standardised": 1.0}}},
            "must be the numbers standardised, prob",
        ),
        (
            {**NONE, "weights": {"speech": {"standardised": 1.0, "probability": "x"}}},
            "weights of speech in fusion parameters must be the numbers",
        ),
    ],
)
def test_other_forms_are_refused(record: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FusionParameters.from_json(record)
