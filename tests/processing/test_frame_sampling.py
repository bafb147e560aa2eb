import itertools

import numpy as np
import pytest
from transformers.models.siglip2.image_processing_pil_siglip2 import get_image_size_for_max_num_patches

from video_colbert.processing.frame_sampling import (
    fps_indices,
    sampling_generator,
    segment_random_indices,
    select_frame_indices,
    size_in_patches,
    uniform_indices,
    window_indices,
)


def segments(num_present: int, num_frames: int) -> list[range]:
    """Equal segments, by exact integer division."""
    return [range(k * num_present // num_frames, (k + 1) * num_present // num_frames) for k in range(num_frames)]


@pytest.mark.parametrize(("num_present", "num_frames"), [(24, 12), (100, 12), (13, 12), (12, 12), (5, 2), (7, 1)])
def test_uniform_takes_the_middle_frame_of_each_segment(num_present: int, num_frames: int) -> None:
    expected = [part[(len(part) - 1) // 2] for part in segments(num_present, num_frames)]
    assert uniform_indices(num_present, num_frames).tolist() == expected


@pytest.mark.parametrize("num_frames", [8, 100, None])
def test_fewer_frames_than_asked_are_all_taken_once(num_frames: int | None) -> None:
    generator = np.random.default_rng(0)
    assert uniform_indices(5, num_frames).tolist() == [0, 1, 2, 3, 4]
    assert segment_random_indices(5, num_frames, generator).tolist() == [0, 1, 2, 3, 4]


def test_segment_random_draws_every_frame_of_each_segment_and_no_other() -> None:
    generator = np.random.default_rng(0)
    drawn = np.array([segment_random_indices(50, 4, generator) for _ in range(500)])
    for column, part in zip(drawn.T, segments(50, 4), strict=True):
        assert set(column.tolist()) == set(part)


def test_a_videos_draw_depends_on_seed_epoch_and_id_alone() -> None:
    def draw(seed: int, epoch: int, video_id: str) -> list[int]:
        return segment_random_indices(1000, 12, sampling_generator(seed, epoch, video_id)).tolist()

    np.random.seed(0)
    first = draw(1, 2, "v")
    np.random.seed(1)
    assert draw(1, 2, "v") == first
    others = [draw(0, 2, "v"), draw(1, 3, "v"), draw(1, 2, "w"), draw(12, 2, "v"), draw(1, 22, "v")]
    assert all(other != first for other in others)


def test_fps_takes_the_frame_on_show_at_each_tick() -> None:
    timestamps = np.arange(100) / 10
    assert fps_indices(timestamps, 2.0, None).tolist() == list(range(0, 100, 5))
    # 10 frames a second seen at 20 ticks a second: each frame once, not twice.
    assert fps_indices(timestamps, 20.0, None).tolist() == list(range(100))


def test_fps_with_uneven_frame_times_matches_a_search_tick_by_tick() -> None:
    timestamps = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.9, size=80))
    ticks = np.arange(timestamps[0], timestamps[-1], 1 / 3)
    expected = sorted({int(np.flatnonzero(timestamps <= tick + 1e-3)[-1]) for tick in ticks})
    assert fps_indices(timestamps, 3.0, None).tolist() == expected


def test_fps_counts_by_frame_as_a_clock_would_tick_by_tick_and_takes_no_memory_for_ticks() -> None:
    generator = np.random.default_rng(0)
    for _ in range(300):
        number, start = int(generator.integers(1, 40)), round(float(generator.uniform(0, 3)), 3)
        uneven = np.sort(generator.uniform(0, 5, number)) + start
        # Rounded to a clock of milliseconds, as in webm: many frames lie on a tick.
        even = np.round(np.arange(number) / generator.choice([24, 29.97]) + start, 3)
        for timestamps, fps in itertools.product((uneven, even), (0.3, 1, 7.5, 24, 60)):
            ticks = timestamps[0] + np.arange(int((timestamps[-1] - timestamps[0] + 1e-3) * fps) + 1) / fps
            expected = sorted({int(np.flatnonzero(timestamps <= tick + 1e-3)[-1]) for tick in ticks})
            assert fps_indices(timestamps, fps, None).tolist() == expected
    # Two frames ten years apart, and a rate without end.
    assert fps_indices(np.array([0.0, 0.5, 3e8]), 60.0, None).tolist() == [0, 1, 2]
    assert fps_indices(np.array([0.0, 0.5, 1.0]), 1e300, None).tolist() == [0, 1, 2]


def test_fps_is_thinned_evenly_to_the_most_frames() -> None:
    assert fps_indices(np.arange(120) / 10, 1.0, 4).tolist() == [10, 40, 70, 100]


def test_a_window_includes_its_start_and_excludes_its_end() -> None:
    timestamps = np.array([0.0, 0.5, 1.0, 1.5, 2.0])
    assert window_indices(timestamps, 0.5, 1.5).tolist() == [1, 2]
    assert window_indices(timestamps, None, 1.0).tolist() == [0, 1]
    assert window_indices(timestamps, 1.5, None).tolist() == [3, 4]
    assert window_indices(timestamps, 0.6, 0.9).tolist() == [1]


def test_sampling_happens_inside_the_window() -> None:
    timestamps = np.arange(100) / 10
    assert select_frame_indices(timestamps, 2, start=2.0, end=4.0).tolist() == [24, 34]
    assert select_frame_indices(timestamps, None, start=2.0, end=4.0, sampling="fps", fps=1.0).tolist() == [20, 30]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_frames": 0}, "num_frames is 0"),
        ({"start": -1.0}, "start is -1"),
        ({"start": 3.0, "end": 3.0}, "end is 3"),
        ({"end": 0.0}, "end is 0"),
        ({"start": float("nan")}, "start is nan"),
        ({"sampling": "fps"}, "fps"),
        ({"fps": 1.0}, "fps"),
        ({"sampling": "fps", "fps": 0.0}, "positive"),
        ({"sampling": "segment_random"}, "generator"),
        ({"sampling": "every"}, "uniform, segment_random, fps"),
    ],
)
def test_a_bad_argument_is_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        select_frame_indices(np.arange(10.0), **({"num_frames": 4} | arguments))


@pytest.mark.parametrize("max_num_patches", [1, 12, 256, 1024])
@pytest.mark.parametrize(("height", "width"), [(720, 1280), (1280, 720), (240, 320), (32, 32), (1, 900), (37, 2111)])
def test_a_size_in_patches_is_that_of_the_librarys_own_image_processor(
    height: int, width: int, max_num_patches: int
) -> None:
    expected = get_image_size_for_max_num_patches(height, width, 16, max_num_patches)
    assert size_in_patches(height, width, 16, max_num_patches) == expected
