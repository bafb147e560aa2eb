from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import lancedb
import numpy as np
import pytest
import torch

from tests.index.made_videos import MODEL, WIDTH, make_queries, make_video, mean_max_sim_by_loops
from video_colbert.encoding.encoded import EncodedQueries, QueryBags
from video_colbert.encoding.stored_model.model_reference import ModelReference
from video_colbert.errors import IndexStoreError, ModelMismatchError
from video_colbert.index import IndexedVideo, LanceIndex
from video_colbert.index.lance.token_codecs import token_codec


def files_below(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def names(index: LanceIndex) -> list[str]:
    return [Path(video.path).name for video in index.videos]


def test_search_scores_equal_the_formula_for_videos_of_different_lengths(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=6)
    stored = [make_video(f"{frames}.mp4", frames=frames) for frames in (1, 6, 3, 4)]
    index.add(stored)
    queries = make_queries()
    results = LanceIndex.open(tmp_path).search(queries)
    for row, hits in enumerate(results):
        expected = []
        for video, encoded in stored:
            query, mask = queries.bags_of("frame").embeds[row], queries.bags_of("frame").mask[row]
            frame = mean_max_sim_by_loops(query, mask, encoded.embeds["frame"])
            whole = mean_max_sim_by_loops(query, mask, encoded.embeds["video"])
            expected.append((frame + whole, frame, whole, video.path))
        expected.sort(reverse=True)
        assert [hit.video for hit in hits] == [path for *_, path in expected]
        for hit, (score, frame, whole, _) in zip(hits, expected, strict=True):
            assert hit.score == pytest.approx(score, abs=1e-5)
            assert hit.level_scores == pytest.approx({"frame": frame, "video": whole}, abs=1e-5)


def test_moments_are_where_the_summed_tokens_of_a_word_match_best(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=6)
    video, encoded = make_video("a.mp4", frames=6)
    index.add([(video, encoded)])
    queries = make_queries()
    moments = index.search(queries)[1][0].moments
    assert [moment.word for moment in moments] == ["red", "circle"]
    for moment, positions in zip(moments, ([1], [2, 3]), strict=True):
        sums = [
            sum(float(queries.bags_of("frame").embeds[1, position] @ frame.half().float()) for position in positions)
            for frame in encoded.embeds["frame"]
        ]
        assert moment.time == video.timestamps[int(np.argmax(sums))]
        assert moment.similarity == pytest.approx(max(sums), abs=1e-5)


def test_model_without_video_level_has_no_video_score(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video("a.mp4", has_video_level=False)])
    hit = LanceIndex.open(tmp_path).search(make_queries(levels=("frame",)))[0][0]
    assert hit.level_scores == {"frame": hit.score}


def test_equal_scores_keep_the_order_of_adding(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video(name, seed=1) for name in ("c.mp4", "a.mp4", "b.mp4")])
    hits = index.search(make_queries(1))[0]
    assert [Path(hit.video).name for hit in hits] == ["c.mp4", "a.mp4", "b.mp4"]


def test_hit_of_a_window_has_its_bounds(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    video, encoded = make_video("a.mp4")
    index.add([(IndexedVideo(video.path, video.digest, 60.0, video.timestamps, start=10.0, end=20.0), encoded)])
    index.add([(IndexedVideo(video.path, video.digest, 60.0, video.timestamps, start=20.0), encoded)])
    hits = LanceIndex.open(tmp_path).search(make_queries(1), group_windows=False)[0]
    assert [(hit.start, hit.end) for hit in hits] == [(10.0, 20.0), (20.0, 60.0)]


def test_top_k_bounds_the_hits_and_an_empty_index_has_none(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    assert LanceIndex.open(tmp_path).search(make_queries()) == [[], [], []]
    index.add([make_video("a.mp4"), make_video("b.mp4")])
    assert [len(hits) for hits in index.search(make_queries(), top_k=1)] == [1, 1, 1]
    with pytest.raises(ValueError, match="top_k must be at least 1"):
        index.search(make_queries(), top_k=0)


def test_adding_again_changes_nothing(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video("a.mp4"), make_video("b.mp4")])
    before = files_below(tmp_path)
    LanceIndex.open(tmp_path).add([make_video("b.mp4"), make_video("a.mp4")])
    assert names(LanceIndex.open(tmp_path)) == ["a.mp4", "b.mp4"]
    assert files_below(tmp_path) == before


def test_other_content_at_a_known_path_takes_its_place(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video("a.mp4"), make_video("b.mp4")])
    index.add([make_video("a.mp4", digest="other", seed=99)])
    reopened = LanceIndex.open(tmp_path)
    assert [video.digest for video in reopened.videos] == ["digest of b.mp4", "other"]
    fresh = LanceIndex.create(tmp_path / "fresh", model=MODEL, num_frames=3)
    fresh.add([make_video("b.mp4"), make_video("a.mp4", digest="other", seed=99)])
    assert reopened.search(make_queries()) == fresh.search(make_queries())


