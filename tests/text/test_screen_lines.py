from video_colbert.text.passages import Passage
from video_colbert.text.screen_lines import LineTracker, ScreenLine


def lines(*texts: str, score: float = 0.9) -> list[ScreenLine]:
    return [ScreenLine(text, score, 10.0 * number, 0.0) for number, text in enumerate(texts)]


def test_a_line_over_several_frames_is_one_passage_with_its_span() -> None:
    tracker = LineTracker(step=1.0)
    for second in range(6):
        tracker.show(float(second), lines("Solar energy") if 1 <= second <= 3 else [])
    assert tracker.passages(6.0) == [Passage("screen_text", "Solar energy", 1.0, 4.0)]


def test_lines_of_a_slide_are_one_passage_from_the_top_down() -> None:
    tracker = LineTracker(step=1.0)
    tracker.show(0.0, lines("Photosynthesis", "makes sugar"))
    tracker.show(1.0, list(reversed(lines("Photosynthesis", "makes sugar"))))
    assert tracker.passages(2.0) == [Passage("screen_text", "Photosynthesis makes sugar", 0.0, 2.0)]


def test_a_title_that_stays_over_changing_lines_is_a_passage_of_its_own() -> None:
    tracker = LineTracker(step=1.0)
    for second, text in enumerate(["first point", "something else", "the third of them"]):
        tracker.show(float(second), lines("The Title", text))
    spans = {passage.text: (passage.start, passage.end) for passage in tracker.passages(3.0)}
    assert spans["The Title"] == (0.0, 3.0)
    assert spans["first point"] == (0.0, 1.0)
    assert len(spans) == 4


def test_readings_that_differ_a_little_are_the_same_line_and_the_surest_is_kept() -> None:
    tracker = LineTracker(step=1.0)
    tracker.show(0.0, lines("Photosynthesls", score=0.75))
    tracker.show(1.0, lines("photo synthesis", score=0.95))
    tracker.show(2.0, lines("Photosynthes1s", score=0.8))
    assert [passage.text for passage in tracker.passages(3.0)] == ["photo synthesis"]


def test_a_frame_in_which_a_line_is_missed_does_not_part_it() -> None:
    tracker = LineTracker(step=1.0)
    for second, shown in enumerate([True, False, True, False, False, True]):
        tracker.show(float(second), lines("Exit 9") if shown else [])
    assert [(passage.start, passage.end) for passage in tracker.passages(6.0)] == [(0.0, 3.0), (5.0, 6.0)]


def test_frames_that_stay_the_same_lengthen_what_is_on_show() -> None:
    tracker = LineTracker(step=1.0)
    tracker.show(0.0, lines("Exit 9"))
    tracker.stay(1.0)
    tracker.stay(2.0)
    tracker.show(3.0, [])
    tracker.show(4.0, [])
    assert [(passage.start, passage.end) for passage in tracker.passages(5.0)] == [(0.0, 3.0)]
