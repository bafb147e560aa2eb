from video_colbert.index.filters import Comparison
from video_colbert.index.lance.filters import to_lance_filter


def test_texts_are_escaped_in_sql() -> None:
    assert to_lance_filter(Comparison("genre", "=", "x' OR '1'='1"), []) == "`genre` = 'x'' OR ''1''=''1'"
