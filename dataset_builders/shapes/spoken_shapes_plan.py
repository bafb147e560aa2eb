"""What spoken shapes show and say: pairs of clips that share three of four contents, and who is asked for which.

A clip has four contents: a sentence that is spoken, one that is written below its pictures, one that the file's title
tells, and a scene of moving shapes. The two clips of a pair differ in one of the four; each is asked for by its own,
which no other clip of the split has. So each query is answered by one source, and every other source has at least one
clip that says as much for itself as the right one.

Every other sentence that is asked for is of somebody with a name, and asked for by it; the others are asked for in
other words.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from .moving_shapes import MovingShapesConfig, draw_scenes
from .moving_shapes_scenes import Partition, Scene
from .spoken_sentences import MOST_NAMES, Sentence, draw_named_sentences, draw_sentences

Content = Literal["spoken", "written", "told", "visible"]
"""Where a clip has a content."""

CONTENTS: tuple[Content, ...] = get_args(Content)
SPLITS: tuple[Partition, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class SpokenShapesConfig:
    """How many clips of what size; equal configurations give equal clips.

    Attributes:
        seed: Seed of everything that varies.
        num_train: Clips in the training split; a multiple of 8, as every split: a pair for each of four contents.
        num_validation: Clips in the validation split.
        num_test: Clips in the test split.
        image_size: Side of the square pictures, in pixels; even. Text is written below them.
        num_frames: Frames of a clip, even.
        fps: Frames a second.
    """

    seed: int = 0
    num_train: int = 400
    num_validation: int = 80
    num_test: int = 400
    image_size: int = 256
    num_frames: int = 20
    fps: int = 5

    def __post_init__(self) -> None:
        """Checks the fields.

        Raises:
            ValueError: A field is out of its range; the message names it.
        """
        for name in ("num_train", "num_validation", "num_test"):
            number = getattr(self, name)
            if number < 0 or number % (2 * len(CONTENTS)):
                raise ValueError(f"{name} must be a multiple of {2 * len(CONTENTS)} and not negative, got {number}")
        if self.image_size < 128 or self.image_size % 2:
            raise ValueError(f"image_size must be even and at least 128 for legible text, got {self.image_size}")
        if self.num_frames < 4 or self.num_frames % 2:
            raise ValueError(f"num_frames must be even and at least 4, got {self.num_frames}")
        if self.fps < 1:
            raise ValueError(f"fps must be at least 1, got {self.fps}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")


@dataclass(frozen=True)
class SpokenClip:
    """What one clip will be, before anything is drawn or spoken.

    Attributes:
        video_id: Name of the clip, unique in its data set; its file is `<video_id>.mp4`.
        spoken: What is said.
        written: What stands below the pictures.
        told: What the title says.
        scene: What is to be seen.
        asked: The content that its query asks for: the one in which it differs from its partner.
        partner_id: `video_id` of the other clip of its pair.
        seed: Seed of the lanes, sizes and speeds; equal in a pair, unless the scenes differ.
    """

    video_id: str
    spoken: Sentence
    written: Sentence
    told: Sentence
    scene: Scene
    asked: Content
    partner_id: str
    seed: tuple[int, ...]

    @property
    def query(self) -> str:
        """What is asked for."""
        sentences = {"spoken": self.spoken, "written": self.written, "told": self.told}
        return self.scene.caption if self.asked == "visible" else sentences[self.asked].query


def plan_spoken_clips(config: SpokenShapesConfig, split: str) -> list[SpokenClip]:
    """Decides what every clip of a split says and shows.

    Args:
        config: The configuration.
        split: "train", "validation" or "test". Scenes of the latter two are not among those of training, as in moving
            shapes, whatever the seed.

    Returns:
        The clips, the two of a pair one after the other, the contents in turn.

    Raises:
        ValueError: An unknown split, or more clips than there are scenes or names.
    """
    partition = next((known for known in SPLITS if known == split), None)
    if partition is None:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    pairs = getattr(config, f"num_{split}") // 2
    stream = SPLITS.index(partition)
    # Several generators: the number of sentences must not change the scenes, nor that of names the other sentences.
    words, order, names = (np.random.default_rng([config.seed, stream, number]) for number in range(3))
    nameless, named = draw_sentences(words), draw_named_sentences(names)
    # Of moving shapes' own seed: what a model of theirs was trained on is in no test split, whatever the seed here.
    shapes = MovingShapesConfig()
    scenes = iter(draw_scenes(shapes, partition, pairs + pairs // len(CONTENTS), order, repeat=False))
    clips = []
    for number in range(pairs):
        asked = CONTENTS[number % len(CONTENTS)]
        ids = [f"{split}_{number:06d}_{letter}" for letter in "ab"]
        # In turn, so that of what is asked of each content, and of what is not, half has a name.
        sentences = {
            content: named if (number // len(CONTENTS) + place) % 2 else nameless
            for place, content in enumerate(CONTENTS[:3])
        }
        contents = {content: _next(each) for content, each in sentences.items()}
        scene, seed = next(scenes), (config.seed, stream, number)
        drawn = (*seed, 0)
        first = SpokenClip(ids[0], **contents, scene=scene, asked=asked, partner_id=ids[1], seed=drawn)
        if asked == "visible":
            scene, drawn = next(scenes), (*seed, 1)
        else:
            contents[asked] = _next(sentences[asked])
        second = SpokenClip(ids[1], **contents, scene=scene, asked=asked, partner_id=ids[0], seed=drawn)
        clips += [first, second]
    return clips


def _next(sentences: Iterator[Sentence]) -> Sentence:
    found = next(sentences, None)
    if found is None:
        raise ValueError(f"a split of spoken shapes has {MOST_NAMES} different names, and more are needed")
    return found
