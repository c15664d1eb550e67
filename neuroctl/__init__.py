"""neuroctl: neural controllers in a closed loop with simulated robots.

Importing this package registers environments (Gymnasium ids under `neuroctl/`), agents, shifts and presets, all by
name; torch, mujoco and ray are imported when something needs them.
"""

from typing import TYPE_CHECKING, Any

from . import registry
from .errors import DamagedFileError, FormatVersionError, NeuroctlError, NonFiniteError, UnknownNameError
from .plugins import load_plugins

if TYPE_CHECKING:
    from .evaluate import evaluate
    from .loop import ClosedLoop
    from .recording import Recording, record
    from .replay import replay
    from .report import report
    from .run import load
    from .train import train
    from .vector import make_env

__version__ = "0.1.0"

_LAZY = {
    "ClosedLoop": "loop",
    "Recording": "recording",
    "evaluate": "evaluate",
    "load": "run",
    "make_env": "vector",
    "record": "recording",
    "replay": "replay",
    "report": "report",
    "train": "train",
}

__all__ = [
    "ClosedLoop",
    "DamagedFileError",
    "FormatVersionError",
    "NeuroctlError",
    "NonFiniteError",
    "Recording",
    "UnknownNameError",
    "evaluate",
    "load",
    "make_env",
    "record",
    "registry",
    "replay",
    "report",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


load_plugins()
