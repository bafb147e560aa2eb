"""The subcommands of `video-colbert`, one module each.

A module has `NAME`, `HELP`, `EXAMPLES` for the end of its help, which a test runs, `add_arguments(parser)` and
`run(arguments) -> int`, the exit code; it may have `NOTES`, more text for the help, and `PARSER_OPTIONS`. Its
docstring is the help's description. Whatever is slow to import (torch, transformers) is imported by `run`, so that
`--help` answers at once. Messages of the library name arguments as Python does, `num_frames=6`; `cli.py` makes flags
of them.
"""
