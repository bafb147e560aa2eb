"""What fusions learned from judged queries, as it is kept."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from video_colbert.index.fusion.calibration import SourceCalibration
from video_colbert.index.fusion.source_weights import SourceWeights

_Fitted = TypeVar("_Fitted", SourceCalibration, SourceWeights)


@dataclass(frozen=True)
class FusionParameters:
    """What was fitted on judged queries, by source.

    Attributes:
        calibrations: for "calibrated" and "router"; a source without one is judged by its lists alone.
        weights: for "learned".
    """

    calibrations: Mapping[str, SourceCalibration] = field(default_factory=dict, hash=False)
    weights: Mapping[str, SourceWeights] = field(default_factory=dict, hash=False)

    def to_json(self) -> dict[str, Any]:
        """The parameters as JSON knows them, as `from_json` takes them."""
        return {
            "calibrations": {source: dataclasses.asdict(each) for source, each in self.calibrations.items()},
            "weights": {source: dataclasses.asdict(each) for source, each in self.weights.items()},
        }

    @classmethod
    def from_json(cls, record: Any) -> FusionParameters:
        """Parameters of `to_json`.

        Raises:
            ValueError: another form; the message names what is wrong.
        """
        if not isinstance(record, dict) or set(record) != {"calibrations", "weights"}:
            raise ValueError("fusion parameters must be an object of calibrations and weights")
        return cls(
            _fitted(SourceCalibration, "calibrations", record["calibrations"]),
            _fitted(SourceWeights, "weights", record["weights"]),
        )


NO_PARAMETERS = FusionParameters()
"""What is known before any query is judged."""


def _fitted(kind: type[_Fitted], name: str, record: Any) -> dict[str, _Fitted]:
    names = [each.name for each in dataclasses.fields(kind)]
    if not isinstance(record, dict):
        raise ValueError(f"{name} of fusion parameters must be an object of sources")
    for source, numbers in record.items():
        is_whole = isinstance(numbers, dict) and sorted(numbers) == sorted(names)
        if not is_whole or not all(_is_number(number) for number in numbers.values()):
            raise ValueError(f"{name} of {source} in fusion parameters must be the numbers {', '.join(names)}")
    return {source: kind(**numbers) for source, numbers in record.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