def test_moved_files_keep_their_tokens(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video("a.mp4"), make_video("b.mp4")])
    before = index.search(make_queries(1))[0]
    index.move({"digest of a.mp4": "/elsewhere/c.mp4"})
    after = LanceIndex.open(tmp_path).search(make_queries(1))[0]
    assert {hit.video for hit in after} == {"/elsewhere/c.mp4", "/videos/b.mp4"}
    assert [hit.score for hit in after] == [hit.score for hit in before]


def test_other_model_is_refused_and_both_are_named(tmp_path: Path) -> None:
    LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    with pytest.raises(
        ModelMismatchError, match=r"some/model at revision aaaa.*not with other/model at revision bbbb"
    ):
        LanceIndex.open(tmp_path, model=ModelReference("other/model", "b" * 40))
    assert LanceIndex.open(tmp_path, model=MODEL).model == MODEL


def test_missing_and_existing_indexes_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(IndexStoreError, match="there is no index in"):
        LanceIndex.open(tmp_path / "none")
    LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    with pytest.raises(IndexStoreError, match="there is an index in"):
        LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    (tmp_path / "file").write_text("")
    with pytest.raises(IndexStoreError, match="cannot be made a folder"):
        LanceIndex.create(tmp_path / "file", model=MODEL, num_frames=3)


def test_index_can_be_read_by_whom_the_user_lets_read_new_files(tmp_path: Path) -> None:
    LanceIndex.create(tmp_path / "index", model=MODEL, num_frames=3).add([make_video("a.mp4")])
    (tmp_path / "usual").touch()
    modes = {path.stat().st_mode for path in files_below(tmp_path / "index")}
    assert modes == {(tmp_path / "usual").stat().st_mode}


def test_table_can_be_read_without_this_package_and_names_the_model(tmp_path: Path) -> None:
    video, encoded = make_video("a.mp4")
    LanceIndex.create(tmp_path, model=MODEL, num_frames=3).add([(video, encoded)])
    table = lancedb.connect(tmp_path).open_table("videos")
    [row] = table.search().to_list()
    described = {
        "id": "digest of a.mp4",
        "path": "/videos/a.mp4",
        "digest": "digest of a.mp4",
        "duration": 1.5,
        "timestamps": [0.0, 0.5, 1.0],
        "start": None,
        "end": None,
    }
    assert {name: row[name] for name in described} == described
    assert torch.equal(torch.tensor(np.array(row["frame_tokens"])).half(), encoded.embeds["frame"].half())
    assert len(row["video_tokens"]) == 5
    assert len(row["pooled"]) == 2 * WIDTH
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert metadata["video_colbert.model"] == "some/model"
    assert metadata["video_colbert.revision"] == "a" * 40
    assert json.loads(metadata["video_colbert.num_frames"]) == 3


def test_removed_videos_are_gone_and_counted(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video(name) for name in ("a.mp4", "b.mp4", "c.mp4")])
    assert index.remove(["digest of a.mp4", "digest of c.mp4", "never stored"]) == 2
    assert index.remove([]) == 0
    reopened = LanceIndex.open(tmp_path)
    assert names(reopened) == ["b.mp4"]
    assert [hit.video for hit in reopened.search(make_queries(1))[0]] == ["/videos/b.mp4"]
    reopened.remove(["digest of b.mp4"])
    assert index.search(make_queries(1)) == [[]]
    index.add([make_video("a.mp4")])
    assert names(index) == ["a.mp4"]


def test_all_windows_of_a_replaced_video_are_replaced_one_by_one(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    windows = [(0.0, 10.0), (5.0, None)]
    for digest in ("old", "new"):
        video, encoded = make_video("a.mp4", digest=digest)
        index.add(
            [(replace(video, start=start, end=end), encoded) for start, end in windows[: 1 if digest == "new" else 2]]
        )
    assert [video.id for video in index.videos] == ["old@5.000-", "new@0.000-10.000"]


def test_of_two_contents_of_one_path_in_one_call_the_last_is_stored(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video("a.mp4", digest="first"), make_video("a.mp4", digest="second")])
    assert [video.digest for video in index.videos] == ["second"]


