"""What assistants are offered by MCP: the functions that change nothing, whose answers they get as JSON."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any


def offer_to_assistants(server: Any, functions: Collection[str]) -> None:
    """Narrows Gradio's MCP server to some functions, and has it answer in JSON rather than in Python's own writing.

    Args:
        server: the `GradioMCPServer` of an application.
        functions: names of the functions that are offered.

    Raises:
        RuntimeError: Gradio's server was not made.
    """
    if server is None:
        raise RuntimeError("Gradio made no MCP server; its version may be another than the extra [app] names")
    offered = {f"/{function}" for function in functions}
    server.tool_to_endpoint = {
        name: endpoint for name, endpoint in server.tool_to_endpoint.items() if endpoint in offered
    }
    text_of = server.types.TextContent

    def as_json(answers: list[Any], root_url: str) -> list[Any]:
        return [text_of(type="text", text=json.dumps(answer, ensure_ascii=False)) for answer in answers]

    server.postprocess_output_data = as_json
