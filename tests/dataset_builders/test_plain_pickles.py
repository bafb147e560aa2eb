import copyreg
import os
import pickle
import platform
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from video_colbert.dataset_builders.annotation_files import AnnotationError
from video_colbert.dataset_builders.msvd import read_pickled_captions
from video_colbert.dataset_builders.plain_pickles import read_plain_pickle


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "captions.pkl"


def failing_line(call: Callable[[], object], reason: str) -> int | None:
    with pytest.raises(AnnotationError, match=reason) as raised:
        call()
    return raised.value.line


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_plain_pickles_are_read(file: Path, protocol: int) -> None:
    captions = {"a": [["one", "two"], []], "b": [["é"]]}
    file.write_bytes(pickle.dumps(captions, protocol=protocol))
    assert read_plain_pickle(file) == captions


def test_pickles_of_python_2_are_read(file: Path) -> None:
    # {'a': [['x', 'y']]} as Python 2 writes byte strings.
    file.write_bytes(b"(dp0\nS'a'\np1\n(lp2\n(lp3\nS'x'\np4\naS'y'\np5\naas.")
    assert read_plain_pickle(file) == {"a": [["x", "y"]]}


class Malicious:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_calls_something_is_refused_and_nothing_happens(file: Path, protocol: int) -> None:
    trace = file.with_name("trace")
    file.write_bytes(pickle.dumps({"a": Malicious(f"touch {trace}")}, protocol=protocol))
    assert failing_line(lambda: read_plain_pickle(file), r"(posix|nt|os)\.system") is None
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps([1]), pickle.dumps({1: "a"})])
def test_what_is_no_pickled_dict_of_texts_is_an_error(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert failing_line(lambda: read_plain_pickle(file), "pickle") is None


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"(S'true'\nios\nsystem\n.",
        b"(cos\nsystem\nS'true'\no.",
        b"\x80\x02S'a'\n)R.",
        b"\x80\x02S'a'\n)\x81.",
        b"\x80\x02}}S'a'\nK\x01sb.",
        b"Pfoo\n.",
        b"\x80\x05\x97.",
    ],
)
def test_no_operation_that_could_reach_outside_is_taken(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert failing_line(lambda: read_plain_pickle(file), "refused or unreadable pickle: it refers to") is None


def test_an_extension_that_another_library_has_used_is_refused(file: Path) -> None:
    copyreg.add_extension("platform", "system", 77)
    try:
        content = b"\x80\x02}S'a'\n\x82\x4d)Rs."
        # Once used, an extension is found without asking the unpickler.
        assert pickle.loads(content) == {"a": platform.system()}  # noqa: S301 - written above
        file.write_bytes(content)
        assert failing_line(lambda: read_plain_pickle(file), "refused") is None
    finally:
        copyreg.remove_extension("platform", "system", 77)


LIMITED = """
import resource, sys
from pathlib import Path
from video_colbert.dataset_builders.annotation_files import AnnotationError
from video_colbert.dataset_builders.plain_pickles import read_plain_pickle
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[1:]:
    try:
        read_plain_pickle(name)
        print("read")
    except AnnotationError as error:
        print("refused")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_small_file_takes_little_memory(tmp_path: Path) -> None:
    bombs = [
        b"\x80\x02}r" + struct.pack("<I", 2**27) + b".",
        b"}p134217728\n.",
        b"\x80\x04\x8d" + struct.pack("<Q", 2 * 10**9) + b"x.",
        b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",
        b"\x80\x04\x95" + struct.pack("<Q", 2 * 10**9) + b"}.",
        b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.",
        b"(" * 1_000_000 + b".",
        b"I" + b"1" * 100_000 + b"\n.",
    ]
    for number, content in enumerate(bombs):
        (tmp_path / f"{number}.pkl").write_bytes(content)
    files = [str(tmp_path / f"{number}.pkl") for number in range(len(bombs))]
    run = subprocess.run([sys.executable, "-c", LIMITED, *files], capture_output=True, text=True, check=True)
    *outcomes, megabytes = run.stdout.split()
    assert outcomes == ["refused"] * len(bombs)
    assert int(megabytes) < 100


def test_captions_out_of_proportion_to_their_file_are_refused(file: Path) -> None:
    tokens = ["word"] * 2000
    file.write_bytes(pickle.dumps({"a": [tokens] * 2000}))
    assert failing_line(lambda: read_pickled_captions(file), "more text than its size allows") is None
    file.write_bytes(pickle.dumps({f"v{n}": [["a", "man", "walks", f"{n}"]] * 3 for n in range(100)}))
    assert len(read_pickled_captions(file)) == 100
