"""A Ray cluster: the connection to it, and how a run shares its machines out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from video_colbert.errors import MissingExtraError


@dataclass(frozen=True)
class ClusterShare:
    """What the parts of a run have of a cluster.

    Attributes:
        parts: how many there are.
        cores: of each.
        gpus: of each, none or one.
    """

    parts: int
    cores: int
    gpus: int


def connect(address: str | None) -> None:
    """Connects this process to a cluster, unless it is.

    Args:
        address: of the cluster, such as "auto"; None to start Ray here.

    Raises:
        MissingExtraError: Ray is not installed.
        ConnectionError: there is no cluster at this address.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("indexing on Ray needs the extra `ray`: pip install 'video-colbert[ray]'") from error
    if not ray.is_initialized():
        ray.init(address=address)


def share_cluster(parts: int | None, cores: int | None) -> ClusterShare:
    """How this process's cluster is shared out.

    Args:
        parts: how many; by default one for each GPU, or for each machine of a cluster without any.
        cores: of each; by default what each part of a machine can have.
    """
    import ray

    return share_nodes(ray.nodes(), parts, cores)


def share_nodes(nodes: Sequence[Mapping[str, Any]], parts: int | None, cores: int | None) -> ClusterShare:
    """As `share_cluster`, of nodes as Ray describes them."""
    machines = [node["Resources"] for node in nodes if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    gpus = [int(machine.get("GPU", 0)) for machine in machines]
    number = parts or sum(gpus) or len(machines) or 1
    of_one_machine = max(gpus, default=0) or -(-number // max(len(machines), 1))
    least = min((int(machine["CPU"]) for machine in machines), default=1)
    return ClusterShare(number, cores or max(least // of_one_machine, 1), 1 if any(gpus) else 0)
