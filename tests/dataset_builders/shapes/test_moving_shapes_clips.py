import io
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

from video_colbert.dataset_builders.shapes.moving_shapes_clips import (
    RGB,
    ClipPlan,
    encode_h264,
    generate_clip,
    render_scene,
    twin_frames,
    write_clips,
)
from video_colbert.dataset_builders.shapes.moving_shapes_scenes import (
    COLOURS,
    MOTIONS,
    SHAPES,
    Action,
    Relation,
    Scene,
)

FRAMES, SIZE, FPS = 20, 64, 10


def decode(video: bytes) -> np.ndarray:
    with av.open(io.BytesIO(video)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def render(scene: Scene, seed: int = 0, frames: int = FRAMES) -> np.ndarray:
    return render_scene(scene, frames, SIZE, np.random.default_rng(seed))


def alone(motion: str, colour: str = "red", shape: str = "circle") -> Scene:
    return Scene("alone", (Action(colour, shape, motion),))


def red_mask(frames: np.ndarray) -> np.ndarray:
    return (frames[..., 0] > 130) & (frames[..., 1] < 110)


def middle_of_segments(num_frames: int, sampled: int) -> list[int]:
    return [int((k + 0.5) * num_frames / sampled) for k in range(sampled)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("motion", MOTIONS)
def test_the_actor_does_what_the_motion_says(motion: str, shape: str) -> None:
    mask = red_mask(render(alone(motion, shape=shape), seed=3))
    area = mask.sum(axis=(1, 2))
    x, y = (np.array([np.nonzero(m)[axis].mean() for m in mask]) for axis in (1, 0))
    change = {"left": -(x[-1] - x[0]), "right": x[-1] - x[0], "up": -(y[-1] - y[0]), "down": y[-1] - y[0]}
    if motion.startswith("moves"):
        assert change[motion.split()[1]] > SIZE / 2
        assert area.max() < 1.3 * area.min()
    elif motion == "grows":
        assert area[-1] > 4 * area[0]
        assert (np.diff(area) >= 0).all()
    else:
        assert area[0] > 4 * area[-1]
        assert (np.diff(area) <= 0).all()


def test_colours_are_told_apart_after_encoding() -> None:
    for colour in COLOURS:
        frame = decode(encode_h264(render(alone("grows", colour)), FPS))[-1].reshape(-1, 3).astype(float)
        distances = {c: np.abs(frame - rgb).sum(axis=1) for c, rgb in RGB.items()}
        nearest = np.array(list(distances.values())).argmin(axis=0)
        background = np.median(frame, axis=0)
        actor = np.abs(frame - background).sum(axis=1) > 150
        assert actor.sum() > 100
        assert np.mean(np.array(COLOURS)[nearest[actor]] == colour) > 0.9


def test_both_actors_of_an_and_scene_are_there_all_the_time() -> None:
    scene = Scene("and", (Action("red", "circle", "moves left"), Action("blue", "square", "moves up")))
    for seed in range(20):
        frames = render(scene, seed).astype(int)
        blue = (frames[..., 2] > 200) & (frames[..., 0] < 120)
        assert (red_mask(frames).sum(axis=(1, 2)) > 200).all()
        assert (blue.sum(axis=(1, 2)) > 200).all()


def test_actors_of_a_then_scene_follow_each_other() -> None:
    scene = Scene("then", (Action("red", "circle", "moves left"), Action("blue", "square", "grows")))
    visible = red_mask(render(scene)).any(axis=(1, 2))
    assert visible.tolist() == [True] * 10 + [False] * 10


def test_a_then_scene_needs_two_halves() -> None:
    with pytest.raises(ValueError, match="even number of frames, got 15"):
        render(Scene("then", (alone("grows").actions[0],) * 2), frames=15)


@pytest.mark.parametrize("relation", ["alone", "and", "then"])
@pytest.mark.parametrize("sampled", [4, 8, 12, 16, 20])
@pytest.mark.parametrize("frames", [12, 20])
def test_sampled_and_decoded_twins_hold_equal_frames_in_another_order(
    relation: Relation, sampled: int, frames: int
) -> None:
    actions = (Action("red", "circle", "moves left"), Action("yellow", "cross", "shrinks"))
    scene = Scene(relation, actions[:1] if relation == "alone" else actions)
    original = render(scene, frames=frames)
    clips = [decode(encode_h264(clip, FPS)) for clip in (original, twin_frames(scene, original))]
    indices = middle_of_segments(frames, min(sampled, frames))
    one, other = ([clip[i].tobytes() for i in indices] for clip in clips)
    assert Counter(one) == Counter(other)
    assert one != other


def test_files_are_h264_with_the_asked_size_rate_and_length() -> None:
    with av.open(io.BytesIO(encode_h264(render(alone("grows")), FPS))) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", SIZE, SIZE)
        assert (stream.average_rate, stream.pix_fmt) == (FPS, "yuv420p")
        assert float(stream.duration * stream.time_base) == pytest.approx(FRAMES / FPS)
        assert sum(1 for _ in container.decode(video=0)) == FRAMES


def test_encoding_stays_close_to_what_was_drawn() -> None:
    frames = render(alone("moves left"))
    assert np.abs(decode(encode_h264(frames, FPS)).astype(int) - frames).mean() < 4


def test_equal_plans_give_equal_bytes_and_other_seeds_give_others() -> None:
    plan = ClipPlan("a", alone("grows"), (0, 1, 2), FRAMES, SIZE, FPS)
    other = ClipPlan("a", alone("grows"), (0, 1, 3), FRAMES, SIZE, FPS)
    assert generate_clip(plan) == generate_clip(plan) != generate_clip(other)


def test_writing_goes_on_where_it_stopped(tmp_path: Path) -> None:
    plans = [ClipPlan(name, alone("grows"), (i,), 12, 32, FPS) for i, name in enumerate("abc")]
    (tmp_path / "b.mp4").write_bytes(b"already there")
    (tmp_path / "c.part").write_bytes(b"cut short")
    assert write_clips(tmp_path, plans) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4", "c.mp4"]
    assert (tmp_path / "b.mp4").read_bytes() == b"already there"
    assert (tmp_path / "c.mp4").read_bytes() == generate_clip(plans[2])
