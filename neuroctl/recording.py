"""Recordings: folders of episodes that survive a kill, are checked by hash, and replay bit for bit.

A recording is `dataset.json` (what was recorded and with which software), `episodes/000000.npz` and an append-only
`index.jsonl`. An episode that stands in the index is whole on the device. Where the agent went on learning, the state
it began each episode with is in `learning/000000`.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checkpoint import read_checkpoint, verify_checkpoint, write_checkpoint
from .contracts import Observation
from .episode_codec import decode_episode, encode_episode, unflatten
from .errors import DamagedFileError, FormatVersionError, NeuroctlError
from .storage import (
    append_line,
    atomic_create,
    atomic_write,
    cut_torn_line,
    is_unused,
    only_writer,
    read_json,
    sha256,
    whole_lines,
)
from .versions import differences

FORMAT = 2
"""Of the files: since 2, images are compressed."""
STATE_EVERY = 100
"""Control steps between two snapshots of the environment's state inside an episode."""


@dataclass(frozen=True)
class DatasetInfo:
    """What a recording was made of; `dataset.json`.

    Attributes:
        env_id: Gymnasium id.
        env_kwargs: options of the environment.
        shifts: the shift stack, `"name:severity"`.
        agent: `"expert"`, `"random"`, `"zero"` or the run folder.
        checkpoint: step of the run's checkpoint that acted; absent for scripted agents.
        member: which agent of a population acted; absent where there was but one.
        policy_hash: SHA-256 of the policy's parameters; empty for scripted agents.
        model_hash: SHA-256 of the simulator's model; empty where the environment gives none.
        seed: root seed of the episodes.
        width: rows that stepped together.
        state_every: control steps between snapshots.
        versions: software and processor.
        learning: the agent went on learning while it was recorded.
        neural: its activity was recorded too.
        format: of the files.
    """

    env_id: str
    env_kwargs: dict[str, Any]
    shifts: tuple[str, ...]
    agent: str
    policy_hash: str
    model_hash: str
    seed: int
    width: int
    state_every: int
    versions: dict[str, str]
    checkpoint: int | None = None
    member: int | None = None
    learning: bool = False
    neural: bool = False
    format: int = FORMAT


@dataclass(frozen=True)
class Episode:
    """One recorded episode of T steps.

    Attributes:
        number: in the recording.
        obs: the policy's side of the observations, `[T + 1, ...]`; the last is the final one. Images are `Frames`
            where they were not unpacked.
        action: the policy's side of the actions, `[T, ...]`.
        reward: float64 `[T]`.
        terminated: ended by the task, not by a limit.
        truncated: ended by a time limit.
        label: the expert's action for each observation, `[T, ...]`; the action itself where an expert acted.
        after: the observation `[...]` after the last step, where the agent went on learning; else None.
        states: environment state at steps 0, K, 2K, ..., each array `[snapshots, ...]`; empty without `get_state`.
        neural: the agent's activity by name, `[T, ...]`, where it was recorded; see `Agent.activity`.
        synapses: weights after steps K, 2K, ... and the last, before the update that follows, by name, `[snapshots,
            ...]`, where the agent learned and they were recorded; see `Agent.synapses`.
        info: the line of the index.
    """

    number: int
    obs: Any
    action: NDArray[Any]
    reward: NDArray[np.float64]
    terminated: bool
    truncated: bool
    label: NDArray[Any]
    after: Observation | None
    states: dict[str, NDArray[Any]]
    neural: dict[str, NDArray[Any]]
    synapses: dict[str, NDArray[Any]]
    info: dict[str, Any]

    def __len__(self) -> int:
        return len(self.reward)


def _under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}


_SUMMARY = {"sha256", "seed", "row", "length", "return"}
"""What every line of the index says of its episode, besides number and file."""


def _file_name(number: int) -> str:
    return f"{number:06d}.npz"


def _summary_bytes(entry: Mapping[str, Any]) -> NDArray[np.uint8]:
    """What an index line says that no hash covers; stored with the episode too, so that damage to the line is found."""
    said = {key: value for key, value in entry.items() if key not in ("episode", "file", "sha256")}
    return np.frombuffer(json.dumps(said).encode(), np.uint8)


