"""Recipes as files: YAML of plain values, each written out once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


class _PlainLoader(yaml.SafeLoader):
    """Loads plain values; what would refer to a value again, or give a key twice, is refused.

    References are how a few hundred bytes become gigabytes.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            # The stubs of PyYAML leave its parser untyped.
            event: yaml.AliasEvent = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.YAMLError(f"*{event.anchor} refers to another value; write that out {event.start_mark}")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        if len(mapping) < len(node.value):
            names = [self.construct_object(key, deep=True) for key, _ in node.value]
            twice = next(name for name in names if names.count(name) > 1)
            raise yaml.YAMLError(f"{twice!r} is given twice {node.start_mark}")
        return mapping


def read_recipe(file: Path) -> dict[Any, Any]:
    """Reads what a recipe says; an empty file says nothing.

    Args:
        file: a YAML file that holds one mapping.

    Raises:
        ValueError: there is no such file, or it cannot be read, or is no YAML mapping of plain values.
    """
    if not file.is_file():
        raise ValueError(f"Recipe {file} does not exist.")
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), _PlainLoader) or {}  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(f"Recipe {file} is not YAML of plain values: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ValueError(f"Recipe {file} is nested too deeply.") from error
    except OSError as error:
        raise ValueError(f"Recipe {file} cannot be read: {error.strerror}.") from error
    except Exception as error:
        # PyYAML raises almost anything over a value that is not of the type that its tag says.
        reason = str(error) or type(error).__name__
        raise ValueError(f"Recipe {file} holds a value that cannot be read: {reason}") from error
    if not isinstance(content, dict):
        raise ValueError(f"Recipe {file} must be a mapping of argument names to values.")
    return content
