"""How tests start processes of their own: out of a server that holds torch, which takes each of them seconds."""

from __future__ import annotations

from video_colbert.processes.worker_server import worker_context

# The server is the one that decoding processes come from, since a process has only one. It does not hold LanceDB,
# which runs threads.
WARM = worker_context("video_colbert.encoding.decoding_process")
