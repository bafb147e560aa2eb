import subprocess
import sys
from pathlib import Path

import pytest

from tests.warm_python import warm_python

LOAD = """
print(type(transformers.AutoConfig.from_pretrained({folder!r})).__module__)
print(type(transformers.AutoModel.from_pretrained({folder!r})).__module__)
print(type(transformers.AutoProcessor.from_pretrained({folder!r})).__module__)
transformers.AutoTokenizer.from_pretrained({folder!r})
"""


def run(code: str, python: str = "") -> str:
    """Runs code in a process of its own, in which nothing can answer a question."""
    process = subprocess.run(
        [python or warm_python(), "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert "custom code" not in process.stdout + process.stderr
    return process.stdout


def test_importing_the_package_loads_neither_torch_nor_transformers() -> None:
    code = "import sys, video_colbert; print({'torch', 'transformers'} & set(sys.modules))"
    assert run(code, sys.executable) == "set()\n"


@pytest.mark.parametrize(
    "imports",
    [
        "import video_colbert, transformers",
        "import transformers; transformers.AutoModel; import video_colbert",
        "import transformers, video_colbert.processing",
        "import video_colbert, transformers; transformers.CLIPModel",
    ],
)
def test_the_package_is_enough_for_the_auto_classes_whatever_is_imported_first(
    imports: str, checkpoint_folder: Path
) -> None:
    modules = run(imports + LOAD.format(folder=str(checkpoint_folder))).splitlines()
    assert modules == [
        "video_colbert.modeling_video_colbert.configuration_video_colbert",
        "video_colbert.modeling_video_colbert.modeling_video_colbert",
        "video_colbert.processing.processing_video_colbert",
    ]


def test_the_auto_classes_keep_their_source_and_their_tracebacks() -> None:
    code = """
import video_colbert, inspect, transformers
from transformers.models.auto import configuration_auto
print(inspect.getsource(configuration_auto) == open(configuration_auto.__file__).read())
"""
    assert run(code) == "True\n"
