from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.video_files import write_clip
from video_colbert import EncodedVideo, Index, SearchHits, VideoClip, VideoColBERTEncoder, VisualQuery, open_index
from video_colbert.errors import IndexStoreError
from video_colbert.processing import decode_video

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [write_clip(folder / f"{seed}.mp4", seed, frames=12 + seed) for seed in range(10)]


@pytest.fixture(scope="module", params=["folder", "memory", "qdrant"])
def index(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    encoder: VideoColBERTEncoder,
    files: list[Path],
) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("index")
    places = {"folder": f"{folder}/index", "memory": "memory://", "qdrant": f"qdrant+local://{folder}/qdrant"}
    with open_index(places[request.param], encoder) as opened:
        opened.add(files)
        yield opened


def stored(encoder: VideoColBERTEncoder, videos: list[Path]) -> list[EncodedVideo]:
    """The videos as an index has them, whose numbers have 16 bits."""
    return [
        EncodedVideo(each.clip, each.duration, each.timestamps, {k: v.half().float() for k, v in each.embeds.items()})
        for each in encoder.encode_videos(videos)
        if isinstance(each, EncodedVideo)
    ]


def mean_max_sim(query: torch.Tensor, video: torch.Tensor) -> float:
    return float((query.double().numpy() @ video.double().numpy().T).max(axis=1).mean())


def scores_of(hits: SearchHits) -> dict[str, float]:
    return {hit.video: hit.score for hit in hits}


def test_a_picture_finds_its_video_and_every_score_is_mean_max_sim(
    index: Index, encoder: VideoColBERTEncoder, files: list[Path]
) -> None:
    [own] = encoder.encode_videos(decode_video(files[4]).frames[7:8])
    assert isinstance(own, EncodedVideo)
    frame = decode_video(files[4]).frames[7]
    hits = index.search(frame, top_k=20)
    expected = {
        str(each.clip.source): mean_max_sim(own.embeds["frame"], each.embeds["frame"])
        for each in stored(encoder, files)
    }
    assert scores_of(hits) == pytest.approx(expected, abs=1e-5)
    assert hits[0].video == str(files[4])
    assert (hits.query, list(hits[0].level_scores)) == ("<picture of 32x32>", ["frame"])
    [moment] = hits[0].moments
    frames = stored(encoder, [files[4]])[0]
    assert moment.word == ""
    assert moment.time == frames.timestamps[int((frames.embeds["frame"] @ own.embeds["frame"][0]).argmax())]
    assert hits == index.search(Image.fromarray(frame), top_k=20) == index.search(VisualQuery(image=frame), top_k=20)


def test_a_clip_is_compared_on_both_levels(index: Index, encoder: VideoColBERTEncoder, files: list[Path]) -> None:
    clip = VideoClip(str(files[6]), 1.0, 2.6)
    [own] = encoder.encode_videos(clip)
    assert isinstance(own, EncodedVideo)
    expected = {
        str(each.clip.source): sum(mean_max_sim(own.embeds[level], each.embeds[level]) for level in ("frame", "video"))
        for each in stored(encoder, files)
    }
    hits = index.search(clip, top_k=20)
    assert scores_of(hits) == pytest.approx(expected, abs=1e-5)
    assert hits.query == f"{files[6]} [1 s to 2.6 s]"
    assert list(hits[0].level_scores) == ["frame", "video"]
    only_frames = index.search(clip, top_k=20, level_weights={"video": 0.0})
    assert scores_of(only_frames) == pytest.approx({hit.video: hit.level_scores["frame"] for hit in hits}, abs=1e-5)


def test_a_clip_is_sampled_as_the_videos_of_the_index_are(
    tmp_path: Path, encoder: VideoColBERTEncoder, files: list[Path]
) -> None:
    index = open_index(tmp_path / "index", encoder, num_frames=7)
    index.add(files[:3])
    best = index.search(VideoClip(str(files[1])), top_k=1)[0]
    # All of its own tokens are there, each with itself.
    assert (best.video, best.score) == (str(files[1]), pytest.approx(2.0, abs=2e-3))


def test_words_and_a_picture_are_summed_on_the_scale_of_the_words(
    index: Index, encoder: VideoColBERTEncoder, files: list[Path]
) -> None:
    frame = decode_video(files[4]).frames[7]
    by_words, by_picture = (scores_of(index.search(query, top_k=20)) for query in ("a red circle", frame))
    videos = list(map(str, files))
    words, picture = (np.array([of[video] for video in videos]) for of in (by_words, by_picture))
    ratio = words.std(ddof=1) / picture.std(ddof=1)
    for weight in (0.0, 0.3, 1.0):
        hits = index.search(VisualQuery(image=frame, text="a red circle", text_weight=weight), top_k=20)
        expected = weight * words + (1 - weight) * ratio * picture
        assert scores_of(hits) == pytest.approx(dict(zip(videos, expected, strict=True)), abs=1e-4)
        assert hits.query == "a red circle + <picture of 32x32>"
        assert [moment.word for moment in hits[0].moments] == ["a", "red", "circle", ""]


