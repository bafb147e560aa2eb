"""What tells this machine's processor from others, for choices by speed that are kept."""

from __future__ import annotations

import platform
from pathlib import Path

# What /proc/cpuinfo says of a processor and its instructions, whose name alone says little.
_TOLD_BY = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features", "CPU part")


def processor_identity() -> str:
    """The model and the instructions of this machine's processor; where the system tells neither, its name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    return " ".join(value.strip() for name, value in facts.items() if name.strip() in _TOLD_BY)
