"""A checkpoint as sentence-transformers opens it where our package is not installed."""

import json
import os
from pathlib import Path

import torch

from tests.hub.clients import run_without_packages
from tests.video_files import write_clip
from video_colbert import VideoColBERTEncoder

CAPTIONS = ["a red square moves left, then a blue ball rises", "a dog"]

ENCODE_ELSEWHERE = """
import json, sys
from sentence_transformers import MultiVectorEncoder

captions, clips = {captions!r}, {clips!r}
refusal = ""
try:
    MultiVectorEncoder({folder!r}, device="cpu")
except ValueError as error:
    refusal = str(error)
model = MultiVectorEncoder({folder!r}, trust_remote_code=True, device="cpu")
model.save_pretrained({saved!r})
again = MultiVectorEncoder({saved!r}, trust_remote_code=True, device="cpu")
print(json.dumps({{
    "refusal": refusal,
    "similarity": model.similarity_fn_name,
    "queries": [bag.tolist() for bag in model.encode_query(captions)],
    "frames": [bag.tolist() for bag in model.encode_document(clips)],
    "scores": [
        each.similarity(each.encode_query(captions), each.encode_document(clips, level=level)).tolist()
        for each in (model, again)
        for level in ("frame", "video")
    ],
    "modules": [type(module).__module__ for module in (model[0], model[0].model, model[0].processor)],
}}))
"""


def test_a_checkpoint_opens_and_is_saved_again_without_our_package(checkpoint_folder: Path, tmp_path: Path) -> None:
    clips = [str(write_clip(tmp_path / f"{seed}.mp4", seed)) for seed in range(3)]
    saved = tmp_path / "saved"
    code = ENCODE_ELSEWHERE.format(captions=CAPTIONS, clips=clips, folder=str(checkpoint_folder), saved=str(saved))
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    found = json.loads(run_without_packages(code, environment).splitlines()[-1])
    assert "trust_remote_code=True" in found["refusal"]
    assert found["similarity"] == "meanmaxsim"
    assert all(name.startswith("transformers_modules.") for name in found["modules"])

    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")
    queries = encoder.encode_queries(CAPTIONS).bags_of("frame")
    torch.testing.assert_close(torch.tensor(found["queries"]), queries.embeds, rtol=0, atol=1e-5)
    videos = list(encoder.encode_videos(clips))
    for bag, video in zip(found["frames"], videos, strict=True):
        torch.testing.assert_close(torch.tensor(bag), video.embeds["frame"], rtol=0, atol=1e-5)
    frame, video, frame_again, video_again = map(torch.tensor, found["scores"])
    torch.testing.assert_close(frame + video, encoder.similarity(CAPTIONS, videos), rtol=0, atol=1e-5)
    torch.testing.assert_close(frame_again, frame)
    torch.testing.assert_close(video_again, video)
    # What was saved there is a checkpoint here too.
    reloaded = VideoColBERTEncoder.from_pretrained(saved, device="cpu")
    torch.testing.assert_close(reloaded.similarity(CAPTIONS, clips), encoder.similarity(CAPTIONS, clips))
