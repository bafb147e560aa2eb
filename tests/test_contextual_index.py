"""A contextual model from files and texts to an index, whose scores are the model's."""

from pathlib import Path

import pytest
import torch

from tests.modeling_video_colbert.contextual_models import PASSAGE_LEVELS, SCORE_LEVELS, contextual_encoder
from tests.video_files import write_clip
from video_colbert import VideoClip
from video_colbert.encoding.encoded import EncodedVideo
from video_colbert.encoding.encoder import VideoColBERTEncoder
from video_colbert.errors import EncodingError
from video_colbert.index import IndexedVideo, LanceIndex

CAPTIONS = ["a red circle grows", "and now we add salt", "a talk on energy"]
TEXTS: list[dict[str, str]] = [
    {"speech": "And now we add salt. Stir it well.", "description": "Cooking with salt"},
    {},
    {"screen_text": "Energy of plants", "speech": "Leaves make sugar."},
]
SCORINGS = ["sum", "token_max", "modality_max"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[VideoClip]:
    folder = tmp_path_factory.mktemp("clips")
    return [
        VideoClip(str(write_clip(folder / f"{seed}.mp4", seed=seed)), passages=texts)
        for seed, texts in enumerate(TEXTS)
    ]


@pytest.fixture(scope="module")
def encoder(clip_backbone_folder: Path) -> VideoColBERTEncoder:
    return contextual_encoder(clip_backbone_folder)


@torch.no_grad()
@pytest.mark.parametrize("level_scoring", SCORINGS)
def test_encoder_and_index_score_as_the_model_does(
    level_scoring: str, encoder: VideoColBERTEncoder, clips: list[VideoClip], tmp_path: Path
) -> None:
    # All of it is decided where queries are scored, so one set of weights serves for three.
    encoder.model.config.level_scoring = level_scoring
    processor = encoder.processor
    inputs = processor(text=CAPTIONS, videos=[clip.source for clip in clips])
    inputs |= processor.process_passages(TEXTS, PASSAGE_LEVELS, 512)
    expected = encoder.model(**inputs)
    videos = [video for video in encoder.encode_videos(clips) if isinstance(video, EncodedVideo)]
    assert [len(videos[1].embeds[level]) for level in PASSAGE_LEVELS] == [0, 0, 0]
    queries = encoder.encode_queries(CAPTIONS)
    torch.testing.assert_close(encoder.similarity(queries, videos), expected.scores, rtol=0, atol=1e-5)
    index = LanceIndex.create(tmp_path, model=encoder.reference, num_frames=4)
    index.add(
        [
            (IndexedVideo(str(video.clip.source), f"digest {row}", video.duration, (0.0,) * 4), video)
            for row, video in enumerate(videos)
        ]
    )
    for row, hits in enumerate(LanceIndex.open(tmp_path).search(queries)):
        scores = {hit.video: hit.score for hit in hits}
        # Tokens are stored as float16.
        found = [scores[str(clip.source)] for clip in clips]
        assert found == pytest.approx(expected.scores[row].tolist(), abs=5e-3)
        for hit in hits:
            best = max(score for level, score in hit.level_scores.items() if level in SCORE_LEVELS)
            if level_scoring == "modality_max":
                assert hit.score == pytest.approx(best, abs=1e-6)
            assert hit.score >= best - 1e-6
    if level_scoring == "sum":
        assert queries.with_level_weights({"speech": 0.5}).level_weights["speech"] == 0.5
    else:
        with pytest.raises(ValueError, match=r"the weight of level 'speech' must be 0 or 1, got 0\.5"):
            queries.with_level_weights({"speech": 0.5})
        alone = queries.with_level_weights({level: 0.0 for level in SCORE_LEVELS if level != "speech"})
        found_alone = encoder.similarity(alone, videos)
        torch.testing.assert_close(found_alone, expected.speech_scores, rtol=0, atol=1e-5)


def test_texts_that_a_model_has_no_level_for_are_refused(clip_backbone_folder: Path, clips: list[VideoClip]) -> None:
    plain = contextual_encoder(clip_backbone_folder, score_levels=["frame", "video"])
    with pytest.raises(EncodingError, match=r"0\.mp4 has texts of the levels description, speech; contextual has"):
        list(plain.encode_videos(clips))
