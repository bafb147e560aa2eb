"""Data sets of a few clips in the layouts that `datasets` opens."""

import csv
import json
from pathlib import Path

from tests.video_files import write_clip


def write_videofolder(root: Path, metadata: str = "metadata.jsonl", *, split: str = "train", clips: int = 3) -> Path:
    """Writes a split of the layout `videofolder`: clips in a folder `clips`, the first with a second caption."""
    folder = root / split
    lines = [(f"clips/{number}.mp4", f"clip {number}") for number in range(clips)] + [("clips/0.mp4", "again clip 0")]
    for number in range(clips):
        write_clip(folder / f"clips/{number}.mp4", seed=number, frames=6)
    if metadata.endswith(".csv"):
        with (folder / metadata).open("w", newline="") as file:
            csv.writer(file).writerows([("file_name", "caption"), *lines])
    else:
        rows = [json.dumps({"file_name": name, "caption": caption}) for name, caption in lines]
        (folder / metadata).write_text("\n".join(rows))
    return root
