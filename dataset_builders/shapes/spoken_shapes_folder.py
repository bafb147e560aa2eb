"""Spoken shapes as a folder of plain files, with what is asked of each.

python -m video_colbert.dataset_builders.shapes.spoken_shapes_folder FOLDER
"""

import argparse
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from tqdm.auto import tqdm

from .spoken_shapes_clips import make_clip
from .spoken_shapes_plan import SPLITS, Content, SpokenClip, SpokenShapesConfig, plan_spoken_clips
from .spoken_voice import PROGRAM, has_voice

SETTINGS_FILE = "spoken_shapes.json"
Voice = Literal["auto", "spoken", "subtitles"]
"""Whether sentences are spoken, or given as subtitles beside the video; "auto" speaks where espeak-ng is installed."""

_SOURCES: dict[Content, str] = {"written": "screen_text", "told": "description", "visible": "video"}


def annotation_file(split: str) -> str:
    """Name of the file that says what is asked of a split's clips."""
    return f"spoken_shapes_{split}.jsonl"


def write_spoken_shapes(folder: str | Path, config: SpokenShapesConfig, split: str, voice: Voice = "auto") -> Path:
    """Writes a split: `<folder>/<split>/<video_id>.mp4` and `<folder>/spoken_shapes_<split>.jsonl`.

    A line of the latter holds `video` (the name of the file), `query`, `source` (which answers it: "speech" or
    "subtitles", "screen_text", "description" or "video"), `partner` (the file that shares the other three contents)
    and all four contents: `spoken`, `written`, `told`, `visible`. A second call, or one after an interruption, writes
    only what is missing.

    Args:
        folder: Where to write; made if it does not exist.
        config: What to write.
        split: "train", "validation" or "test".
        voice: Whether sentences are spoken; otherwise they stand in `<video_id>.srt` beside the video.

    Returns:
        The file of queries.

    Raises:
        ValueError: An unknown split, or the folder holds clips of another configuration or another voice.
        FileNotFoundError: They are to be spoken, and espeak-ng is not installed.
    """
    if voice == "spoken" and not has_voice():
        raise FileNotFoundError(
            f"{PROGRAM}, which speaks the sentences, is not installed; voice='subtitles' needs none"
        )
    is_spoken = voice == "spoken" or (voice == "auto" and has_voice())
    clips = plan_spoken_clips(config, split)
    target = Path(folder) / split
    target.mkdir(parents=True, exist_ok=True)
    _keep_settings(Path(folder) / SETTINGS_FILE, {**asdict(config), "is_spoken": is_spoken})
    # Speech comes from another program, and encoding leaves Python free, so threads run side by side.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        written = pool.map(lambda clip: _write_clip(target, clip, config, is_spoken), clips)
        for _ in tqdm(written, total=len(clips), desc=f"spoken shapes, {split}", unit="clip", disable=None):
            pass
    lines = [json.dumps(_record(clip, is_spoken), ensure_ascii=False) + "\n" for clip in clips]
    file = Path(folder) / annotation_file(split)
    file.write_text("".join(lines), "utf-8")
    return file


def _record(clip: SpokenClip, is_spoken: bool) -> dict[str, str]:
    speech = "speech" if is_spoken else "subtitles"
    return {
        "video": f"{clip.video_id}.mp4",
        "query": clip.query,
        "source": _SOURCES.get(clip.asked, speech),
        "partner": f"{clip.partner_id}.mp4",
        "spoken": clip.spoken.text,
        "written": clip.written.text,
        "told": clip.told.text,
        "visible": clip.scene.caption,
    }


def _write_clip(folder: Path, clip: SpokenClip, config: SpokenShapesConfig, is_spoken: bool) -> None:
    file = folder / f"{clip.video_id}.mp4"
    if not is_spoken:
        seconds = f"{config.num_frames / config.fps:06.3f}".replace(".", ",")
        cue = f"1\n00:00:00,000 --> 00:00:{seconds}\n{clip.spoken.text}\n"
        file.with_suffix(".srt").write_text(cue, "utf-8")
    if not file.exists():
        # A file gets its name only when it is whole, so an interrupted run can go on.
        unfinished = file.with_suffix(".part")
        unfinished.write_bytes(make_clip(clip, config, is_spoken=is_spoken))
        unfinished.replace(file)


def _keep_settings(file: Path, settings: dict[str, int]) -> None:
    if not file.exists():
        file.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
        return
    found = json.loads(file.read_text("utf-8"))
    # How many clips a split has does not change the others.
    differing = [name for name in settings if not name.startswith("num_t") and not name.startswith("num_v")]
    differing = [name for name in differing if found.get(name) != settings[name]]
    if differing:
        raise ValueError(
            f"{file.parent} holds spoken shapes made with another value of {', '.join(differing)}; "
            "choose another folder"
        )


def main() -> None:
    """Writes all splits into the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write; made if it does not exist")
    arguments = parser.parse_args()
    for split in SPLITS:
        write_spoken_shapes(arguments.folder, SpokenShapesConfig(), split)


if __name__ == "__main__":
    main()
