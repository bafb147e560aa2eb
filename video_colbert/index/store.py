"""The index on disk: token bags in one safetensors file, what is known of each video in one JSONL file.

Both files are replaced as a whole, first the tokens, then the list of videos, which is what counts: bags that
the list does not name are dropped at the next write. So an interrupted run leaves the index as it was.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from video_colbert.encoded import EncodedQueries, EncodedVideo
from video_colbert.errors import IndexStoreError, ModelMismatchError
from video_colbert.index.hits import SearchHit, find_moments, find_ranges
from video_colbert.index.index_files import (
    IndexedVideo,
    TokensHeader,
    file_stamp,
    read_tokens,
    read_videos,
    write_tokens,
    write_videos,
)
from video_colbert.index.scoring import score_bags
from video_colbert.index.token_bags import TokenBags
from video_colbert.pretrained import ModelReference

_VIDEOS_FILE = "videos.jsonl"
_TOKENS_FILE = "tokens.safetensors"


class Index:
    """A searchable collection of encoded videos in a folder; make one with `create` or `open`.

    Attributes:
        directory: the folder.
        model: which weights made the vectors.
        num_frames: frames sampled from each video; None for as many as there are.

    Example:
        index = Index.open("my-index", model=encoder.reference)
        hits = index.search(encoder.encode_queries(["a dog catches a ball"]), top_k=5)[0]
    """

    def __init__(self, directory: Path, model: ModelReference, num_frames: int | None) -> None:
        self.directory = directory
        self.model = model
        self.num_frames = num_frames
        self._videos: tuple[IndexedVideo, ...] = ()
        self._frames: TokenBags | None = None
        self._tokens: TokenBags | None = None
        self._stamp: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self._videos)

    @property
    def videos(self) -> tuple[IndexedVideo, ...]:
        """What is stored, in the order it was added."""
        return self._videos

    @staticmethod
    def exists(directory: str | os.PathLike[str]) -> bool:
        """Whether there is an index in this folder."""
        return (Path(directory) / _VIDEOS_FILE).is_file()

    @classmethod
    def create(cls, directory: str | os.PathLike[str], *, model: ModelReference, num_frames: int | None) -> Index:
        """Makes an empty index, and its folder if need be.

        Args:
            directory: the folder.
            model: which weights will make the vectors.
            num_frames: frames that will be sampled from each video; None for as many as there are.

        Raises:
            IndexStoreError: there is an index already, or the folder cannot be written.
        """
        folder = Path(directory)
        if cls.exists(folder):
            raise IndexStoreError(f"there is an index in {folder} already; open it or choose another folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IndexStoreError(f"{folder} cannot be made a folder ({error.strerror})") from error
        index = cls(folder, model, num_frames)
        index._write((), None, None)
        return index

    @classmethod
    def open(cls, directory: str | os.PathLike[str], *, model: ModelReference | None = None) -> Index:
        """Opens an index.

        Args:
            directory: its folder.
            model: the model that will be used with it, checked against the one that made it.

        Raises:
            ModelMismatchError: it was made by another model or another revision.
            IndexStoreError: there is no index, or it is damaged or of another schema version.
        """
        folder = Path(directory)
        if not cls.exists(folder):
            raise IndexStoreError(f"there is no index in {folder}; make one with `video-colbert index`")
        # The list first: a writer replaces the tokens before the list, so these tokens cover that list.
        stamp = file_stamp(folder / _VIDEOS_FILE)
        videos = read_videos(folder / _VIDEOS_FILE)
        header, tensors = read_tokens(folder / _TOKENS_FILE)
        index = cls(folder, header.model, header.num_frames)
        if model is not None:
            index.check_model(model)
        index._stamp = stamp
        rows = {video_id: row for row, video_id in enumerate(header.ids)}
        if lost := [video.path for video in videos if video.id not in rows]:
            raise IndexStoreError(f"{folder / _TOKENS_FILE} is damaged: it lacks {len(lost)} videos, {lost[0]} first")
        if videos:
            wanted = [rows[video.id] for video in videos]
            index._videos = videos
            index._frames = TokenBags(tensors["frame_embeds"], tensors["frame_offsets"]).select(wanted)
            if "video_embeds" in tensors:
                index._tokens = TokenBags(tensors["video_embeds"], tensors["video_offsets"]).select(wanted)
        return index

    def check_model(self, model: ModelReference) -> None:
        """Checks that vectors of this model can be compared with those stored.

        Raises:
            ModelMismatchError: the index was made by another model or another revision.
        """
        if model.revision != self.model.revision:
            raise ModelMismatchError(
                f"the index in {self.directory} was made with {self.model}, not with {model}; use that model or "
                "another index folder"
            )

    def add(self, videos: Sequence[tuple[IndexedVideo, EncodedVideo]]) -> None:
        """Adds videos in one atomic write.

        What is there already (same content and window) is left; another content at a known path and window
        takes the old one's place.

        Args:
            videos: what to know of each video, and its tokens.

        Raises:
            IndexStoreError: the files cannot be written, or another process changed the index meanwhile.
        """
        added = {video.id: (video, encoded) for video, encoded in videos}
        for video in self._videos:
            added.pop(video.id, None)
        if not added:
            return
        changed = {(video.path, video.start, video.end) for video, _ in added.values()}
        kept = [row for row, video in enumerate(self._videos) if (video.path, video.start, video.end) not in changed]
        frames = [encoded.frame_embeds for _, encoded in added.values()]
        tokens = [encoded.video_embeds for _, encoded in added.values() if encoded.video_embeds is not None]
        self._write(
            (*(self._videos[row] for row in kept), *(video for video, _ in added.values())),
            _extended(self._frames, kept, frames),
            _extended(self._tokens, kept, tokens),
        )

    def move(self, paths: Mapping[str, str]) -> None:
        """Records new paths of files that were moved or renamed.

        Args:
            paths: id of a stored video to the absolute path it has now.

        Raises:
            IndexStoreError: as `add`.
        """
        moved = tuple(dataclasses.replace(video, path=paths.get(video.id, video.path)) for video in self._videos)
        if moved != self._videos:
            self._write(moved, self._frames, self._tokens)

    def search(self, queries: EncodedQueries, *, top_k: int = 10) -> list[list[SearchHit]]:
        """Finds the best videos for each query, exactly.

        Args:
            queries: from the encoder of the model that made this index.
            top_k: hits a query, at most.

        Returns:
            For each query its hits, best first; of equal scores, the one added first.

        Raises:
            ValueError: `top_k` is below 1.
        """
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        if self._frames is None:
            return [[] for _ in queries.texts]
        scores = score_bags(queries, self._frames, self._tokens)
        best = scores.scores.argsort(dim=1, descending=True, stable=True)[:, :top_k]
        results = []
        for query, rows in enumerate(best.tolist()):
            hits = []
            for row in rows:
                video = self._videos[row]
                hits.append(
                    SearchHit(
                        video=video.path,
                        start=video.start or 0.0,
                        end=video.duration if video.end is None else video.end,
                        score=float(scores.scores[query, row]),
                        frame_score=float(scores.frame_scores[query, row]),
                        video_score=None if scores.video_scores is None else float(scores.video_scores[query, row]),
                        moments=find_moments(queries, query, self._frames.bag(row), video.timestamps),
                        ranges=find_ranges(queries, query, self._frames.bag(row), video.timestamps),
                    )
                )
            results.append(hits)
        return results

    def _write(self, videos: tuple[IndexedVideo, ...], frames: TokenBags | None, tokens: TokenBags | None) -> None:
        if file_stamp(self.directory / _VIDEOS_FILE) != self._stamp:
            raise IndexStoreError(f"another process changed the index in {self.directory}; run again to add to it")
        # Until the list is replaced, the old list must find its bags: by id, and what it alone names is kept.
        names = {video.id for video in videos}
        leaving = [row for row, video in enumerate(self._videos) if video.id not in names]
        ids = [video.id for video in videos] + [self._videos[row].id for row in leaving]
        tensors: dict[str, Tensor] = {}
        for level, bags, old in (("frame", frames, self._frames), ("video", tokens, self._tokens)):
            if bags is not None:
                stored = bags.join(old.select(leaving)) if old is not None and leaving else bags
                tensors[f"{level}_embeds"], tensors[f"{level}_offsets"] = stored.tokens, stored.offsets
        write_tokens(self.directory / _TOKENS_FILE, TokensHeader(self.model, self.num_frames, ids), tensors)
        write_videos(self.directory / _VIDEOS_FILE, videos, self.model)
        self._videos, self._frames, self._tokens = videos, frames, tokens
        self._stamp = file_stamp(self.directory / _VIDEOS_FILE)


def _extended(bags: TokenBags | None, kept: Sequence[int], new: Sequence[Tensor]) -> TokenBags | None:
    """The kept bags of a level followed by new ones; None for a level that the model does not have."""
    if not new:
        return None
    added = TokenBags.from_bags(new)
    return bags.select(kept).join(added) if bags is not None and kept else added
