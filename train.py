"""Trains Video-ColBERT with Accelerate; `video-colbert train` is the same in one process.

    python train.py --recipe recipes/data/msrvtt.yaml recipes/backbone/clip_b32.yaml --data_dir MSRVTT
    accelerate launch --quiet train.py --recipe ... --data_dir ...

`python train.py --help` lists the arguments. Without `--quiet`, `accelerate launch` adds a traceback of its own to a
mistake's one sentence. A run interrupted in any way goes on with
`--resume_from_checkpoint latest`. Exit codes: 0; 1 for a mistake or a loss that is not finite; 3 if some videos could
not be decoded; 143 or 130 after SIGTERM or SIGINT, once a checkpoint is saved.
"""

import sys

from video_colbert.training.training_run import run_command_line

if __name__ == "__main__":
    sys.exit(run_command_line())
