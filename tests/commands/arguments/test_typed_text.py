import argparse
import os

import pytest

from video_colbert.commands.arguments.typed_text import typed_text


@pytest.mark.parametrize("text", ["a red circle", "ein größerer Hund 猫 🐈", ""])
def test_text_that_python_decoded_stays(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed_text(text) == text
    assert capsys.readouterr().err == ""


def test_bytes_that_python_did_not_decode_are_read_as_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    # As under LC_ALL=POSIX without UTF-8 mode, where every byte above 127 is kept aside.
    kept = "größer 猫".encode().decode("ascii", "surrogateescape")
    assert typed_text(kept) == "größer 猫"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("encoding", "text"), [("cp1252", "café: 5 €"), ("latin-1", "caf\xe9 \x81")])
def test_text_of_another_encoding_is_read_and_said(
    encoding: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed_text(os.fsdecode(text.encode(encoding))) == text
    assert f"The text is not UTF-8; it is read as {encoding}: caf" in capsys.readouterr().err


def test_half_a_character_is_refused() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no Unicode text"):
        typed_text("\ud83d")
