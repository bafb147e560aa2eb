"""What fusions know of an index's sources, as it is kept."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from video_colbert.index.fusion.background import SourceBackground
from video_colbert.index.fusion.calibration import SourceCalibration
from video_colbert.index.fusion.source_weights import SourceWeights

_Fitted = TypeVar("_Fitted", SourceBackground, SourceCalibration, SourceWeights)


@dataclass(frozen=True)
class FusionParameters:
    """What is known of sources, by source.

    Attributes:
        backgrounds: for "calibrated" and "router", from texts of the collection.
        calibrations: likewise, from judged queries; a source that has one needs no background.
        weights: for "learned", from judged queries.
    """

    backgrounds: Mapping[str, SourceBackground] = field(default_factory=dict, hash=False)
    calibrations: Mapping[str, SourceCalibration] = field(default_factory=dict, hash=False)
    weights: Mapping[str, SourceWeights] = field(default_factory=dict, hash=False)

    def to_json(self) -> dict[str, Any]:
        """The parameters as JSON knows them, as `from_json` takes them."""
        return {
            name: {source: dataclasses.asdict(each) for source, each in getattr(self, name).items()} for name in _KINDS
        }

    @classmethod
    def from_json(cls, record: Any) -> FusionParameters:
        """Parameters of `to_json`.

        Raises:
            ValueError: another form; the message names what is wrong.
        """
        if not isinstance(record, dict) or set(record) != set(_KINDS):
            raise ValueError(f"fusion parameters must be an object of {', '.join(_KINDS)}")
        return cls(
            backgrounds=_fitted(SourceBackground, "backgrounds", record["backgrounds"]),
            calibrations=_fitted(SourceCalibration, "calibrations", record["calibrations"]),
            weights=_fitted(SourceWeights, "weights", record["weights"]),
        )


_KINDS = tuple(each.name for each in dataclasses.fields(FusionParameters))

NO_PARAMETERS = FusionParameters()
"""What is known of sources of which nothing was asked yet."""


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
