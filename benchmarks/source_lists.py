"""Lists of videos by source: what readers found in them, and their pictures, ranked for each query."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm.auto import tqdm

from video_colbert import VideoColBERTEncoder
from video_colbert.encoding.encoded import EncodedVideo, VideoClip
from video_colbert.encoding.level_scores import level_scores, pad_levels
from video_colbert.modeling_video_colbert.late_interaction import mean_max_sim
from video_colbert.text.passages import PassageReader
from video_colbert.text.text_model import TEXT_LEVEL, TextModel

RankedVideos = list[tuple[str, float]]
"""Ids of videos with their scores, the best first."""

Texts = Mapping[str, Mapping[str, Sequence[str]]]
"""By source and video, the texts of its passages."""


def read_texts(files: Sequence[Path], readers: Sequence[PassageReader], kept: Path) -> Texts:
    """What each reader finds in each file.

    Args:
        files: The videos; their stems are their ids.
        readers: One a source.
        kept: Where it is kept, a line a video and source, so that a run that was stopped goes on.

    Raises:
        RuntimeError: A file could not be read.
    """
    found: dict[tuple[str, str], list[str]] = {}
    if kept.exists():
        for line in kept.read_text("utf-8").splitlines():
            record = json.loads(line)
            found[record["settings"], record["video"]] = record["texts"]
    with kept.open("a", encoding="utf-8") as file:
        for reader in readers:
            missing = [path for path in files if (reader.settings, path.stem) not in found]
            for path in tqdm(missing, desc=reader.source, unit="video", disable=None):
                read = reader.read(str(path))
                if read.problem is not None:
                    raise RuntimeError(f"{path}: {read.problem}")
                texts = [passage.text for passage in read.passages]
                found[reader.settings, path.stem] = texts
                record = {"settings": reader.settings, "video": path.stem, "texts": texts}
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
                file.flush()
    return {reader.source: {path.stem: found[reader.settings, path.stem] for path in files} for reader in readers}


def text_lists(model: TextModel, texts: Texts, queries: Sequence[str]) -> dict[str, list[RankedVideos]]:
    """By source, for each query the videos that have a passage, each by its best one's late interaction score."""
    encoded = model.encode_queries(queries)
    bags = encoded.bags_of(TEXT_LEVEL)
    lists = {}
    for source, by_video in texts.items():
        owners = [video for video, passages in by_video.items() for _ in passages]
        passages = model.encode_passages([text for passages in by_video.values() for text in passages])
        if not passages:
            lists[source] = [[] for _ in queries]
            continue
        lengths = torch.tensor([len(passage.embeds) for passage in passages])
        embeds = pad_sequence([passage.embeds for passage in passages], batch_first=True)
        mask = torch.arange(embeds.shape[1]) < lengths[:, None]
        scores = mean_max_sim(bags.embeds, embeds, bags.mask, mask)
        lists[source] = [_best_by_video(row, owners) for row in scores]
    return lists


def picture_lists(encoder: VideoColBERTEncoder, files: Sequence[Path], queries: Sequence[str]) -> list[RankedVideos]:
    """For each query all videos by their pictures.

    Raises:
        RuntimeError: A video could not be decoded.
    """
    results = list(encoder.encode_videos([VideoClip(str(path)) for path in files]))
    videos = [result for result in results if isinstance(result, EncodedVideo)]
    if len(videos) < len(files):
        raise RuntimeError(f"{len(files) - len(videos)} of {len(files)} videos could not be decoded")
    with torch.no_grad():
        scores = level_scores(encoder.encode_queries(queries, phrases=False), pad_levels(videos))["sum"].cpu()
    return [_best_by_video(row, [path.stem for path in files]) for row in scores]


def _best_by_video(scores: Tensor, owners: Sequence[str]) -> RankedVideos:
    best: dict[str, float] = {}
    for owner, score in zip(owners, scores.tolist(), strict=True):
        best[owner] = max(score, best.get(owner, score))
    return sorted(best.items(), key=lambda pair: -pair[1])
