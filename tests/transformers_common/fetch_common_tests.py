"""A script that fetches the common tests of the installed transformers, from its source distribution, once."""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

import transformers

DESTINATION = Path(__file__).parents[2] / ".transformers-tests" / transformers.__version__


def main() -> None:
    """Downloads the distribution by pip and unpacks its tests, unless they are there."""
    if DESTINATION.is_dir():
        return
    with tempfile.TemporaryDirectory() as folder:
        requirement = f"transformers=={transformers.__version__}"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "transformers"]
        subprocess.run([*command, "--dest", folder, requirement], check=True)
        [archive] = Path(folder).glob("transformers-*.tar.gz")
        with tarfile.open(archive) as distribution:
            members = [member for member in distribution if PurePosixPath(member.name).parts[1:2] == ("tests",)]
            if not members:
                sys.exit(f"{archive.name} holds no tests")
            distribution.extractall(folder, members, filter="data")
        [tests] = Path(folder).glob("transformers-*/tests")
        DESTINATION.parent.mkdir(exist_ok=True)
        shutil.move(tests, DESTINATION)


if __name__ == "__main__":
    main()
