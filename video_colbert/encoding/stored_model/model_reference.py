"""Which weights and settings made a vector: what an index and a cache keep, and compare before they are used."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

_SETTINGS_MARK = "+"


@dataclass(frozen=True)
class ModelReference:
    """Which weights and settings made a vector.

    The number type of the weights is no part of it: vectors of bfloat16 and float32 weights are the same but for
    rounding, so what one machine indexes another may search.

    Attributes:
        name: Hub id, or the absolute path of a local folder.
        revision: the Hub's commit, or the digest of a local folder's content; and, where the processor's settings
            were changed after loading, a mark of them.
    """

    name: str
    revision: str

    @property
    def commit(self) -> str:
        """The revision to load the model by."""
        return self.revision.partition(_SETTINGS_MARK)[0]

    def with_settings(self, digest: str) -> ModelReference:
        """The same weights with other settings of the processor.

        Args:
            digest: of the settings.
        """
        return dataclasses.replace(self, revision=f"{self.commit}{_SETTINGS_MARK}{digest}")

    def __str__(self) -> str:
        changed = ", its processor's settings changed" if _SETTINGS_MARK in self.revision else ""
        return f"{self.name} at revision {self.commit[:12]}{changed}"


NO_VIDEO_MODEL = ModelReference("none", "none")
"""Of an index that holds texts only."""