def test_reader_that_is_open_sees_what_a_writer_committed(tmp_path: Path) -> None:
    writer = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    reader = LanceIndex.open(tmp_path)
    assert reader.search(make_queries(1)) == [[]]
    writer.add([make_video("a.mp4"), make_video("b.mp4")])
    assert len(reader) == 2
    assert {hit.video for hit in reader.search(make_queries(1))[0]} == {"/videos/a.mp4", "/videos/b.mp4"}
    writer.remove(["digest of a.mp4"])
    writer.add([make_video("c.mp4"), make_video("d.mp4")])
    writer.move({"digest of b.mp4": "/elsewhere/b.mp4"})
    # What the reader holds in memory of the earlier version gives the same as reading all anew.
    assert reader.search(make_queries()) == LanceIndex.open(tmp_path).search(make_queries())
    assert {hit.video for hit in reader.search(make_queries(1))[0]} == {
        "/videos/c.mp4",
        "/videos/d.mp4",
        "/elsewhere/b.mp4",
    }


def test_many_small_commits_are_compacted_and_change_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_colbert.index.lance.table._MAX_FRAGMENTS", 8)
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    reader = LanceIndex.open(tmp_path)
    stored = [make_video(f"{number}.mp4") for number in range(20)]
    for pair in stored[:15]:
        index.add([pair])
    reader.search(make_queries())
    for pair in stored[15:]:
        index.add([pair])
    table = lancedb.connect(tmp_path).open_table("videos")
    assert table.stats()["fragment_stats"]["num_fragments"] < 8
    at_once = LanceIndex.create(tmp_path / "at once", model=MODEL, num_frames=3)
    at_once.add(stored)
    assert names(index) == names(at_once)
    assert reader.search(make_queries(), top_k=20) == at_once.search(make_queries(), top_k=20)


@pytest.mark.parametrize("codec", ["float16", "int8"])
def test_tokens_are_scored_as_the_codec_stored_them(tmp_path: Path, codec: str) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=6, codec=codec)
    stored = [make_video(f"{frames}.mp4", frames=frames) for frames in (1, 6, 3, 4)]
    index.add(stored)
    queries = make_queries()
    for row, hits in enumerate(LanceIndex.open(tmp_path).search(queries)):
        scores = {hit.video: hit.level_scores["frame"] for hit in hits}
        for video, encoded in stored:
            decoded = token_codec(codec).decode(token_codec(codec).encode(encoded.embeds["frame"]), WIDTH)
            expected = mean_max_sim_by_loops(
                queries.bags_of("frame").embeds[row], queries.bags_of("frame").mask[row], decoded
            )
            assert scores[video.path] == pytest.approx(expected, abs=1e-5)


def test_merged_tokens_keep_the_times_of_what_they_stand_for(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=6, merge_similarity=0.99)
    video, encoded = make_video("a.mp4", frames=6)
    same = encoded.embeds["frame"].clone()
    same[1:3] = same[0]
    index.add([(video, replace(encoded, embeds={**encoded.embeds, "frame": same}))])
    [stored] = LanceIndex.open(tmp_path).videos
    assert stored.timestamps == pytest.approx((0.5, 1.5, 2.0, 2.5))
    [[hit]] = index.search(make_queries(1))
    assert hit.level_scores["frame"] == pytest.approx(
        mean_max_sim_by_loops(
            make_queries(1).bags_of("frame").embeds[0], make_queries(1).bags_of("frame").mask[0], same
        ),
        abs=1e-3,
    )


def test_options_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"codec must be one of float16, int8, compact, float32; got 'int2'"):
        LanceIndex.create(tmp_path, model=MODEL, num_frames=3, codec="int2")
    with pytest.raises(ValueError, match="merge_similarity must be above 0 and at most 1, got 2"):
        LanceIndex.create(tmp_path, model=MODEL, num_frames=3, merge_similarity=2.0)
    assert not LanceIndex.exists(tmp_path)


def test_vectors_of_another_dimension_or_other_levels_are_refused_and_both_are_named(tmp_path: Path) -> None:
    index = LanceIndex.create(tmp_path, model=MODEL, num_frames=3)
    index.add([make_video("a.mp4")])
    video, encoded = make_video("b.mp4")
    wide = replace(encoded, embeds={"frame": torch.ones(3, 16), "video": torch.ones(5, 16)})
    with pytest.raises(ModelMismatchError, match=r"vectors of 8 dimensions, .*not of 16 dimensions.*/videos/b.mp4"):
        index.add([(video, wide)])
    with pytest.raises(ModelMismatchError, match="levels frame and video, not of 8 dimensions, level frame"):
        index.add([make_video("c.mp4", has_video_level=False)])
    bags = QueryBags(torch.ones(1, 5, 16), torch.ones(1, 5, dtype=torch.bool), [[]])
    with pytest.raises(ModelMismatchError, match="vectors of 8 dimensions, levels frame and video, not of 16"):
        index.search(EncodedQueries.of_one_encoder(["a"], bags, ("frame", "video")))
    assert names(index) == ["a.mp4"]


def test_address_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IndexStoreError, match="ftp://host/index is no address of an index; use a folder or s3"):
        LanceIndex.create("ftp://host/index", model=MODEL, num_frames=3)
