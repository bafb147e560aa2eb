"""The model as sentence-transformers' `MultiVectorEncoder`, in one process with our package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.multi_vector_encoder.evaluation import MultiVectorInformationRetrievalEvaluator

from tests.video_files import write_clip
from video_colbert import VideoColBERTEncoder
from video_colbert.modeling_video_colbert import VideoColBERTModel
from video_colbert.modeling_video_colbert.multi_vector_video_colbert import VideoColBERTMultiVector, multi_vector_files
from video_colbert.processing import VideoColBERTProcessor, VideoDecodingError

CAPTIONS = ["a red square moves left, then a blue ball rises", "a dog", "a man rides a bicycle"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    # The second has fewer frames than are sampled, so that its frames are masked.
    return [write_clip(folder / f"{seed}.mp4", seed, frames=frames) for seed, frames in enumerate((12, 4, 9))]


@pytest.fixture(scope="module")
def model(encoder: VideoColBERTEncoder) -> MultiVectorEncoder:
    return opened(encoder.model, encoder.processor)


def opened(model: VideoColBERTModel, processor: VideoColBERTProcessor) -> MultiVectorEncoder:
    """The library's encoder with the similarity that the checkpoint's own file names."""
    settings = multi_vector_files(model.config.interaction)["config_sentence_transformers.json"]
    modules = [VideoColBERTMultiVector(model, processor)]
    return MultiVectorEncoder(modules=modules, device="cpu", similarity_fn_name=settings["similarity_fn_name"])


def own_scores(model: VideoColBERTModel, processor: VideoColBERTProcessor, clips: list[Path]) -> Any:
    with torch.inference_mode():
        query = model.get_text_features(**processor.process_queries(CAPTIONS))
        return model.score(query, model.get_video_features(**processor.process_videos(clips)))


def test_scores_are_those_of_the_frame_level_and_both_levels_add_up_to_the_models_own(
    model: MultiVectorEncoder, encoder: VideoColBERTEncoder, clips: list[Path]
) -> None:
    names = [str(clip) for clip in clips]
    queries, frames = model.encode_query(CAPTIONS), model.encode_document(names)
    assert [len(bag) for bag in frames] == [6, 4, 6]
    assert [len(bag) for bag in queries] == [encoder.processor.query_length] * 3
    expected = own_scores(encoder.model, encoder.processor, clips)
    scores = model.similarity(queries, frames)
    torch.testing.assert_close(scores, expected.frame_scores, rtol=0, atol=1e-5)
    with_video = scores + model.similarity(queries, model.encode_document(names, level="video"))
    torch.testing.assert_close(with_video, encoder.similarity(CAPTIONS, clips), rtol=0, atol=1e-5)
    # The sum over query tokens is as many times the mean as there are tokens.
    maxsim = model.similarity(queries, frames, length_normalize=False)
    torch.testing.assert_close(maxsim, scores * encoder.processor.query_length, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("config", "similarity"),
    [({"interaction": "max_sim"}, "maxsim"), ({"query_expansion": False, "score_levels": ["frame"]}, "meanmaxsim")],
    ids=["sum", "no expansion"],
)
def test_other_configurations_keep_their_scores(
    config: dict[str, Any], similarity: str, clip_backbone_folder: Path, clips: list[Path]
) -> None:
    own = VideoColBERTModel.from_backbone(clip_backbone_folder, query_length=16, temporal_num_heads=4, **config).eval()
    processor = VideoColBERTProcessor.from_backbone(clip_backbone_folder, query_length=16, num_frames=6)
    model = opened(own, processor)
    assert model.similarity_fn_name == similarity
    queries = model.encode_query(CAPTIONS)
    counted = processor.process_queries(CAPTIONS)["attention_mask"].sum(1).tolist()
    assert [len(bag) for bag in queries] == ([16] * 3 if own.config.query_expansion else counted)
    scores = model.similarity(queries, model.encode_document(clips))
    torch.testing.assert_close(scores, own_scores(own, processor, clips).frame_scores, rtol=0, atol=1e-4)


def test_a_video_is_taken_in_every_form(model: MultiVectorEncoder, encoder: VideoColBERTEncoder) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (6, 40, 48, 3), dtype=np.uint8)
    pictures = [Image.fromarray(frame) for frame in frames]
    forms = [
        frames,
        torch.from_numpy(frames),
        frames.transpose(0, 3, 1, 2),
        pictures,
        tuple(frames),
        {"video": frames},
        {"video": pictures},
    ]
    bags = model.encode_document(forms)
    [expected] = encoder.encode_videos([frames])
    for bag in bags:
        torch.testing.assert_close(bag, expected.embeds["frame"], rtol=0, atol=1e-5)


def test_files_are_taken_as_paths_bytes_and_rows(model: MultiVectorEncoder, clips: list[Path]) -> None:
    data = clips[0].read_bytes()
    bags = model.encode_document([clips[0], str(clips[0]), data, {"path": "clip.mp4", "bytes": data}])
    for bag in bags[1:]:
        torch.testing.assert_close(bag, bags[0], rtol=0, atol=1e-6)
    # The library knows the first name as a video's, and not the second.
    other = clips[0].with_suffix(".webm")
    other.write_bytes(data)
    for bag in model.encode_document([str(clips[0]), str(other)]):
        torch.testing.assert_close(bag, bags[0], rtol=0, atol=1e-6)
    one = model.encode_document(str(clips[0]))
    torch.testing.assert_close(one, bags[0], rtol=0, atol=1e-6)


def test_metadata_and_settings_reach_the_processor(model: MultiVectorEncoder) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    described = {"array": frames, "video_metadata": {"fps": 4.0, "total_num_frames": 8}}
    bag = model.encode_document([described], processing_kwargs={"video": {"fps": 2.0, "num_frames": None}})[0]
    # Two of the four frames of a second, in two seconds.
    assert len(bag) == 4
    [short] = model.encode_document([frames], processing_kwargs={"video": {"num_frames": 3}})
    assert len(short) == 3
    with pytest.raises(ValueError, match="give it with all of them or with none"):
        model.encode_document([described, frames])


def test_what_does_not_fit_is_refused_by_name(model: MultiVectorEncoder, clips: list[Path], tmp_path: Path) -> None:
    refused: list[tuple[str, Any]] = [
        ("call encode_query for captions and encode_document", lambda: model.encode(["a dog"])),
        ("a query is one text, not a ndarray", lambda: model.encode_query([np.zeros((2, 8, 8, 3), np.uint8)])),
        ("queries have no levels", lambda: model.encode_query(["a dog"], level="video")),
        ("level is 'speech'; this model has frame, video", lambda: model.encode_document(clips, level="speech")),
        ("a video takes none", lambda: model.encode_document(clips, prompt="find: ")),
        ("settings of 'text' and of 'video'", lambda: model.encode_document(clips, processing_kwargs={"audio": {}})),
        ("a list is a video where it is one of pictures", lambda: model.encode_document([["a.mp4", "b.mp4"]])),
        ("give {'query': 32}", lambda: model.preprocess(clips, task="document", max_length=32)),
        ("a query is one text, not a list", lambda: model.encode_query([[{"role": "user", "content": "a dog"}]])),
        ("safetensors alone", lambda: model.save_pretrained(str(tmp_path), safe_serialization=False)),
    ]
    for message, call in refused:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(VideoDecodingError, match="there is no such file"):
        model.encode_document([str(clips[0]), "missing.mp4"])


def test_a_model_whose_score_is_no_maxsim_says_so(clip_backbone_folder: Path, encoder: VideoColBERTEncoder) -> None:
    own = VideoColBERTModel.from_backbone(
        clip_backbone_folder, query_length=16, score_levels=["frame"], interaction="weighted_token_wise"
    )
    with pytest.raises(ValueError, match="'weighted_token_wise'; sentence-transformers scores by MaxSim"):
        VideoColBERTMultiVector(own, encoder.processor)


def test_prompt_and_level_are_the_models(model: MultiVectorEncoder, clips: list[Path]) -> None:
    prompted = model.encode_query(["dog"], prompt="a ")
    torch.testing.assert_close(prompted[0], model.encode_query(["a dog"])[0])
    module = model[0]
    assert module.level == "frame"
    assert model.get_embedding_dimension() == module.model.config.projection_dim
    assert model.max_seq_length == 16
    module.level = "video"
    try:
        by_level = model.encode_document(clips)
    finally:
        module.level = "frame"
    for bag, expected in zip(by_level, model.encode_document(clips, level="video"), strict=True):
        torch.testing.assert_close(bag, expected)


def test_the_librarys_evaluator_finds_what_the_scores_say(model: MultiVectorEncoder, clips: list[Path]) -> None:
    queries = {f"q{number}": caption for number, caption in enumerate(CAPTIONS)}
    corpus = {f"v{number}": str(clip) for number, clip in enumerate(clips)}
    relevant = {f"q{number}": {f"v{number}"} for number in range(3)}
    evaluator = MultiVectorInformationRetrievalEvaluator(
        queries, corpus, relevant, name="clips", accuracy_at_k=[1, 2], precision_recall_at_k=[1, 2], write_csv=False
    )
    found = evaluator(model)
    scores = model.similarity(model.encode_query(CAPTIONS), model.encode_document(clips))
    ranks = (scores > scores.diagonal()[:, None]).sum(1)
    for k in (1, 2):
        expected = (ranks < k).double().mean().item()
        assert found[f"clips_meanmaxsim_recall@{k}"] == pytest.approx(expected)
