"""Docstrings as the reference shows them: names as links, examples as code.

Docstrings name another class as transformers writes it, ``[`VideoColBERTConfig`]``. Here that becomes a link to where
the name is described, and stays code where it is described nowhere. An example under `Example:` is one of griffe's
`Examples:`.
"""

import re
from typing import Any

import griffe

_NAME = re.compile(r"\[`([\w.]+)`\](?![\[(])")
_EXAMPLE = re.compile(r"^Example:$", re.MULTILINE)
_ARGUMENTS = re.compile(r"^Args:$", re.MULTILINE)


class DocstringLinks(griffe.Extension):  # type: ignore[misc] # griffe's types are read by no checker here
    """What rewrites the docstrings of a package; mkdocstrings finds it by `extensions` in `mkdocs.yml`."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Rewrites all docstrings; griffe calls it when it has read the whole package, so that names are known."""
        _rewrite(pkg)


def _rewrite(described: griffe.Object) -> None:
    if described.docstring is not None:
        text = _EXAMPLE.sub("Examples:", described.docstring.value)
        if described.is_class and "__init__" not in described.members:
            text = _ARGUMENTS.sub("Attributes:", text)
        described.docstring.value = _NAME.sub(lambda name: _link(name[1], described), text)
    for member in described.members.values():
        # What was imported from elsewhere is rewritten where it is defined.
        if not member.is_alias:
            _rewrite(member)


def _link(name: str, described: griffe.Object) -> str:
    try:
        path = described.resolve(name)
    except griffe.NameResolutionError:
        return f"`{name}`"
    return f'<autoref optional identifier="{path}"><code>{name}</code></autoref>'
