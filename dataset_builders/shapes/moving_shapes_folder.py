"""Moving shapes as a folder of plain files, written by several processes."""

import functools
import json
import os
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import fields
from multiprocessing import get_context
from pathlib import Path

import datasets
from tqdm.auto import tqdm

from video_colbert.processes.worker_server import starting_processes

from .moving_shapes import CLIPS_PER_SHARD, MovingShapesConfig, plan_clips
from .moving_shapes_clips import write_clips

CAPTIONS_FILE = "captions.jsonl"
SETTINGS_FILE = "moving_shapes.json"
# Below this, starting processes takes longer than making the clips.
CLIPS_WORTH_A_PROCESS = 1000


def write_moving_shapes(
    folder: str | Path, config: MovingShapesConfig, split: str, num_proc: int | None = None
) -> Path:
    """Writes a split as plain files: `<folder>/<split>/<video_id>.mp4` and `captions.jsonl` beside them.

    A line of `captions.jsonl` is `{"video": file name, "caption": text, "twin": file name or null}`, which
    `video_folder` reads. A second call, or one after an interruption, writes only what is missing.

    Args:
        folder: Where to write; made if it does not exist.
        config: What to write.
        split: "train", "validation", "test" or "twins".
        num_proc: Number of processes, by default one for each core, or one for a small split.

    Returns:
        The folder of the split.

    Raises:
        ValueError: The folder holds clips of another configuration.
        WorkerError: The system refuses to start a process.

    Example:
        >>> config = MovingShapesConfig(num_test=4, num_frames=12, image_size=32)
        >>> folder = write_moving_shapes("shapes", config, "test")
        >>> len(list(folder.glob("*.mp4")))
        4
    """
    target = Path(folder) / split
    plans = plan_clips(config, split)
    target.mkdir(parents=True, exist_ok=True)
    write_settings(target / SETTINGS_FILE, config)
    batches = [plans[i : i + CLIPS_PER_SHARD] for i in range(0, len(plans), CLIPS_PER_SHARD)]
    write = functools.partial(write_clips, target)
    if num_proc is None:
        num_proc = 1 if len(plans) < CLIPS_WORTH_A_PROCESS else os.cpu_count() or 1
    workers = min(num_proc, len(batches))
    with tqdm(total=len(plans), desc=f"moving shapes, {split}", unit="clip", disable=None) as progress:
        if workers <= 1:
            for batch in batches:
                progress.update(write(batch))
        else:
            # Forking a process that has torch's threads can hang it.
            with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
                # Processes are started as work is handed to them.
                with starting_processes():
                    futures: list[Future[int]] = [pool.submit(write, batch) for batch in batches]
                try:
                    for future in as_completed(futures):
                        progress.update(future.result())
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
    with (target / CAPTIONS_FILE).open("w", encoding="utf-8") as file:
        for plan in plans:
            twin = f"{plan.twin_id}.mp4" if plan.twin_id else None
            line = {"video": f"{plan.video_id}.mp4", "caption": plan.scene.caption, "twin": twin}
            file.write(json.dumps(line) + "\n")
    return target


def write_settings(file: Path, config: MovingShapesConfig) -> None:
    """Records what a folder was made with, or checks that it was made with the same.

    Raises:
        ValueError: It was made with something else.
    """
    inherited = {field.name for field in fields(datasets.BuilderConfig)}
    names = [field.name for field in fields(config) if field.name not in inherited]
    settings = {name: getattr(config, name) for name in names}
    if file.exists():
        found = json.loads(file.read_text("utf-8"))
        differing = sorted(name for name in names if found.get(name) != settings[name])
        if differing:
            raise ValueError(
                f"{file.parent} holds moving shapes made with another value of {', '.join(differing)}; "
                "choose another folder"
            )
    else:
        file.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
