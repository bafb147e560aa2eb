from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tests.modeling_video_colbert.contextual_models import contextual_encoder
from tests.video_files import write_bad_files, write_clip
from video_colbert import EncodedVideo, VideoClip, VideoColBERTEncoder, VisualQuery
from video_colbert.encoding.encoded import EncodedQueries
from video_colbert.encoding.visual_query.combination import combine_queries
from video_colbert.errors import EncodingError
from video_colbert.processing import VideoDecodingError, decode_video

Array = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [write_clip(folder / f"{seed}.mp4", seed, frames=12 + seed) for seed in range(4)]


@pytest.fixture(scope="module")
def videos(encoder: VideoColBERTEncoder, files: list[Path]) -> list[EncodedVideo]:
    return [video for video in encoder.encode_videos(files) if isinstance(video, EncodedVideo)]


def mean_max_sim(query: torch.Tensor, video: torch.Tensor) -> float:
    products: Array = query.double().numpy() @ video.double().numpy().T
    return float(np.mean([max(of_token) for of_token in products.tolist()]))


def scores(encoder: VideoColBERTEncoder, queries: EncodedQueries, videos: list[EncodedVideo]) -> Array:
    found: Array = encoder.similarity(queries, videos).double().numpy()
    return found


def test_a_picture_is_scored_by_its_one_token_on_the_frame_level(
    encoder: VideoColBERTEncoder, files: list[Path], videos: list[EncodedVideo]
) -> None:
    frame = decode_video(files[1]).frames[5]
    query = encoder.encode_visual_queries([VisualQuery(image=frame)])
    [token] = encoder.encode_videos(frame[None])
    assert isinstance(token, EncodedVideo)
    assert (dict(query.level_weights), query.bags_of("frame").mask.tolist()) == ({"frame": 1.0}, [[True]])
    expected = [mean_max_sim(token.embeds["frame"], video.embeds["frame"]) for video in videos]
    np.testing.assert_allclose(scores(encoder, query, videos)[0], expected, atol=1e-5)


def test_a_clip_is_scored_by_all_its_tokens_on_both_levels_whatever_is_beside_it(
    encoder: VideoColBERTEncoder, files: list[Path], videos: list[EncodedVideo]
) -> None:
    clips = [VideoClip(files[0], 0.5, 1.2), VideoClip(files[2]), VideoClip(files[3], 1.0)]
    encoded = list(encoder.encode_videos(clips))
    together = encoder.encode_visual_queries([VisualQuery(clip=clip) for clip in clips])
    frames = [len(video.embeds["frame"]) for video in encoded if isinstance(video, EncodedVideo)]
    assert together.bags_of("frame").mask.sum(1).tolist() == frames
    assert len(set(frames)) > 1
    for row, own in enumerate(encoded):
        assert isinstance(own, EncodedVideo)
        expected = [
            sum(mean_max_sim(own.embeds[level], video.embeds[level]) for level in ("frame", "video"))
            for video in videos
        ]
        np.testing.assert_allclose(scores(encoder, together, videos)[row], expected, atol=1e-5)
        alone = encoder.encode_visual_queries([VisualQuery(clip=clips[row])])
        np.testing.assert_allclose(scores(encoder, alone, videos)[0], expected, atol=1e-5)


