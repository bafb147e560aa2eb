"""How a server answers many at once while its index grows: times, errors and memory.

    python benchmarks/bench_serve.py

A checkpoint of CLIP ViT-B/32's size with random weights and an index of short clips are made in a temporary folder. A
server over the index is asked by one client, then by 16 at once for a minute while `index` adds videos in another
process; each client asks its next query when the last one is answered. Targets:

- no error, and the added videos are in the index at the end;
- the 95th percentile with 16 clients is at most 3 times a lone query's median times 16 over the cores;
- the server's memory at the end is at most 1.2 times what it was after a tenth of the minute.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmark_report import Target, add_json_argument, report_figures, script_parser
from made_clips import make_clips
from sized_checkpoint import save_sized_checkpoint

_CLIENTS = 16
_WORDS = ("dog", "ball", "red car", "man walks", "cooking", "water", "green field", "two people talk")


class Server:
    """A server in a process of its own, and what it takes.

    Args:
        index: folder of the index.
        log: where its notices go.
    """

    def __init__(self, index: Path, log: Path) -> None:
        self._log = log.open("w")
        command = [sys.executable, "-m", "video_colbert", "serve", "--index", str(index)]
        self._process = subprocess.Popen(
            [*command, "--port", "0", "--no-open", "--device", "cpu"],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.address = (self._process.stdout or io.StringIO()).readline().strip()
        if not self.address:
            raise SystemExit(f"the server did not start: {log.read_text()}")

    def memory(self) -> float:
        """Resident megabytes of the process."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return float(status.partition("VmRSS:")[2].split()[0]) / 1024

    def close(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait(30)
        self._log.close()


def ask(address: str, name: str, parameters: dict[str, Any]) -> Any:
    """What a function of the server answers.

    Raises:
        RuntimeError: it answers with an error.
    """
    body = json.dumps(parameters).encode()
    begin = urllib.request.Request(  # noqa: S310 - the address of our own server
        f"{address}gradio_api/call/v2/{name}", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(begin, timeout=120) as response:  # noqa: S310 - likewise
        event = json.load(response)["event_id"]
    with urllib.request.urlopen(f"{address}gradio_api/call/{name}/{event}", timeout=120) as response:  # noqa: S310
        text = response.read().decode()
    if "event: complete" not in text:
        raise RuntimeError(text.strip()[:200])
    return json.loads(text.rpartition("data: ")[2])[0]


def timed_queries(
    address: str, seconds: float, clients: int, server: Server
) -> tuple[list[float], list[str], list[float]]:
    """Seconds of each query, errors, and the server's memory each second, with so many clients for so long."""
    times: list[float] = []
    errors: list[str] = []
    memory: list[float] = []
    end = time.monotonic() + seconds

    def client(number: int) -> None:
        place = number
        while time.monotonic() < end:
            text = f"a {_WORDS[place % len(_WORDS)]} {place}"
            place += clients
            begin = time.monotonic()
            try:
                if not ask(address, "search", {"text": text, "top_k": 10})["hits"]:
                    errors.append(f"{text}: no hits")
            except Exception as error:
                errors.append(f"{text}: {error!r}")
            times.append(time.monotonic() - begin)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        memory.append(server.memory())
        time.sleep(min(1.0, seconds / 20))
    return times, errors, memory


def measure(folder: Path, seconds: float, videos: int) -> tuple[dict[str, Any], list[Target]]:
    """Asks a server over an index of so many videos, which grows by as many."""
    checkpoint = save_sized_checkpoint(folder / "model", num_frames=2)
    make_clips(folder / "first", videos)
    make_clips(folder / "second", videos, seed=1)
    add = [sys.executable, "-m", "video_colbert", "index", "--index", str(folder / "index")]
    add += ["--model", str(checkpoint), "--device", "cpu"]
    subprocess.run([*add, str(folder / "first")], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = Server(folder / "index", folder / "log")
    try:
        # Once without the clock: what a server imports at its first call.
        ask(server.address, "search", {"text": "a dog", "top_k": 10})
        lone, errors, _ = timed_queries(server.address, max(3.0, seconds / 6), 1, server)
        adding = subprocess.Popen([*add, str(folder / "second")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times, more, memory = timed_queries(server.address, seconds, _CLIENTS, server)
        adding.wait()
        after = ask(server.address, "info", {})["indexes"][0]["videos"]
    finally:
        server.close()
    errors += more
    for error in errors[:10]:
        print(error)
    cores = os.cpu_count() or 1
    lone_median, p95 = statistics.median(lone), statistics.quantiles(times, n=20)[-1]
    early, late = memory[len(memory) // 10], memory[-1]
    figures = {
        "seconds": seconds,
        "lone query, median s": lone_median,
        "16 clients, median s": statistics.median(times),
        "16 clients, p95 s": p95,
        "queries a second": len(times) / seconds,
        "queries": len(times),
        "videos at first": videos,
        "videos at last": after,
        "memory after a tenth, MB": early,
        "memory at last, MB": late,
    }
    targets = [
        Target("errors", len(errors), 0, at_least=False),
        Target("videos at last", after, 2 * videos, at_least=True),
        Target(
            "p95 over a lone query's median, of 16 / cores", p95 / (lone_median * _CLIENTS / cores), 3, at_least=False
        ),
        Target("memory at last over after a tenth", late / early, 1.2, at_least=False),
    ]
    return figures, targets


def main() -> int:
    """Runs the benchmark; returns 1 if a target is missed."""
    parser = add_json_argument(script_parser(__doc__))
    parser.add_argument("--seconds", type=float, default=60.0, help="how long 16 clients ask (default: 60)")
    parser.add_argument("--videos", type=int, default=100, help="videos at first, and added (default: 100 each)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures, targets = measure(Path(folder), arguments.seconds, arguments.videos)
    return report_figures(figures, targets, arguments.json)


if __name__ == "__main__":
    sys.exit(main())
