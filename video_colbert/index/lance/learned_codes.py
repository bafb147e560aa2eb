"""The codes of the codec compact: learned from the tokens of an index, kept in what its table says of a column.

Each code has a number, which the tokens that it encoded name, and none is ever changed or deleted: what is stored can
always be decoded, and a version of the table holds the codes of its rows. Each level has codes of its own. One is
learned from the first videos that are added, again when there are eight times as many until the sample is large for
its dimension, and when new tokens lose much more by it than those that it was learned from. What is stored already
stays as it is.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import torch
from torch import Tensor

from video_colbert.errors import IndexStoreError
from video_colbert.index.lance.table import LanceTable
from video_colbert.index.lance.token_codecs import CompactCodec, TokenCodec
from video_colbert.index.metadata_columns import POOLED
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.transform_code import TransformCode

SampleBags = Callable[[int], LevelBags | None]
"""Gives the bags of so many stored videos at random; None where there are none."""

_PREFIX = "video_colbert.code."
# A code is learned again at this many times the videos, until it was learned from so many tokens a dimension.
_GROWTH = 8
_ENOUGH_TOKENS = 64
# Old videos that a code is learned from, beside the new ones, and tokens of both.
_OLD_VIDEOS, _MOST_TOKENS = 2048, 2**16
# What new tokens lose, of what those lost that the code was learned from; fewer tokens tell nothing.
_DRIFT, _FEWEST_TOKENS = 2.0, 1024
# What the key of a code that was withdrawn holds, and how often a process learns anew that has withdrawn one.
_WITHDRAWN, _TRIES = "withdrawn", 20
# All codes stand in each version's description, some half a megabyte each for 512 dimensions.
_MOST_CODES = 16


@dataclass(frozen=True)
class LearnedCode:
    """A code, and what it was learned from.

    Attributes:
        order: 0 for the first code of a level; new tokens are encoded by the highest.
        videos: that the index held when it was learned, those to be added among them.
        tokens: that it was learned from.
        lost: the share of their energy that it loses.
        code: the code.
    """

    order: int
    videos: int
    tokens: int
    lost: float
    code: TransformCode

    def to_text(self) -> str:
        """As a table keeps it."""
        encoded = base64.b64encode(self.code.to_bytes()).decode()
        return json.dumps([self.order, self.videos, self.tokens, self.lost, encoded])

    @classmethod
    def from_text(cls, text: str) -> LearnedCode:
        """Reads what `to_text` made.

        Raises:
            ValueError: it is something else.
        """
        try:
            order, videos, tokens, lost, encoded = json.loads(text)
            code = TransformCode.from_bytes(base64.b64decode(encoded, validate=True))
            return cls(int(order), int(videos), int(tokens), float(lost), code)
        except (TypeError, binascii.Error, RecursionError) as error:
            raise ValueError("the token code is not what was written") from error


def codec_of_table(codec: TokenCodec, schema: pa.Schema, location: str) -> TokenCodec:
    """A codec with the codes by which a version of a table is decoded; of other codecs than compact the same one.

    Raises:
        IndexStoreError: a code is not what was written.
    """
    if not isinstance(codec, CompactCodec):
        return codec
    return CompactCodec(_by_number(_read_codes(schema, location)))


def codecs_to_add(
    codec: TokenCodec,
    table: LanceTable,
    videos: Sequence[Mapping[str, Tensor]],
    levels: Sequence[str],
    num_stored: int,
    sample: SampleBags,
) -> dict[str, TokenCodec]:
    """The codec of each level for new videos, for which codes are learned, and kept in the table, where need be.

    Args:
        codec: of the index.
        table: with the columns of its vectors.
        videos: the tokens of those to add by level, as they will be stored.
        levels: of the index.
        num_stored: videos that are there.
        sample: gives bags of these.

    Raises:
        IndexStoreError: the table cannot be written, a code in it is not what was written, or tokens have other
            lengths than those before and no more codes can be learned.
    """
    if not isinstance(codec, CompactCodec):
        return dict.fromkeys(levels, codec)
    num_videos = num_stored + len(videos)
    learned = _read_codes(table.schema, table.location)
    old: LevelBags | None = None
    new: dict[str, LearnedCode] = {}
    for level in levels:
        tokens = torch.cat([of_video[level].float().cpu() for of_video in videos])
        of_level = list(learned.get(level, {}).values())
        last = of_level[-1] if of_level else None
        if not len(tokens) or (last is not None and not _is_due(last, tokens, num_videos)):
            continue
        if last is not None and len(of_level) >= _MOST_CODES:
            if last.code.encodes(tokens):
                continue
            raise IndexStoreError(
                f"the index in {table.location} has learned {len(of_level)} codes for the level {level}, the last of "
                "them not for tokens of these lengths; make an index with codec='float16'"
            )
        if last is not None:
            old = sample(_OLD_VIDEOS) if old is None else old
            if old is not None:
                tokens = torch.cat([tokens, old[level].tokens.float()])
        new[level] = _learn(tokens, 0 if last is None else last.order + 1, num_videos)
    if new:
        _keep(table, new)
    learned = _read_codes(table.schema, table.location)
    codes = _by_number(learned)
    return {level: CompactCodec(codes, next(reversed(learned.get(level, {})), None)) for level in levels}


def _is_due(last: LearnedCode, tokens: Tensor, num_videos: int) -> bool:
    """Whether another code is to be learned before tokens are encoded."""
    if not last.code.encodes(tokens):
        return True
    if last.tokens < _ENOUGH_TOKENS * last.code.width and num_videos >= _GROWTH * last.videos:
        return True
    step = max(1, len(tokens) // _MOST_TOKENS)
    return len(tokens) >= _FEWEST_TOKENS and last.code.lost_share(tokens[::step]) > _DRIFT * last.lost


def _learn(tokens: Tensor, order: int, num_videos: int) -> LearnedCode:
    chosen = tokens[:: -(-len(tokens) // _MOST_TOKENS)]
    code = TransformCode.learn(chosen, CompactCodec.code_bytes(tokens.shape[1]))
    return LearnedCode(order, num_videos, len(chosen), code.lost_share(chosen), code)


def _keep(table: LanceTable, new: Mapping[str, LearnedCode]) -> None:
    """Keeps new codes by level in the table under numbers that no other code has, before any token is encoded by them.

    Two processes may choose one number at once. Each code has a key of its own, so neither is lost, and commits come
    one after the other: whoever finds another code of its number there once it has written withdraws its own.

    Raises:
        IndexStoreError: the table cannot be written, or other processes learn all the time.
    """
    for _ in range(_TRIES):
        taken = set(_numbers_of_keys(table.schema).values())
        keys: dict[str, str] = {}
        for level, code in new.items():
            content = code.code.to_bytes()
            number = next(free for free in range(content[-1], content[-1] + 256) if free % 256 not in taken) % 256
            taken.add(number)
            keys[f"{_PREFIX}{level}.{number}.{hashlib.sha256(content).hexdigest()[:16]}"] = code.to_text()
        table.set_field_metadata(POOLED, keys)
        numbers = list(_numbers_of_keys(table.schema).values())
        if len(set(numbers)) == len(numbers):
            return
        table.set_field_metadata(POOLED, dict.fromkeys(keys, _WITHDRAWN))
    raise IndexStoreError(f"other processes change the index in {table.location} all the time; add the videos again")


def _numbers_of_keys(schema: pa.Schema) -> dict[str, int]:
    """The numbers of a table's codes by their keys; those that were withdrawn are none."""
    metadata = (schema.field(POOLED).metadata or {}) if POOLED in schema.names else {}
    texts = {key.decode(errors="replace"): text for key, text in metadata.items()}
    return {
        key: int(key.split(".")[-2])
        for key, text in texts.items()
        if key.startswith(_PREFIX) and text.decode() != _WITHDRAWN
    }


