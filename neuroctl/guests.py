"""Controllers that were not trained here, as players: ONNX files, Python functions, objects with `act`."""

from __future__ import annotations

import importlib
import inspect
import re
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
        identity: SHA-256 of what decides its behaviour, as far as that is known; empty where it is not.
    """

    controller: Any = None
    identity: str = ""

    def make(self, env: Vector) -> Agent:
        """The controller, begun anew."""
        return GuestAgent(self.name, self.controller or _found(self.name))

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
        if not (callable(getattr(made, "act", None)) or callable(made)):
            raise NeuroctlError(f"{name} has no method act(obs, first), nor can it be called with observations")
        self._controller = made

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
        NeuroctlError: no such file or module, or nothing in it has this name.
    """
    if not isinstance(source, (str, Path)):
        name = getattr(source, "__name__", type(source).__name__)
        return Guest(name, controller=source)
    text = str(source)
    if text.endswith(".onnx"):
        if not Path(text).is_file():
            raise NeuroctlError(f"no ONNX file at {text}")
        return Guest(text, identity=sha256(Path(text)))
    if OBJECT.fullmatch(text):
        code = inspect.getsourcefile(inspect.getmodule(_found(text)) or Guest)
        return Guest(text, identity=sha256(Path(code)) if code else "")
    return None


def _found(name: str) -> Any:
    """What a name stands for."""
    if name.endswith(".onnx"):
        return registry.controllers.load("onnx")(name)
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise NeuroctlError(f"{name}: no module {module!r} can be imported ({error})") from None
    except AttributeError:
        raise NeuroctlError(f"{name}: module {module!r} has nothing called {attribute!r}") from None


def _called(name: str, maker: Callable[[], Any]) -> Any:
    try:
        return maker()
    except TypeError as error:
        raise NeuroctlError(f"{name} must be a class that is made without arguments ({shown(str(error))})") from None
