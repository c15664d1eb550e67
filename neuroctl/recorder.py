"""The listener that writes a closed loop's episodes into a recording, and the description of what it records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .contracts import Info, Listener, Observation, Step
from .episode_codec import flatten
from .frames import FrameWriter, is_image
from .recording import STATE_EVERY, DatasetInfo
from .vector import Vector, get_state
from .versions import versions


class TakesEpisodes(Protocol):
    """Where a recorder's episodes go."""

    @property
    def learning(self) -> bool:
        """Whether the agent goes on learning, so that what follows an episode is recorded too."""

    def add(self, number: int, arrays: Mapping[str, NDArray[Any]], summary: Mapping[str, Any]) -> None:
        """Take an episode."""


class Recorder(Listener):
    """Writes the episodes of a closed loop into a recording.

    Args:
        recording: where to, or what else takes episodes as `Recording.add` does.
        numbers: the episode number of each row's first episode, None for a row that is not recorded, `[B]`.
            Later episodes of a row are not recorded.
        seeds: seed of each row's episode, `[B]`.
        state_every: control steps between snapshots of the environment's state.
        neural: whether the agent's activity is recorded too, and its synapses while it learns, at every snapshot.
    """

    def __init__(
        self,
        recording: TakesEpisodes,
        numbers: Sequence[int | None],
        seeds: Sequence[int],
        state_every: int = STATE_EVERY,
        neural: bool = False,
    ) -> None:
        self._recording = recording
        self._numbers = list(numbers)
        self._seeds = seeds
        self._state_every = state_every
        self._steps: list[dict[str, NDArray[Any]]] = []
        self._images: list[dict[str, FrameWriter]] = [{} for _ in self._numbers]
        self._states: list[dict[str, NDArray[Any]]] = []
        self._neural = neural
        self._synapses: list[dict[str, NDArray[Any]]] = []

    def on_begin(self, env: Vector, obs: Observation, info: Info) -> None:
        """Take the state that the episodes start from."""
        self._env = env
        self._label = info.get("expert_action")
        self._snapshot()

    def _snapshot(self) -> None:
        state = get_state(self._env)
        if state is not None:
            self._states.append(flatten("states", state))

    def on_step(self, step: Step) -> None:
        """Keep the step; write the episodes that ended with it."""
        if not any(number is not None for number in self._numbers):
            return
        seen = flatten("obs", step.obs)
        numbers = {key: value for key, value in seen.items() if not is_image(value[0])}
        for row in [row for row, number in enumerate(self._numbers) if number is not None]:
            for key in sorted(seen.keys() - numbers.keys()):
                self._images[row].setdefault(key, FrameWriter()).add(seen[key][row])
        label = {} if self._label is None else {"label": self._label}
        self._label = step.info.get("expert_action")
        inside = flatten("neural", step.agent.activity()) if self._neural and step.agent else {}
        self._steps.append({**numbers, "action": step.action, "reward": step.reward, **label, **inside})
        due = len(self._steps) % self._state_every == 0 or step.done.any()
        if self._neural and due and step.agent and step.agent.learning:
            self._synapses.append(flatten("synapses", step.agent.synapses()))
        for row in np.flatnonzero(step.done).tolist():
            if self._numbers[row] is not None:
                self._write(row, step)
                self._numbers[row] = None
        if len(self._steps) % self._state_every == 0:
            self._snapshot()

    def _write(self, row: int, step: Step) -> None:
        number = self._numbers[row]
        assert number is not None
        arrays: dict[str, NDArray[Any]] = {}
        last = {key: value[row] for key, value in flatten("obs", step.info["final_obs"]).items()}
        for key, writer in self._images[row].items():
            writer.add(last[key])
            arrays |= writer.arrays(key)
        self._images[row] = {}
        for key in self._steps[0]:
            parts = [s[key][row] for s in self._steps]
            arrays[key] = np.stack([*parts, last[key]] if key in last else parts)
        if self._recording.learning:
            arrays |= {key: value[row] for key, value in flatten("after", step.next_obs).items()}
        arrays["reward"] = arrays["reward"].astype(np.float64)
        arrays["terminated"] = step.terminated[row]
        arrays["truncated"] = step.truncated[row]
        for snapshots in (self._states, self._synapses):
            for key in snapshots[0] if snapshots else ():
                arrays[key] = np.stack([s[key][row] for s in snapshots])
        summary = {"seed": int(self._seeds[row]), "row": row, "length": len(self._steps)}
        outcome = {"return": float(np.cumsum(arrays["reward"])[-1]), "terminated": bool(step.terminated[row])}
        final = scalar_columns(step.info.get("final_info", {}))
        said = {f"final/{key}": float(column[row]) for key, column in final.items() if not np.isnan(column[row])}
        self._recording.add(number, arrays, {**summary, **outcome, **said})


def scalar_columns(info: Mapping[str, Any]) -> dict[str, NDArray[np.float64]]:
    """The plain numbers `[B]` that an environment says of its rows, such as `success`; NaN where it says nothing."""
    return {
        key: np.where(info.get(f"_{key}", True), value.astype(np.float64), np.nan)
        for key, value in info.items()
        if not key.startswith("_") and isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "bif"
    }


def model_hash(env: Vector) -> str:
    """SHA-256 of the simulator's models of all rows; empty where the environment gives none."""
    method = getattr(env.unwrapped, "model_hash", None)
    return str(method()) if method else ""


def dataset_info(
    env: Vector,
    env_id: str,
    env_kwargs: Mapping[str, Any],
    shifts: Sequence[str],
    *,
    agent: str,
    policy_hash: str,
    seed: int,
    width: int,
    checkpoint: int | None = None,
    member: int | None = None,
    learning: bool = False,
    neural: bool = False,
) -> DatasetInfo:
    """Describe a recording that is about to be made in `env`."""
    return DatasetInfo(
        env_id=env_id,
        env_kwargs=dict(env_kwargs),
        shifts=tuple(shifts),
        agent=agent,
        policy_hash=policy_hash,
        model_hash=model_hash(env),
        seed=seed,
        width=width,
        state_every=STATE_EVERY,
        versions=versions(),
        checkpoint=checkpoint,
        member=member,
        learning=learning,
        neural=neural,
    )
