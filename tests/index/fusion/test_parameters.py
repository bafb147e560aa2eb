from __future__ import annotations

import json
from typing import Any

import pytest

from video_colbert.index.fusion.background import BackgroundsByLength, SourceBackground
from video_colbert.index.fusion.calibration import SourceCalibration
from video_colbert.index.fusion.parameters import FusionParameters
from video_colbert.index.fusion.source_weights import SourceWeights


def test_parameters_come_back_from_json_as_they_were() -> None:
    parameters = FusionParameters(
        backgrounds={"speech": SourceBackground(0.5, 0.1)},
        calibrations={"speech": SourceCalibration(-1.5, 2.0, 0.25, 1.0)},
        weights={"video": SourceWeights(0.5, 3.0)},
        lengths={
            "speech": BackgroundsByLength(((4.0, SourceBackground(0.5, 0.1)), (9.5, SourceBackground(1.0, 0.2))))
        },
    )
    assert FusionParameters.from_json(json.loads(json.dumps(parameters.to_json()))) == parameters


def test_a_query_is_held_against_the_backgrounds_of_its_length_and_a_source_can_be_left_out() -> None:
    lengths = BackgroundsByLength([(5.0, SourceBackground(1.0, 0.2)), (15.0, SourceBackground(3.0, 0.4))])
    known = FusionParameters(backgrounds={"video": SourceBackground(0.1, 0.1)}, lengths={"speech": lengths})
    found = known.for_query("ten letter").backgrounds
    assert found["video"] == SourceBackground(0.1, 0.1)
    assert found["speech"].centre == pytest.approx(2.0)
    assert found["speech"].deviation == pytest.approx(0.3)
    assert set(known.without("speech").for_query("ten letter").backgrounds) == {"video"}


NONE: dict[str, Any] = {"backgrounds": {}, "calibrations": {}, "weights": {}}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ([], "must be an object of backgrounds, calibrations, weights"),
        (
            {**NONE, "lengths": {"speech": [[1.0, 2.0]]}},
            "lengths of speech in fusion parameters must be lists of three numbers",
        ),
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
