"""Clips that strangers send are decoded in another process."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.video_files import write_bad_files, write_clip
from video_colbert import VideoClip, VideoColBERTEncoder
from video_colbert.encoding.clip_decoding import ClipDecoder, DecodedClip
from video_colbert.encoding.encoded import BadVideo
from video_colbert.encoding.visual_query.decode_apart import decode_apart


class CrashingDecoder(ClipDecoder):
    """Ends its process, as damage in a decoder does."""

    def decode(self, clip: VideoClip, source: Any = None) -> DecodedClip | BadVideo:
        os._exit(11)


@pytest.fixture(scope="module")
def decoder(checkpoint_folder: Path) -> ClipDecoder:
    return VideoColBERTEncoder.from_pretrained(checkpoint_folder).clip_decoder(None)


@pytest.mark.parametrize("as_bytes", [False, True])
def test_frames_are_those_of_decoding_here(tmp_path: Path, decoder: ClipDecoder, as_bytes: bool) -> None:
    path = write_clip(tmp_path / "a.mp4", 0)
    clip = VideoClip(path.read_bytes() if as_bytes else str(path), 0.5, 2.0)
    here, apart = decoder.decode(clip), decode_apart(decoder, clip)
    assert isinstance(here, DecodedClip)
    assert isinstance(apart, DecodedClip)
    assert apart.clip == clip
    assert torch.equal(apart.pixels, here.pixels)
    assert apart.timestamps.tolist() == here.timestamps.tolist()
    assert (apart.duration, apart.frame_size) == (here.duration, here.frame_size)


def test_what_is_no_video_is_bad_and_names_no_temporary_file(tmp_path: Path, decoder: ClipDecoder) -> None:
    bad = decode_apart(decoder, VideoClip(write_bad_files(tmp_path)["text"].read_bytes()))
    assert isinstance(bad, BadVideo)
    assert bad.source == "the clip"
    assert "is not a video file" in bad.reason


def test_a_decoder_that_crashes_makes_the_clip_bad(tmp_path: Path, decoder: ClipDecoder) -> None:
    fields = {each.name: getattr(decoder, each.name) for each in dataclasses.fields(decoder)}
    bad = decode_apart(CrashingDecoder(**fields), VideoClip(str(write_clip(tmp_path / "a.mp4", 0))))
    assert isinstance(bad, BadVideo)
    assert "crash" in bad.reason
