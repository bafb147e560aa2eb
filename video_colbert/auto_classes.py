"""Registration of the model and the processor with transformers' Auto classes, as soon as those are imported.

`import video_colbert` is enough for `AutoModel` and `AutoProcessor` to take the classes of this package, and yet it
loads neither transformers nor torch.
"""

import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

# Every Auto class needs it. It loads torch itself, so that the registration behind it costs little more.
_AUTO_CLASSES = "transformers.models.auto.configuration_auto"
# By module, the class that is registered when it is first asked for.
_REGISTERED = {
    "video_colbert.modeling_video_colbert": "VideoColBERTModel",
    "video_colbert.processing": "VideoColBERTProcessor",
}
_COUNTED = ("transformers.", *(f"{module}." for module in _REGISTERED))


def register_auto_classes() -> None:
    """Registers the model and the processor, now or when the Auto classes are imported."""
    if _AUTO_CLASSES in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _TransformersFinder())


def _register() -> None:
    for module, name in _REGISTERED.items():
        getattr(import_module(module), name)


class _TransformersFinder(MetaPathFinder):
    """Finds transformers' modules where Python does, and registers behind the import that brought the Auto classes.

    Behind the outermost one: their modules import each other, as those that are registered import them, and within an
    import some are there in part only.
    """

    def __init__(self) -> None:
        self._imports = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not f"{fullname}.".startswith(_COUNTED):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_counted(module: ModuleType) -> None:
                self._imports.depth = getattr(self._imports, "depth", 0) + 1
                try:
                    execute(module)
                finally:
                    self._imports.depth -= 1
                if self._imports.depth == 0 and _AUTO_CLASSES in sys.modules and self in sys.meta_path:
                    sys.meta_path.remove(self)
                    _register()

            spec.loader.exec_module = execute_counted  # type: ignore[method-assign] # of this one loader
        return spec
