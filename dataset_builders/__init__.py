"""Video-text data sets as `datasets` builders, and the protocols of the benchmarks."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .activitynet import ActivityNet
    from .annotation_files import AnnotationError
    from .benchmark_builder import MissingAnnotationsError
    from .benchmarks import load_benchmark
    from .didemo import DiDeMo
    from .mirrors.hub_mirrors import download_mirror
    from .mirrors.video_archives import ArchiveError, UnsafeArchiveError
    from .msrvtt import MSRVTT
    from .msvd import MSVD
    from .multivent2 import MultiVENT2
    from .protocol_check import ProtocolCheck, check_protocol
    from .protocols import PROTOCOLS, Protocol
    from .shapes.moving_shapes import MovingShapes, MovingShapesConfig
    from .shapes.moving_shapes_folder import write_moving_shapes
    from .shapes.spoken_shapes_folder import write_spoken_shapes
    from .shapes.spoken_shapes_plan import SpokenShapesConfig
    from .spoken_shapes import SpokenShapes
    from .vatex import VATEX
    from .video_files import MissingVideosError
    from .video_folder import VideoFolder, VideoFolderConfig

# Imported when asked for: the processes that write moving shapes start without loading `datasets`.
_MODULES = {
    "ActivityNet": "activitynet",
    "AnnotationError": "annotation_files",
    "DiDeMo": "didemo",
    "MSRVTT": "msrvtt",
    "MSVD": "msvd",
    "MissingAnnotationsError": "benchmark_builder",
    "MissingVideosError": "video_files",
    "MultiVENT2": "multivent2",
    "MovingShapes": "shapes.moving_shapes",
    "MovingShapesConfig": "shapes.moving_shapes",
    "PROTOCOLS": "protocols",
    "Protocol": "protocols",
    "ProtocolCheck": "protocol_check",
    "ArchiveError": "mirrors.video_archives",
    "SpokenShapes": "spoken_shapes",
    "SpokenShapesConfig": "shapes.spoken_shapes_plan",
    "UnsafeArchiveError": "mirrors.video_archives",
    "VATEX": "vatex",
    "VideoFolder": "video_folder",
    "VideoFolderConfig": "video_folder",
    "check_protocol": "protocol_check",
    "download_mirror": "mirrors.hub_mirrors",
    "load_benchmark": "benchmarks",
    "write_moving_shapes": "shapes.moving_shapes_folder",
    "write_spoken_shapes": "shapes.spoken_shapes_folder",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


__all__ = [
    "MSRVTT",
    "MSVD",
    "PROTOCOLS",
    "VATEX",
    "ActivityNet",
    "AnnotationError",
    "ArchiveError",
    "DiDeMo",
    "MissingAnnotationsError",
    "MissingVideosError",
    "MovingShapes",
    "MovingShapesConfig",
    "MultiVENT2",
    "Protocol",
    "ProtocolCheck",
    "SpokenShapes",
    "SpokenShapesConfig",
    "UnsafeArchiveError",
    "VideoFolder",
    "VideoFolderConfig",
    "check_protocol",
    "download_mirror",
    "load_benchmark",
    "write_moving_shapes",
    "write_spoken_shapes",
]
