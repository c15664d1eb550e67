"""Environments that answer an option which they do not have as `neuroctl.make_env` does, whoever makes them."""

from __future__ import annotations

from typing import Any, Self

import gymnasium as gym

from neuroctl.vector import listed_options, unknown_option


class KnownOptions(gym.vector.VectorEnv[Any, Any, Any]):
    """A vector environment whose options are the arguments of its `__init__` beside `num_envs`."""

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Refuse unknown options.

        Raises:
            UnknownNameError: no such option.
        """
        given = [name for name in options if name != "num_envs"]
        if unknown := unknown_option(_name_of(cls), given, listed_options(cls.__init__)):
            raise unknown
        return super().__new__(cls)


def _name_of(vector: type) -> str:
    """The Gymnasium id that stands for a class of environments, or its own name."""
    point = f"{vector.__module__}:{vector.__name__}"
    return next((spec.id for spec in gym.registry.values() if spec.vector_entry_point == point), vector.__name__)