def test_a_picture_beside_a_clip_still_has_no_video_level(
    encoder: VideoColBERTEncoder, files: list[Path], videos: list[EncodedVideo]
) -> None:
    frame = decode_video(files[1]).frames[5]
    both = encoder.encode_visual_queries([VisualQuery(clip=VideoClip(files[0])), VisualQuery(image=frame)])
    alone = encoder.encode_visual_queries([VisualQuery(image=frame)])
    np.testing.assert_allclose(scores(encoder, both, videos)[1], scores(encoder, alone, videos)[0], atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("ratio", [1.0, 0.2])
def test_words_and_what_is_shown_make_the_weighted_sum_of_both_scores(
    share: float, ratio: float, encoder: VideoColBERTEncoder, files: list[Path], videos: list[EncodedVideo]
) -> None:
    frame = decode_video(files[1]).frames[5]
    for shown in (VisualQuery(image=frame), VisualQuery(clip=VideoClip(files[2], 0.5))):
        words = encoder.encode_queries("a red circle grows")
        visual = encoder.encode_visual_queries([shown])
        of_words, of_visual = (scores(encoder, queries, videos)[0] for queries in (words, visual))
        combined = combine_queries(words, visual, [share], [ratio])
        expected = share * of_words + (1 - share) * ratio * of_visual
        np.testing.assert_allclose(scores(encoder, combined, videos)[0], expected, atol=1e-5)


def test_words_and_a_picture_have_the_moments_of_the_words_and_one_of_the_picture(
    encoder: VideoColBERTEncoder, files: list[Path], videos: list[EncodedVideo]
) -> None:
    frame = decode_video(files[1]).frames[5]
    query = VisualQuery(image=frame, text="a red circle", text_weight=0.4)
    both = encoder.encode_visual_queries([query])
    assert list(both.texts) == ["a red circle + <picture of 32x32>"]
    moments = {hit.video: hit.moments for hit in encoder.rerank(both, videos)}
    of_words = {hit.video: hit.moments for hit in encoder.rerank("a red circle", videos)}
    of_picture = {
        hit.video: hit.moments
        for hit in encoder.rerank(encoder.encode_visual_queries([VisualQuery(image=frame)]), videos)
    }
    for video, found in moments.items():
        assert [moment.word for moment in found] == ["a", "red", "circle", ""]
        expected = [*of_words[video], *of_picture[video]]
        assert [moment.time for moment in found] == [moment.time for moment in expected]
        similarities = [moment.similarity for moment in expected]
        assert [moment.similarity for moment in found] == pytest.approx(similarities, abs=1e-5)


def test_a_moment_of_a_picture_is_the_frame_that_it_is_most_like(
    encoder: VideoColBERTEncoder, files: list[Path], videos: list[EncodedVideo]
) -> None:
    number = int(np.searchsorted(videos[3].timestamps, 2.0))
    time = float(videos[3].timestamps[number])
    frame = decode_video(files[3], 1, start=time, end=time + 1e-4).frames[0]
    [hit] = encoder.rerank(encoder.encode_visual_queries([VisualQuery(image=frame)]), [videos[3]])
    [moment] = hit.moments
    assert (moment.word, moment.time) == ("", time)
    assert moment.similarity == pytest.approx(1.0, abs=1e-5)
    [part] = hit.ranges
    assert (part.words, part.start <= time <= part.end) == ((), True)
    assert repr(hit).endswith(f" 0:{time:04.1f}")


def test_weights_of_tokens_are_those_of_the_clip(clip_backbone_folder: Path, files: list[Path]) -> None:
    encoder = contextual_encoder(clip_backbone_folder, score_levels=["frame"], interaction="weighted_token_wise")
    clip, other = VideoClip(files[0], 0.0, 1.0), VideoClip(files[1])
    first, second = encoder.encode_videos([clip, other])
    assert isinstance(first, EncodedVideo)
    assert isinstance(second, EncodedVideo)
    products = first.embeds["frame"] @ second.embeds["frame"].T
    one = (first.token_weights["frame"] * products.amax(1)).sum() + (
        second.token_weights["frame"] * products.amax(0)
    ).sum()
    query = encoder.encode_visual_queries([VisualQuery(clip=clip)])
    assert float(encoder.similarity(query, [second])) == pytest.approx(float(one) / 2, abs=1e-5)
    with pytest.raises(EncodingError, match=r"interaction='weighted_token_wise' in its configuration.*leave one"):
        encoder.encode_visual_queries([VisualQuery(clip=clip, text="red")])


@pytest.mark.parametrize("interaction", ["attention_max_sim", "attention_mean_max_sim"])
def test_words_and_what_is_shown_make_the_sum_with_weights_of_tokens_too(
    clip_backbone_folder: Path, files: list[Path], interaction: str
) -> None:
    encoder = contextual_encoder(clip_backbone_folder, score_levels=["frame", "video"], interaction=interaction)
    videos = [video for video in encoder.encode_videos(files) if isinstance(video, EncodedVideo)]
    words = encoder.encode_queries(["a red circle grows", "blue"])
    shown = [VisualQuery(clip=VideoClip(files[0], 0.0, 1.0)), VisualQuery(image=decode_video(files[1]).frames[5])]
    visual = encoder.encode_visual_queries(shown)
    for queries in (words, visual):
        weights = queries.bags_of("frame").token_weights
        assert weights is not None
        # Weights that are all alike would hide a mistake.
        assert float(weights[queries.bags_of("frame").mask].std()) > 1e-4
    combined = combine_queries(words, visual, [0.3, 0.8], [0.5, 2.0])
    of_words, of_visual = scores(encoder, words, videos), scores(encoder, visual, videos)
    expected = np.array([[0.3], [0.8]]) * of_words + np.array([[0.7 * 0.5], [0.2 * 2.0]]) * of_visual
    np.testing.assert_allclose(scores(encoder, combined, videos), expected, rtol=1e-5)


def test_words_and_what_is_shown_are_refused_where_levels_are_not_summed(
    clip_backbone_folder: Path, files: list[Path]
) -> None:
    encoder = contextual_encoder(clip_backbone_folder, level_scoring="token_max")
    with pytest.raises(EncodingError, match="level_scoring='token_max' in its configuration"):
        encoder.encode_visual_queries([VisualQuery(clip=VideoClip(files[0]), text="red")])


def test_a_model_of_the_video_level_alone_takes_pictures_by_it(clip_backbone_folder: Path, files: list[Path]) -> None:
    encoder = contextual_encoder(clip_backbone_folder, score_levels=["video"])
    query = encoder.encode_visual_queries([VisualQuery(image=decode_video(files[1]).frames[5])])
    assert dict(query.level_weights) == {"video": 1.0}
    assert encoder.similarity(query, files).shape == (1, 4)


def test_what_cannot_be_encoded_is_an_error_that_names_it(
    encoder: VideoColBERTEncoder, checkpoint_folder: Path, files: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(VideoDecodingError, match=r"text\.mp4"):
        encoder.encode_visual_queries([VisualQuery(clip=VideoClip(str(write_bad_files(tmp_path)["text"])))])
    with pytest.raises(VideoDecodingError, match=r"0\.mp4 \[90 s to the end\]: no frame appears"):
        encoder.encode_visual_queries([VisualQuery(clip=VideoClip(str(files[0]), 90.0))])
    picture = np.zeros((9, 9, 3), np.uint8)
    with pytest.raises(ValueError, match="all with words or all without; got 2, 1 with words"):
        encoder.encode_visual_queries([VisualQuery(image=picture), VisualQuery(image=picture, text="red")])
    with pytest.raises(ValueError, match="needs at least one query"):
        encoder.encode_visual_queries([])
    of_queries = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu", for_videos=False)
    with pytest.raises(EncodingError, match="was loaded for queries alone"):
        of_queries.encode_visual_queries([VisualQuery(image=picture)])
