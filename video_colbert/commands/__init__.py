"""The subcommands of `video-colbert`, one module each.

A module has `NAME`, `HELP`, `add_arguments(parser)` and `run(arguments) -> int`, the exit code. Whatever is slow
to import (torch, transformers) is imported by `run`, so that `--help` answers at once.
"""
