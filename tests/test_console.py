from __future__ import annotations

import io
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from video_colbert.console import printable, write_notice, write_paths, write_result
from video_colbert.errors import OutputError

HOSTILE = "a\x1b[31m\x1b]0;title\x07\x9b2J\r\x7f\u202e\u2028\ud83d\udce9.mp4"


def test_nothing_that_a_terminal_obeys_is_printable() -> None:
    for code in (*range(0x3000), *range(0xD7F0, 0xE010)):
        shown = printable(chr(code))
        assert "\n" not in shown
        kind = unicodedata.category(chr(code))
        if kind in ("Cc", "Cs", "Zl", "Zp"):
            assert shown.startswith("\\"), hex(code)
        if kind[0] in "LNP" or chr(code) in " \u200d":
            assert shown == chr(code), hex(code)
    assert printable("red\x1b[31m\n.mp4") == r"red\x1b[31m\n.mp4"
    # Family of three, which joins its people by an invisible character.
    assert printable("👨\u200d👩\u200d👧 größer 猫") == "👨\u200d👩\u200d👧 größer 猫"


@pytest.mark.parametrize(("write", "name"), [(write_result, "stdout"), (write_notice, "stderr")])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "latin-1", "ascii"])
def test_any_text_can_be_written_to_any_console(
    monkeypatch: pytest.MonkeyPatch, write: object, name: str, encoding: str
) -> None:
    content = io.BytesIO()
    monkeypatch.setattr(sys, name, io.TextIOWrapper(content, encoding=encoding, errors="strict", newline="\n"))
    write(f"first {HOSTILE}\nsecond 猫 ü")  # type: ignore[operator]
    written = content.getvalue().decode(encoding)
    assert written.count("\n") == 2
    assert written.endswith("\n")
    assert "\x1b" not in written
    assert r"\x1b[31m" in written
    assert r"\ud83d\udce9" in written
    assert ("猫" if encoding == "utf-8" else r"\u732b") in written
    assert ("ü" if encoding != "ascii" else r"\xfc") in written


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_paths_reach_a_pipe_exactly_and_a_terminal_harmlessly(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    content = io.BytesIO()
    stream = io.TextIOWrapper(content, encoding=encoding, errors="strict", newline="\n")
    monkeypatch.setattr(sys, "stdout", stream)
    paths = ["/v/ü 猫.mp4", "/v/\x1b[31m.mp4", os.fsdecode(b"/v/\xff.mp4")]
    write_paths(paths)
    assert content.getvalue() == b"".join(os.fsencode(path) + b"\n" for path in paths)
    monkeypatch.setattr(stream, "isatty", lambda: True)
    write_paths(paths[1:2])
    assert content.getvalue().endswith(b"\n/v/\\x1b[31m.mp4\n")


class FailingStream(io.StringIO):
    encoding = "utf-8"

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def flush(self) -> None:
        raise self.error


def test_a_closed_pipe_is_quiet_and_a_full_disk_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", FailingStream(BrokenPipeError()))
    write_result("x")
    monkeypatch.setattr(sys, "stdout", FailingStream(OSError(28, "No space left on device")))
    with pytest.raises(OutputError, match=r"standard output cannot be written \(No space left on device\)"):
        write_result("x")
    monkeypatch.setattr(sys, "stderr", FailingStream(OSError(28, "No space left on device")))
    write_notice("x")
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    write_result("x")
    write_notice("x")


COMMAND = "import sys; from video_colbert.cli import main; sys.exit(main(sys.argv[1:]))"


def run_in_shell(redirection: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line under a shell's redirection; its exit code is the last line of standard error."""
    script = f'{{ "$0" -c "$1" "${{@:2}}"; echo "exit $?" >&9; }} 9>&2 {redirection}'
    return subprocess.run(
        ["bash", "-c", script, sys.executable, COMMAND, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.parametrize("redirection", ["| true", ">&-", "2>&-", ">&- 2>&- <&-"])
def test_streams_that_nobody_reads_leave_nothing_behind(redirection: str) -> None:
    run = run_in_shell(redirection, "--help")
    assert "Traceback" not in run.stderr
    assert "Exception ignored" not in run.stderr
    assert run.stderr.splitlines()[-1] == "exit 0"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_table_that_a_full_disk_does_not_take_is_a_failure_in_a_sentence(
    tmp_path: Path, checkpoint_folder: Path
) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "bad.mp4").write_bytes(b"")
    command = ("index", str(tmp_path / "videos"), "--model", str(checkpoint_folder), "--index", str(tmp_path / "i"))
    run = run_in_shell(">/dev/full", *command)
    lines = run.stderr.strip().splitlines()
    assert lines[-2:] == ["video-colbert: standard output cannot be written (No space left on device)", "exit 1"]
    assert "Traceback" not in run.stderr
