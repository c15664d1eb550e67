"""Names for things that live in other packages: `name -> "module:attribute"`, resolved when first used."""

import importlib
from dataclasses import dataclass, field
from typing import Any

from .errors import NeuroctlError, UnknownNameError


@dataclass(frozen=True)
class Entry:
    """A registered name.

    Attributes:
        target: `"module:attribute"`; nothing is imported before `Registry.load`.
        summary: one line shown by `neuroctl list`.
    """

    target: str
    summary: str = ""


@dataclass
class Registry:
    """Maps names to things that are imported on demand.

    Attributes:
        kind: what the names stand for; used in error messages.
    """

    kind: str
    entries: dict[str, Entry] = field(default_factory=dict)

    def register(self, name: str, target: str, summary: str = "") -> None:
        """Add `name`.

        Raises:
            NeuroctlError: the name is taken by another target.
        """
        entry = Entry(target, summary)
        if self.entries.setdefault(name, entry) != entry:
            raise NeuroctlError(f"{self.kind} {name!r} is already registered for {self.entries[name].target!r}")

    def names(self) -> list[str]:
        """Every registered name, sorted."""
        return sorted(self.entries)

    def load(self, name: str) -> Any:
        """Import and return what `name` stands for.

        Raises:
            UnknownNameError: nothing is registered under `name`.
        """
        if name not in self.entries:
            raise UnknownNameError(self.kind, name, self.entries)
        module, _, attribute = self.entries[name].target.partition(":")
        return getattr(importlib.import_module(module), attribute)


agents = Registry("agent")
"""Agents: `name -> class`, constructed as `cls(config, spaces, seed=, device=, dataset=)`."""

cells = Registry("cell")
"""Recurrent cells: `name -> function`, called as `make(config, seed)` with the agent's configuration; one with a
parameter `outputs` also gets the number of outputs of the policy's head."""

rules = Registry("learning rule")
"""Learning rules of plastic synapses: `name -> function`, called with the options of the rule, which returns what makes
the synapses of a projection (`neuroctl.agents.spiking.RuleFactory`)."""

presets = Registry("preset")
"""Experiments: `name -> function` without arguments that returns a `TrainConfig`."""

shifts = Registry("shift")
"""Distribution shifts: `name -> class`, see `neuroctl.shift`."""

held_out = Registry("held-out set")
"""Held-out variants: `environment id -> function`, called as `change(options, share)`, see `neuroctl.envs.held_out`."""

controllers = Registry("controller file")
"""Controllers in files: `kind -> class`, constructed as `cls(path)`, with `act(obs[B, ...], first[B])`, `reset()`."""
