"""Made token bags that are distributed as those of a trained model, of any number of videos, and queries for some.

The generator is fitted on clips of moving shapes and their captions through the model of `demo.py`. The tokens of a
clip on both levels and those of its caption, end to end, are one vector; its mean, its 96 leading principal components
and the quantiles of each component over the clips are what is kept. A made video draws each component at random from
its quantiles, independently of the others, and so has a caption of its own; the tokens of 4 frames are interpolated to
12 over time, the 2 further tokens of the video level stay. Tokens of 64 dimensions are turned into 128 by a fixed
orthonormal matrix, get noise of length 0.02 in all 128, and unit length.

What this keeps of the model's tokens: mean, spectrum, similarities of tokens within a video, between videos and to
queries (`python benchmarks/fitted_tokens.py` prints both sides). What it loses: clips of one colour and shape lie in
one place, made videos between such places too, so that the caption of a video finds it less often.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from clustered_tokens import queries_of
from demo_checkpoint import load_demo_encoder
from safetensors.torch import load_file, save_file
from torch import Tensor
from trained_tokens import DEMO, REPOSITORY

from video_colbert.encoding.encoded import EncodedQueries, EncodedVideo, VideoClip
from video_colbert.index.search.level_bags import LevelBags
from video_colbert.index.search.token_bags import TokenBags

CACHE = REPOSITORY / "runs" / "fitted_tokens.safetensors"
WIDTH, FRAME_TOKENS, BLOCK = 128, 12, 4096
_COMPONENTS, _QUANTILES, _NOISE = 96, 65, 0.02
# Clips of each split that the generator is fitted on.
_FITTED = {"test": 200, "train": 400}
# Tokens of a clip's frames and of its video level, of a caption, and their width.
_FRAMES, _VIDEO, _QUERY, _MODEL_WIDTH = 4, 6, 16, 64


@dataclass(frozen=True)
class FittedTokens:
    """Made videos of 12 frame and 14 video tokens of 128 dimensions; equal seeds and fits give equal bags.

    Attributes:
        mean: [P], of clips with their captions, their tokens end to end.
        components: [96, P], orthonormal.
        quantiles: [65, 96], of each component over the clips.
        num_videos: how many there are.
        seed: of everything drawn.
    """

    mean: Tensor
    components: Tensor
    quantiles: Tensor
    num_videos: int
    seed: int = 0

    @classmethod
    def of(cls, num_videos: int) -> "FittedTokens":
        """The generator for so many videos, fitted when that was not done before (some minutes)."""
        if not CACHE.exists():
            fit(*clips_with_captions())
        stored = load_file(CACHE)
        return cls(stored["mean"], stored["components"], stored["quantiles"], num_videos)

    def blocks(self) -> Iterator[LevelBags]:
        """The bags of all videos in order, float16, some at a time."""
        for number, first in enumerate(range(0, self.num_videos, BLOCK)):
            frames, video, _ = self._draw(min(BLOCK, self.num_videos - first), 1 + number)
            levels = {"frame": frames, "video": video}
            yield LevelBags({level: _bags(tokens) for level, tokens in levels.items()})

    def queries(self, num_queries: int) -> EncodedQueries:
        """Captions of videos that are not among them."""
        return queries_of(self._draw(num_queries, 0)[2])

    def _draw(self, count: int, number: int) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + number)
        places = torch.rand(count, _COMPONENTS, generator=generator) * (_QUANTILES - 1)
        low = places.long().clamp(max=_QUANTILES - 2)
        drawn = torch.lerp(self.quantiles.gather(0, low), self.quantiles.gather(0, low + 1), places - low)
        tokens = (drawn @ self.components + self.mean).view(count, -1, _MODEL_WIDTH)
        frames, video, query = torch.split(tokens, [_FRAMES, _VIDEO, _QUERY], dim=1)
        video = torch.cat([_over_time(video[:, :_FRAMES]), video[:, _FRAMES:]], dim=1)
        turn = torch.linalg.qr(torch.randn(WIDTH, _MODEL_WIDTH, generator=torch.Generator().manual_seed(5)))[0]
        made = []
        for part in (_over_time(frames), video, query):
            wide = F.normalize(part, dim=-1) @ turn.T
            noise = torch.randn(wide.shape, generator=generator) * (_NOISE / WIDTH**0.5)
            made.append(F.normalize(wide + noise, dim=-1))
        return made[0], made[1], made[2]


def clips_with_captions() -> tuple[Tensor, Tensor, Tensor]:
    """Frame tokens [n, 4, 64], video tokens [n, 6, 64] and caption tokens [n, 16, 64] of the demo's model."""
    encoder = load_demo_encoder(DEMO / "training" / "best")
    encoded: list[EncodedVideo] = []
    captions: list[str] = []
    for split, count in _FITTED.items():
        folder = DEMO / "clips" / split
        lines = [json.loads(line) for line in (folder / "captions.jsonl").read_text().splitlines()[:count]]
        captions += [line["caption"] for line in lines]
        clips = [VideoClip(str(next(folder.rglob(line["video"])))) for line in lines]
        results = list(encoder.encode_videos(clips, batch_size=32))
        encoded += [result for result in results if isinstance(result, EncodedVideo)]
    if len(encoded) < len(captions):
        raise RuntimeError(f"{len(captions) - len(encoded)} of {len(captions)} clips of {DEMO} could not be encoded")
    frames, video = (torch.stack([of.embeds[level].float() for of in encoded]) for level in ("frame", "video"))
    return frames, video, encoder.encode_queries(captions).bags_of("frame").embeds.float()


