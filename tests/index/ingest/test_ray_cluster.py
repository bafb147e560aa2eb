from __future__ import annotations

import sys

import pytest

from video_colbert.errors import MissingExtraError
from video_colbert.index.ingest.ray_cluster import ClusterShare, connect, share_nodes


def test_missing_ray_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'video-colbert\[ray\]'"):
        connect("auto")


@pytest.mark.parametrize(
    ("machines", "expected"),
    [
        ([{"CPU": 1}, {"CPU": 1}], ClusterShare(2, 1, 0)),
        ([{"CPU": 64, "GPU": 8}, {"CPU": 48, "GPU": 4}], ClusterShare(12, 6, 1)),
        ([{"CPU": 16}, {}], ClusterShare(1, 16, 0)),
    ],
)
def test_the_parts_of_a_run_fill_the_machines(machines: list[dict[str, float]], expected: ClusterShare) -> None:
    nodes = [{"Alive": True, "Resources": resources} for resources in machines]
    assert share_nodes(nodes, None, None) == expected
    # What is lost takes no part.
    assert share_nodes([*nodes, {"Alive": False, "Resources": {"CPU": 99, "GPU": 9}}], None, None) == expected


def test_parts_and_cores_that_are_asked_for_are_taken() -> None:
    nodes = [{"Alive": True, "Resources": {"CPU": 8}}, {"Alive": True, "Resources": {"CPU": 8}}]
    assert share_nodes(nodes, 4, None) == ClusterShare(4, 4, 0)
    assert share_nodes(nodes, 4, 3) == ClusterShare(4, 3, 0)
