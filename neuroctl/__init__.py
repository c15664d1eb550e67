"""neuroctl: neural controllers in a closed loop with simulated robots.

Importing this package registers environments (Gymnasium ids under `neuroctl/`), agents, shifts and presets, all by
name; torch, mujoco and ray are imported when something needs them.
"""

from typing import TYPE_CHECKING, Any

from . import registry
from .errors import DamagedFileError, FormatVersionError, NeuroctlError, NonFiniteError, UnknownNameError
from .plugins import load_plugins

if TYPE_CHECKING:
    from .evaluation import evaluate
    from .loop import ClosedLoop
    from .recording import Recording
    from .replaying import replay
    from .reporting import report
    from .robustness_plan import robustness
    from .rollouts import record
    from .run import load
    from .training import train
    from .vector import make_env

__version__ = "0.1.0"

# No module has the name of a public function: importing one would replace the function in this namespace.
_LAZY = {
    "ClosedLoop": "loop",
    "Recording": "recording",
    "evaluate": "evaluation",
    "load": "run",
    "make_env": "vector",
    "record": "rollouts",
    "replay": "replaying",
    "report": "reporting",
    "robustness": "robustness_plan",
    "train": "training",
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
    "robustness",
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
