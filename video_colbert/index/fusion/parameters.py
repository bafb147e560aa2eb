"""What fusions know of an index's sources, as it is kept."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from video_colbert.index.fusion.background import BackgroundsByLength, SourceBackground
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
        lengths: backgrounds by length of the query, of which `for_query` takes those of one.
    """

    backgrounds: Mapping[str, SourceBackground] = field(default_factory=dict, hash=False)
    calibrations: Mapping[str, SourceCalibration] = field(default_factory=dict, hash=False)
    weights: Mapping[str, SourceWeights] = field(default_factory=dict, hash=False)
    lengths: Mapping[str, BackgroundsByLength] = field(default_factory=dict, hash=False)

    def for_query(self, text: str) -> FusionParameters:
        """What is known of the sources for one query, with their backgrounds for its length."""
        of_length = {source: each.of(len(text)) for source, each in self.lengths.items()}
        return dataclasses.replace(self, backgrounds={**self.backgrounds, **of_length})

    def without(self, source: str) -> FusionParameters:
        """The same without how likely a source's hits are right."""
        kept = {
            kind: {name: each for name, each in getattr(self, kind).items() if name != source}
            for kind in ("backgrounds", "calibrations", "lengths")
        }
        return dataclasses.replace(self, **kept)

    def to_json(self) -> dict[str, Any]:
        """The parameters as JSON knows them, as `from_json` takes them."""
        record: dict[str, Any] = {
            name: {source: dataclasses.asdict(each) for source, each in getattr(self, name).items()} for name in _KINDS
        }
        if self.lengths:
            record["lengths"] = {
                source: [[length, each.centre, each.deviation] for length, each in of_source.points]
                for source, of_source in self.lengths.items()
            }
        return record

    @classmethod
    def from_json(cls, record: Any) -> FusionParameters:
        """Parameters of `to_json`.

        Raises:
            ValueError: another form; the message names what is wrong.
        """
        if not isinstance(record, dict) or set(record) - {"lengths"} != set(_KINDS):
            raise ValueError(f"fusion parameters must be an object of {', '.join(_KINDS)}")
        return cls(
            backgrounds=_fitted(SourceBackground, "backgrounds", record["backgrounds"]),
            calibrations=_fitted(SourceCalibration, "calibrations", record["calibrations"]),
            weights=_fitted(SourceWeights, "weights", record["weights"]),
            lengths=_lengths(record.get("lengths", {})),
        )


_KINDS = ("backgrounds", "calibrations", "weights")

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


def _lengths(record: Any) -> dict[str, BackgroundsByLength]:
    if not isinstance(record, dict):
        raise ValueError("lengths of fusion parameters must be an object of sources")
    for source, points in record.items():
        is_whole = isinstance(points, list) and points and all(isinstance(p, list) and len(p) == 3 for p in points)
        if not is_whole or not all(_is_number(number) for point in points for number in point):
            raise ValueError(f"lengths of {source} in fusion parameters must be lists of three numbers")
    return {
        source: BackgroundsByLength(tuple((length, SourceBackground(*numbers)) for length, *numbers in points))
        for source, points in record.items()
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