def fit(frames: Tensor, video: Tensor, queries: Tensor) -> None:
    """Fits the generator and keeps it in `runs/`."""
    vectors = torch.cat([tokens.flatten(1) for tokens in (frames, video, queries)], dim=1)
    mean = vectors.mean(dim=0)
    components = torch.linalg.svd(vectors - mean, full_matrices=False).Vh[:_COMPONENTS].contiguous()
    quantiles = torch.quantile((vectors - mean) @ components.T, torch.linspace(0, 1, _QUANTILES), dim=0)
    save_file({"mean": mean, "components": components, "quantiles": quantiles.contiguous()}, CACHE)


def describe(name: str, frames: Tensor, video: Tensor, queries: Tensor) -> None:
    """Prints what a generator is to keep, of some hundreds of videos with their captions."""
    print(name)
    for level, bags in (("frame", frames), ("video", video)):
        tokens = bags.flatten(0, 1)
        mean = tokens.mean(dim=0)
        spectrum = torch.linalg.eigvalsh(torch.cov(tokens.T)).flip(0)
        first = bags[:, 0] @ bags[:, 0].T
        first.fill_diagonal_(float("nan"))
        print(
            f"  {level}: length of the mean {mean.norm():.3f}, spectrum "
            f"{[round(float(spectrum[place]), 4) for place in (0, 2, 4, 8, 16, 32)]}, cosine of first and last token "
            f"{(bags[:, 0] * bags[:, -1]).sum(-1).mean():.3f}, between videos {first.nanmean():.3f}, to the nearest "
            f"{first.nan_to_num(-1).amax(1).mean():.3f}"
        )
    levels = [torch.einsum("nld,qtd->qnlt", bags, queries).amax(2).mean(2) for bags in (frames, video)]
    scores = levels[0] + levels[1]
    deviations = scores.std(dim=1)
    best = scores.topk(10, dim=1).values
    print(
        f"  score of a query: mean {scores.mean():.3f}, deviation over videos {deviations.mean():.3f}, the best "
        f"{((best[:, 0] - scores.mean(1)) / deviations).mean():.2f} and the tenth "
        f"{((best[:, 9] - scores.mean(1)) / deviations).mean():.2f} deviations above it"
    )


def _over_time(tokens: Tensor) -> Tensor:
    return F.interpolate(tokens.transpose(1, 2), size=FRAME_TOKENS, mode="linear", align_corners=True).transpose(1, 2)


def _bags(tokens: Tensor) -> TokenBags:
    return TokenBags(tokens.half().flatten(0, 1), torch.arange(len(tokens) + 1) * tokens.shape[1])


if __name__ == "__main__":
    real = clips_with_captions()
    fit(*real)
    describe("clips", *(F.normalize(part[:1000], dim=-1) for part in real))
    describe("made", *FittedTokens.of(1000)._draw(1000, 1))
