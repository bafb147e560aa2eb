"""What every benchmark prints and writes: its figures, its targets and the machine it ran on."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Target:
    """A figure that a benchmark must reach.

    Attributes:
        name: What it is.
        value: What was measured.
        limit: What it is held against.
        at_least: Whether the limit is a lower one.
    """

    name: str
    value: float
    limit: float
    at_least: bool

    @property
    def is_met(self) -> bool:
        """Whether the value is on the right side of the limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        return (
            f"{'met   ' if self.is_met else 'MISSED'} {self.name}: {self.value:.4g} (target {sign} {self.limit:.4g})"
        )


def environment() -> dict[str, Any]:
    """Describes the machine and the versions a figure depends on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("torch", "transformers")},
    }


def script_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser whose `--help` shows a script's docstring as it is written."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def run_benchmark(description: str, measure: Callable[[], tuple[dict[str, Any], list[Target]]]) -> int:
    """Runs a benchmark script that takes no arguments of its own.

    Args:
        description: The script's docstring.
        measure: Returns the figures and the targets.

    Returns:
        The exit code: 0 if every target is met, 1 if not.
    """
    arguments = add_json_argument(script_parser(description)).parse_args()
    figures, targets = measure()
    return report_figures(figures, targets, arguments.json)


def add_json_argument(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Adds `--json` to a script's parser, and returns it."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write figures, targets and environment")
    return parser


def report_figures(figures: dict[str, Any], targets: list[Target], json_file: Path | None) -> int:
    """Prints what a benchmark script measured, and tells whether the targets were met.

    Args:
        figures: By name.
        targets: What they are held against.
        json_file: Where they are written too, if anywhere.

    Returns:
        The exit code: 0 if every target is met, 1 if not.
    """
    report: dict[str, Any] = {
        "benchmark": Path(sys.argv[0]).stem,
        "figures": figures,
        "targets": [{**asdict(target), "is_met": target.is_met} for target in targets],
        "environment": environment(),
    }
    print(f"{report['benchmark']}")
    for part in (figures, report["environment"]):
        for name, value in part.items():
            print(f"  {name}: {value:.4g}" if isinstance(value, float) else f"  {name}: {value}")
    for target in targets:
        print(target)
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if all(target.is_met for target in targets) else 1
