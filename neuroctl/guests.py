"""Controllers that were not trained here, as players: ONNX files, Python functions, objects with `act`."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import registry
from .checks import shown
from .contracts import Agent, Observation
from .errors import NeuroctlError
from .rollouts import Player
from .storage import sha256
from .vector import Vector

OBJECT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
"""Of something in a Python module: `module:name`."""


@dataclass(frozen=True)
class Guest(Player):
    """A controller that was not trained here.

    Attributes:
        controller: what acts: an object with `act(obs[B, ...], first[B])`, a class of such objects, or a function from
            observations `[B, ...]` to actions `[B, ...]`; None where `name` says it: an ONNX file or `module:name`.
        folder: where modules are looked for beside Python's own path.
        identity: SHA-256 of an ONNX file; empty of Python code, of which nobody knows what it reads.
    """

    controller: Any = None
    folder: str = ""
    identity: str = ""

    def make(self, env: Vector) -> Agent:
        """The controller, begun anew."""
        found = _found(self.name, self.folder) if self.controller is None else self.controller
        return GuestAgent(self.name, found)

    def policy_hash(self) -> str:
        """`identity`."""
        return self.identity


class GuestAgent(Agent):
    """Lets a controller act; it learns nothing.

    Args:
        name: of the controller, for messages.
        controller: see `Guest`.

    Raises:
        NeuroctlError: it cannot act.
    """

    def __init__(self, name: str, controller: Any) -> None:
        self._name = name
        made = _called(name, controller) if inspect.isclass(controller) else controller
        act = getattr(made, "act", None)
        if not (callable(act) or callable(made)):
            raise NeuroctlError(f"{name} has no method act(obs, first), nor can it be called with observations")
        self._controller = made
        if callable(act) and not _takes(act, 2):
            raise NeuroctlError(f"the method act of {name} must take observations and `first`, the rows that begin")
        if not callable(act) and not _takes(made, 1):
            raise NeuroctlError(f"{name} must be a function of observations alone")

    def begin(self, num_envs: int, seed: int) -> None:
        """Let the controller begin anew, if it has a method `reset`."""
        reset = getattr(self._controller, "reset", None)
        if callable(reset):
            reset()

    def act(self, obs: Observation, first: NDArray[np.bool_]) -> NDArray[Any]:
        """Actions `[B, ...]`; the environment says what is wrong with them."""
        act = getattr(self._controller, "act", None)
        return np.asarray(self._controller(obs) if act is None else act(obs, first))


def guest(source: str | Path | Callable[..., Any] | object) -> Guest | None:
    """The player that a source is, if it is none of ours: an ONNX file, `module:name`, or a controller in memory.

    Raises:
        NeuroctlError: no such file or module, nothing in it has this name, or it cannot act.
    """
    if not isinstance(source, (str, Path)):
        found = Guest(getattr(source, "__name__", type(source).__name__), controller=source)
        GuestAgent(found.name, source)
        return found
    if str(source).endswith(".onnx"):
        if not Path(source).is_file():
            raise NeuroctlError(f"no ONNX file at {source}")
        found = Guest(str(source), identity=sha256(Path(source)))
    elif OBJECT.fullmatch(str(source)):
        found = Guest(str(source), folder=os.getcwd())
    else:
        return None
    GuestAgent(found.name, _found(found.name, found.folder))
    return found


def _found(name: str, folder: str) -> Any:
    """What a name stands for."""
    if name.endswith(".onnx"):
        return registry.controllers.load("onnx")(name)
    if folder and folder not in sys.path:
        sys.path.append(folder)
    module, _, attribute = name.partition(":")
    try:
        loaded = importlib.import_module(module)
    except Exception as error:  # noqa: BLE001 - whatever the module does
        raise NeuroctlError(f"{name}: module {module!r} cannot be imported ({shown(str(error))})") from None
    if not hasattr(loaded, attribute):
        raise NeuroctlError(f"{name}: module {module!r} has nothing called {attribute!r}")
    return getattr(loaded, attribute)


def _called(name: str, maker: Callable[[], Any]) -> Any:
    try:
        return maker()
    except TypeError as error:
        raise NeuroctlError(f"{name} must be a class that is made without arguments ({shown(str(error))})") from None


def _takes(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with so many arguments, as far as it says."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # written in C
        return True
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True
