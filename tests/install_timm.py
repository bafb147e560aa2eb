"""A script that makes a virtual environment with timm over the one it is run in, for `make test-timm`.

timm imports torchvision. The two stand apart since transformers takes other image processors wherever there is a
torchvision, and since PyPI's is built for CUDA, whose operators do not load beside PyTorch's CPU build.
"""

import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import torch

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def torchvision_for(torch_version: str) -> str:
    """The requirement of the torchvision that is built for a torch: 0.28 for 2.13."""
    major, minor = torch_version.split(".")[:2]
    if major != "2":
        sys.exit(f"which torchvision is built for torch {torch_version} is not known")
    return f"torchvision==0.{int(minor) + 15}.*"


def main() -> None:
    """Makes the environment in the folder that is given."""
    folder = Path(sys.argv[1])
    venv.create(folder, clear=True, symlinks=True)
    python = folder / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    # Unlike a path alone, this also follows the files there that name further folders.
    below = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (packages / "below.pth").write_text(below)
    timm = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]["pe"]
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run(
        [*install, "--disable-pip-version-check", *timm, torchvision_for(torch.__version__)],
        check=True,
    )
    if subprocess.run([python, "-c", "import torchvision"], capture_output=True).returncode:
        # It describes operators that did not load, and that no model of timm calls.
        (packages / "torchvision" / "_meta_registrations.py").write_text("")
    subprocess.run([python, "-c", "import timm"], check=True)


if __name__ == "__main__":
    main()