def test_similar_asks_with_stored_tokens_and_leaves_the_video_out(
    index: Index, encoder: VideoColBERTEncoder, files: list[Path]
) -> None:
    videos = stored(encoder, files)
    own = videos[3]
    moment = own.embeds["frame"][torch.from_numpy((own.timestamps >= 0.5) & (own.timestamps < 2.5))]
    assert 1 < len(moment) < len(own.embeds["frame"])
    for arguments, levels in (((), own.embeds), ((0.5, 2.5), {"frame": moment}), ((None, 0.01), {})):
        if not levels:
            # Between two frames, the nearest one.
            levels = {"frame": own.embeds["frame"][:1]}
        hits = index.similar(str(files[3]), *arguments, top_k=20)
        expected = {
            str(each.clip.source): sum(mean_max_sim(bag, each.embeds[level]) for level, bag in levels.items())
            for each in videos
            if each is not own
        }
        assert scores_of(hits) == pytest.approx(expected, abs=1e-4)
        assert [hit.rank for hit in hits] == list(range(1, 10))
    by_id = next(video.id for video in index.videos if video.path == str(files[3]))
    assert index.similar(by_id, 1.0, 2.0, top_k=3) == index.similar(str(files[3]), 1.0, 2.0, top_k=3)
    assert index.similar(by_id, 1.0, 2.0).query == f"like {files[3]} 0:01.0-0:02.0"


def test_similar_names_what_is_wrong(index: Index, files: list[Path]) -> None:
    with pytest.raises(IndexStoreError, match=r"not in the index in .*: none\.mp4; nothing was searched"):
        index.similar("none.mp4")
    with pytest.raises(ValueError, match=r"ends after its start, got 2\.0 s to 1\.0 s"):
        index.similar(files[0], 2.0, 1.0)
    with pytest.raises(ValueError, match=r"is outside of the video, which ends at 0:03\.0"):
        index.similar(files[0], 90.0)
    with pytest.raises(ValueError, match="top_k must be at least 1"):
        index.similar(files[0], top_k=0)
    with pytest.raises(IndexStoreError, match="not in the index"):
        index.stored.tokens_of(["none"])


def test_a_picture_asks_pictures_alone(index: Index, files: list[Path]) -> None:
    frame = decode_video(files[4]).frames[7]
    with pytest.raises(ValueError, match="without words asks the source video alone"):
        index.search(frame, sources=["video", "speech"])


def test_similar_finds_a_moment_in_windows_and_needs_no_file(tmp_path: Path, encoder: VideoColBERTEncoder) -> None:
    files = [write_clip(tmp_path / "videos" / f"{seed}.mp4", seed, frames=24) for seed in range(3)]
    index = open_index(tmp_path / "index", encoder, windows=2.0)
    index.add(files)
    files[0].unlink()
    # A moment over the border of two windows has frames of both.
    windows = sorted((each for each in index.videos if each.path == str(files[0])), key=lambda each: each.start or 0.0)
    assert [(each.start, each.end) for each in windows[:2]] == [(0.0, 2.0), (2.0, 4.0)]
    first, second = (index.stored.tokens_of([each.id])["frame"].tokens.float() for each in windows[:2])
    late = torch.tensor(windows[0].timestamps) >= 1.5
    early = torch.tensor(windows[1].timestamps) < 2.5
    moment = torch.cat([first[late], second[early]])
    assert late.any()
    assert early.any()
    expected = {
        path: max(
            mean_max_sim(moment, index.stored.tokens_of([each.id])["frame"].tokens.float())
            for each in index.videos
            if each.path == path
        )
        for path in map(str, files[1:])
    }
    assert scores_of(index.similar(files[0], 1.5, 2.5)) == pytest.approx(expected, abs=1e-4)
    # An id of a window is that window alone.
    hits = index.similar(windows[1].id, top_k=1)
    assert len(hits) == 1
    assert hits[0].video != str(files[0])


def test_an_index_without_an_encoder_or_without_videos(tmp_path: Path, encoder: VideoColBERTEncoder) -> None:
    frame = np.zeros((8, 8, 3), np.uint8)
    index = open_index(tmp_path / "index", encoder)
    assert index.search(VisualQuery(image=frame, text="red")) == []
    assert index.stored.sampled_tokens(8) is None
    with pytest.raises(IndexStoreError, match="which it takes to search by picture"):
        open_index(tmp_path / "index").search(frame)