def _read_codes(schema: pa.Schema, location: str) -> dict[str, dict[int, LearnedCode]]:
    """The codes of a table by level and number, the newest of each level last.

    Raises:
        IndexStoreError: one is not what was written.
    """
    metadata = (schema.field(POOLED).metadata or {}) if POOLED in schema.names else {}
    found: dict[str, list[tuple[int, LearnedCode]]] = {}
    for key, text in metadata.items():
        name = key.decode(errors="replace")
        if name.startswith(_PREFIX) and text.decode() != _WITHDRAWN:
            try:
                level, number, _ = name.removeprefix(_PREFIX).rsplit(".", 2)
                found.setdefault(level, []).append((int(number), _code_of(text)))
            except ValueError as error:
                raise IndexStoreError(
                    f"{location} is damaged: its token code {name} is not what was written; `video-colbert repair` "
                    "goes back to the last version that reads"
                ) from error
    return {
        level: dict(sorted(of_level, key=lambda pair: (pair[1].order, pair[0]))) for level, of_level in found.items()
    }


def _by_number(learned: Mapping[str, Mapping[int, LearnedCode]]) -> dict[int, TransformCode]:
    return {number: found.code for of_level in learned.values() for number, found in of_level.items()}


@functools.lru_cache(maxsize=2 * _MOST_CODES)
def _code_of(text: bytes) -> LearnedCode:
    return LearnedCode.from_text(text.decode())