def _digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of the content of `dataset.json`."""
    return sha256(json.dumps(content, sort_keys=True).encode())


def _json(info: DatasetInfo) -> str:
    """`dataset.json`: the fields and their hash.

    Raises:
        NeuroctlError: an environment option is not a plain value.
    """
    try:
        content = asdict(info)
        return json.dumps({**content, "sha256": _digest(content)}, indent=1)
    except (TypeError, ValueError) as error:  # no plain value, or a number of thousands of digits
        raise NeuroctlError(
            f"environment options must be plain values, so that a recording can hold them: {error}"
        ) from None


def _check_info(info: DatasetInfo) -> None:
    """Refuse values that no recording has.

    Raises:
        ValueError: names the field.
    """
    kinds = {
        "env_id": str,
        "env_kwargs": dict,
        "agent": str,
        "versions": dict,
        "seed": int,
        "width": int,
        "state_every": int,
    }
    for name, kind in kinds.items():
        if not isinstance(getattr(info, name), kind):
            raise ValueError(f"{name} is {getattr(info, name)!r}")
    for name in ("width", "state_every", "format"):
        if getattr(info, name) < 1:
            raise ValueError(f"{name} is {getattr(info, name)}")


def encoded(arrays: Mapping[str, NDArray[Any]], summary: Mapping[str, Any]) -> bytes:
    """The file of an episode."""
    return encode_episode({**arrays, "summary": _summary_bytes(summary)})


class Recording:
    """A recording on disk. Opening it reads the index only; episodes are read and verified when asked for.

    Args:
        path: its folder.

    Raises:
        DamagedFileError: there is no readable `dataset.json`.
        FormatVersionError: written by a newer version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise NeuroctlError(f"no recording at {self.path}: no such folder")
        content = read_json(self.path / "dataset.json")
        if not isinstance(content, dict) or not isinstance(content.get("format"), int):
            raise DamagedFileError(f"{self.path / 'dataset.json'} is damaged: it has no format")
        if content["format"] > FORMAT:
            raise FormatVersionError(
                f"{self.path} has recording format {content['format']}; this neuroctl reads up to {FORMAT}: update it"
            )
        if content.pop("sha256", None) != _digest(content):
            raise DamagedFileError(f"{self.path / 'dataset.json'} is damaged: its hash differs from its content")
        try:
            self.info = DatasetInfo(**{**content, "shifts": tuple(content["shifts"])})
            _check_info(self.info)
        except (TypeError, KeyError, ValueError) as error:
            raise DamagedFileError(f"{self.path / 'dataset.json'} is damaged: {error}") from None
        self._read_index()

    def _read_index(self) -> None:
        self.index: dict[int, dict[str, Any]] = {}
        self.damaged_lines: list[str] = []
        for number, line in enumerate(whole_lines(self.path / "index.jsonl"), start=1):
            try:
                entry = json.loads(line)
                if entry["file"] != _file_name(entry["episode"]) or not entry.keys() >= _SUMMARY:
                    raise ValueError("not an episode")
                if not isinstance(entry["length"], int):
                    raise ValueError("length is no number")
                self.index[entry["episode"]] = entry
            except (ValueError, KeyError, TypeError):
                self.damaged_lines.append(f"{self.path / 'index.jsonl'} line {number} is damaged")

    @classmethod
    def create(cls, path: str | Path, info: DatasetInfo) -> Recording:
        """Start a recording, or go on with one that was made with the same settings.

        Raises:
            NeuroctlError: the folder holds a recording made with other settings, or other files.
        """
        folder = Path(path)
        content = _json(info)
        if not is_unused(folder) and not (folder / "dataset.json").exists():
            raise NeuroctlError(f"{folder} is not empty and holds no recording; choose another folder")
        (folder / "episodes").mkdir(parents=True, exist_ok=True)
        if not (folder / "dataset.json").exists():
            atomic_create(folder / "dataset.json", content)
        recording = cls(folder)
        old, new = (json.loads(json.dumps(asdict(i))) for i in (recording.info, info))
        if differing := [key for key in new if old[key] != new[key]]:
            detail = "; ".join(f"{k}: {old[k]!r} there, {new[k]!r} asked" for k in differing)
            raise NeuroctlError(f"{folder} holds a recording with other settings ({detail}); choose another folder")
        return recording

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Inside the block episodes may be added, by nobody else; what a kill left half-written is removed first.

        Raises:
            NeuroctlError: another process is writing.
        """
        with only_writer(self.path, "recorded into"):
            cut_torn_line(self.path / "index.jsonl")
            for leftover in self.path.rglob(".*.tmp-*"):
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
            self._read_index()
            yield

    def unindexed(self) -> list[str]:
        """Names of episode files that no line of the index mentions: a kill came between file and line, or damage."""
        known = {entry["file"] for entry in self.index.values()}
        return sorted(p.name for p in (self.path / "episodes").glob("*.npz") if p.name not in known)

    @property
    def learning(self) -> bool:
        """Whether the agent went on learning while it was recorded."""
        return self.info.learning

    def __len__(self) -> int:
        return len(self.index)

    def numbers(self) -> list[int]:
        """Numbers of the episodes that stand in the index."""
        return sorted(self.index)

    def head(self, episodes: int) -> Recording:
        """The same recording, seen as if it held its first `episodes` only.

        Raises:
            NeuroctlError: it holds fewer.
        """
        if len(self) < episodes:
            raise NeuroctlError(f"{self.path} holds {len(self)} episodes; {episodes} are asked for")
        view = Recording(self.path)
        view.index = {number: self.index[number] for number in self.numbers()[:episodes]}
        return view

    def add(self, number: int, arrays: Mapping[str, NDArray[Any]], summary: Mapping[str, Any]) -> None:
        """Write an episode, then its line in the index."""
        self.add_encoded(number, encoded(arrays, summary), summary)

    def add_encoded(self, number: int, data: bytes, summary: Mapping[str, Any]) -> None:
        """Write an episode that is `encoded` already, then its line in the index."""
        name = _file_name(number)
        atomic_write(self.path / "episodes" / name, data)
        entry = {"episode": number, "file": name, "sha256": sha256(data), **summary}
        append_line(self.path / "index.jsonl", json.dumps(entry))
        self.index[number] = entry

    def arrays(self, number: int, *, unpack: bool = True) -> dict[str, Any]:
        """The verified arrays of an episode, by name; images stay compressed `Frames` unless they are unpacked.

        Raises:
            NeuroctlError: the episode is not in the index.
            DamagedFileError: its file is missing or altered.
        """
        if number not in self.index:
            numbers = self.numbers()
            known = f"{numbers[0]}..{numbers[-1]}" if numbers else "none"
            raise NeuroctlError(f"no episode {number} in {self.path}; episodes there: {known}")
        entry = self.index[number]
        path = self.path / "episodes" / _file_name(number)
        if not path.is_file():
            raise DamagedFileError(f"episode {number}: {path} is missing")
        data = path.read_bytes()
        if sha256(data) != entry["sha256"]:
            raise DamagedFileError(f"episode {number}: {path} is damaged: its hash differs from the index")
        arrays = decode_episode(data, path, unpack=unpack)
        if not np.array_equal(arrays.pop("summary", _summary_bytes(entry)), _summary_bytes(entry)):
            raise DamagedFileError(f"episode {number}: its line in {self.path / 'index.jsonl'} is damaged")
        return arrays

    def episode(self, number: int, *, unpack: bool = True) -> Episode:
        """Read and verify an episode; raises as `arrays` does."""
        arrays = self.arrays(number, unpack=unpack)
        return Episode(
            number=number,
            obs=unflatten(arrays, "obs"),
            action=arrays["action"],
            reward=arrays["reward"],
            terminated=bool(arrays["terminated"]),
            truncated=bool(arrays["truncated"]),
            label=arrays.get("label", arrays["action"]),
            after=unflatten(arrays, "after") if self.info.learning else None,
            states=_under("states/", arrays),
            neural=_under("neural/", arrays),
            synapses=_under("synapses/", arrays),
            info=self.index[number],
        )

    def learning_path(self, number: int) -> Path:
        """Where the learning state is that an agent began an episode with."""
        return self.path / "learning" / f"{number:06d}"

    def add_learning_state(self, number: int, state: Mapping[str, Any]) -> None:
        """Write an agent's `state_dict` at the start of an episode."""
        if self.learning_path(number).exists():
            shutil.rmtree(self.learning_path(number))
        self.learning_path(number).parent.mkdir(exist_ok=True)
        write_checkpoint(self.learning_path(number), number, {"agent": state})

    def learning_state(self, number: int) -> dict[str, Any]:
        """The verified `state_dict` that an agent began an episode with.

        Raises:
            DamagedFileError: it is missing or altered.
        """
        _, trees = read_checkpoint(self.learning_path(number))
        state: dict[str, Any] = trees["agent"]
        return state

    def has_learning_state(self, number: int) -> bool:
        """Whether the learning state at the start of an episode is there, unaltered."""
        try:
            verify_checkpoint(self.learning_path(number))
        except DamagedFileError:
            return False
        return True

    def is_sound(self, number: int) -> bool:
        """Whether an episode stands in the index and its file is unaltered."""
        if number not in self.index:
            return False
        try:
            self.arrays(number)
        except DamagedFileError:
            return False
        return True

    def check(self) -> list[str]:
        """Read every episode; one line for each damage found, empty when all is sound."""
        problems = list(self.damaged_lines)
        for number in self.numbers():
            try:
                self.arrays(number)
                if self.info.learning:
                    verify_checkpoint(self.learning_path(number))
            except DamagedFileError as error:
                problems.append(str(error))
        return problems

    def version_differences(self) -> list[str]:
        """What of the software or processor differs from when this was recorded."""
        return differences(self.info.versions)
