"""Recordings: folders of episodes that survive a kill, are checked by hash, and replay bit for bit.

A recording is `dataset.json` (what was recorded and with which software), `episodes/000000.npz` and an append-only
`index.jsonl`. An episode that stands in the index is whole on the device.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .contracts import Info, Listener, Observation, Step
from .errors import DamagedFileError, FormatVersionError, NeuroctlError
from .storage import append_line, atomic_write, cut_torn_line, is_unused, read_json, sha256, whole_lines
from .vector import Vector, get_state
from .versions import differences, versions

FORMAT = 1
STATE_EVERY = 100
"""Control steps between two snapshots of the environment's state inside an episode."""

_BYTE = "u8:"
"""Prefix of an array of k/255 (an 8-bit camera's image) that is stored as the bytes k; decoding gives equal bits."""


def pack_image(array: NDArray[Any]) -> NDArray[Any]:
    """The bytes k of a float32 array of k/255; any other array unchanged."""
    if array.dtype != np.float32 or array.ndim < 2:
        return array
    with np.errstate(invalid="ignore"):
        packed = np.rint(array * np.float32(255)).astype(np.uint8)
    same = np.array_equal(unpack_image(packed).view(np.uint32), np.ascontiguousarray(array).view(np.uint32))
    return packed if same else array


def unpack_image(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32 k/255 from bytes k."""
    return packed.astype(np.float32) / np.float32(255)


def flatten(name: str, value: Any) -> dict[str, NDArray[Any]]:
    """Nested dicts of arrays as one level with `/` between the names."""
    if isinstance(value, Mapping):
        return {k: v for key, part in value.items() for k, v in flatten(f"{name}/{key}", part).items()}
    return {name: np.asarray(value)}


def unflatten(arrays: Mapping[str, NDArray[Any]], name: str) -> Any:
    """What `flatten` flattened under `name`: an array or nested dicts."""
    if name in arrays:
        return arrays[name]
    tree: dict[str, Any] = {}
    for key, value in arrays.items():
        if key.startswith(f"{name}/"):
            *path, last = key[len(name) + 1 :].split("/")
            node = tree
            for part in path:
                node = node.setdefault(part, {})
            node[last] = value
    return tree


@dataclass(frozen=True)
class DatasetInfo:
    """What a recording was made of; `dataset.json`.

    Attributes:
        env_id: Gymnasium id.
        env_kwargs: options of the environment.
        shifts: the shift stack, `"name:severity"`.
        agent: `"expert"`, `"random"`, `"zero"` or the run folder.
        checkpoint: step of the run's checkpoint that acted; absent for scripted agents.
        policy_hash: SHA-256 of the policy's parameters; empty for scripted agents.
        model_hash: SHA-256 of the simulator's model; empty where the environment gives none.
        seed: root seed of the episodes.
        width: rows that stepped together.
        state_every: control steps between snapshots.
        versions: software and processor.
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
    format: int = FORMAT


@dataclass(frozen=True)
class Episode:
    """One recorded episode of T steps.

    Attributes:
        number: in the recording.
        obs: the policy's side of the observations, `[T + 1, ...]`; the last is the final one.
        action: the policy's side of the actions, `[T, ...]`.
        reward: float64 `[T]`.
        terminated: ended by the task, not by a limit.
        truncated: ended by a time limit.
        label: the expert's action for each observation, `[T, ...]`; the action itself where an expert acted.
        states: environment state at steps 0, K, 2K, ..., each array `[snapshots, ...]`; empty without `get_state`.
        info: the line of the index.
    """

    number: int
    obs: Observation
    action: NDArray[Any]
    reward: NDArray[np.float64]
    terminated: bool
    truncated: bool
    label: NDArray[Any]
    states: dict[str, NDArray[Any]]
    info: dict[str, Any]

    def __len__(self) -> int:
        return len(self.reward)


def encode_episode(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The bytes of an `.npz`: equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def decode_episode(data: bytes, path: Path) -> dict[str, NDArray[Any]]:
    """Arrays of an `.npz`, images unpacked.

    Raises:
        DamagedFileError: not an archive of plain arrays.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (ValueError, OSError, zipfile.BadZipFile, KeyError, EOFError) as error:
        raise DamagedFileError(f"{path} is damaged: {error}") from None
    return {k.removeprefix(_BYTE): unpack_image(v) if k.startswith(_BYTE) else v for k, v in arrays.items()}


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
    except TypeError as error:
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
        self.index: dict[int, dict[str, Any]] = {}
        self.damaged_lines: list[str] = []
        for number, line in enumerate(whole_lines(self.path / "index.jsonl"), start=1):
            try:
                entry = json.loads(line)
                if entry["file"] != _file_name(entry["episode"]) or not entry.keys() >= _SUMMARY:
                    raise ValueError("not an episode")
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
        if (folder / "dataset.json").exists():
            recording = cls(folder)
            old, new = (json.loads(json.dumps(asdict(i))) for i in (recording.info, info))
            differing = [key for key in new if old[key] != new[key]]
            if differing:
                detail = "; ".join(f"{k}: {old[k]!r} there, {new[k]!r} asked" for k in differing)
                raise NeuroctlError(f"{folder} holds a recording with other settings ({detail}); choose another folder")
            cut_torn_line(folder / "index.jsonl")
            for leftover in folder.rglob(".*.tmp-*"):
                leftover.unlink()
            return recording
        if not is_unused(folder):
            raise NeuroctlError(f"{folder} is not empty and holds no recording; choose another folder")
        content = _json(info)
        (folder / "episodes").mkdir(parents=True, exist_ok=True)
        atomic_write(folder / "dataset.json", content)
        return cls(folder)

    def unindexed(self) -> list[str]:
        """Names of episode files that no line of the index mentions: a kill came between file and line, or damage."""
        known = {entry["file"] for entry in self.index.values()}
        return sorted(p.name for p in (self.path / "episodes").glob("*.npz") if p.name not in known)

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
        name = _file_name(number)
        data = encode_episode({**arrays, "summary": _summary_bytes(summary)})
        atomic_write(self.path / "episodes" / name, data)
        entry = {"episode": number, "file": name, "sha256": sha256(data), **summary}
        append_line(self.path / "index.jsonl", json.dumps(entry))
        self.index[number] = entry

    def arrays(self, number: int) -> dict[str, NDArray[Any]]:
        """The verified arrays of an episode, by name.

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
        arrays = decode_episode(data, path)
        if not np.array_equal(arrays.pop("summary", _summary_bytes(entry)), _summary_bytes(entry)):
            raise DamagedFileError(f"episode {number}: its line in {self.path / 'index.jsonl'} is damaged")
        return arrays

    def episode(self, number: int) -> Episode:
        """Read and verify an episode; raises as `arrays` does."""
        arrays = self.arrays(number)
        return Episode(
            number=number,
            obs=unflatten(arrays, "obs"),
            action=arrays["action"],
            reward=arrays["reward"],
            terminated=bool(arrays["terminated"]),
            truncated=bool(arrays["truncated"]),
            label=arrays.get("label", arrays["action"]),
            states={k.removeprefix("states/"): v for k, v in arrays.items() if k.startswith("states/")},
            info=self.index[number],
        )

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
            except DamagedFileError as error:
                problems.append(str(error))
        return problems

    def version_differences(self) -> list[str]:
        """What of the software or processor differs from when this was recorded."""
        return differences(self.info.versions)


class Recorder(Listener):
    """Writes the episodes of a closed loop into a recording.

    Args:
        recording: where to.
        numbers: the episode number of each row's first episode, None for a row that is not recorded, `[B]`.
            Later episodes of a row are not recorded.
        seeds: seed of each row's episode, `[B]`.
        state_every: control steps between snapshots of the environment's state.
    """

    def __init__(
        self,
        recording: Recording,
        numbers: Sequence[int | None],
        seeds: Sequence[int],
        state_every: int = STATE_EVERY,
    ) -> None:
        self._recording = recording
        self._numbers = list(numbers)
        self._seeds = seeds
        self._state_every = state_every
        self._steps: list[dict[str, NDArray[Any]]] = []
        self._states: list[dict[str, NDArray[Any]]] = []

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
        images = {k: pack_image(v) for k, v in flatten("obs", step.obs).items()}
        label = {} if self._label is None else {"label": self._label}
        self._label = step.info.get("expert_action")
        self._steps.append({**images, "action": step.action, "reward": step.reward, **label})
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
        for key in self._steps[0]:
            parts = [s[key][row] for s in self._steps]
            if key.startswith("obs"):
                parts.append(flatten("obs", step.info["final_obs"])[key][row])
                arrays |= _image_column(key, parts)
            else:
                arrays[key] = np.stack(parts)
        arrays["reward"] = arrays["reward"].astype(np.float64)
        arrays["terminated"] = step.terminated[row]
        arrays["truncated"] = step.truncated[row]
        for key in self._states[0] if self._states else ():
            arrays[key] = np.stack([s[key][row] for s in self._states])
        summary = {"seed": int(self._seeds[row]), "row": row, "length": len(self._steps)}
        outcome = {"return": float(np.cumsum(arrays["reward"])[-1]), "terminated": bool(step.terminated[row])}
        final = scalar_columns(step.info.get("final_info", {}))
        said = {f"final/{key}": float(column[row]) for key, column in final.items() if not np.isnan(column[row])}
        self._recording.add(number, arrays, {**summary, **outcome, **said})


def _image_column(key: str, parts: list[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """One array from the rows of all steps, as bytes if every row was or can be packed."""
    packed = [part if part.dtype == np.uint8 else pack_image(part) for part in parts]
    if all(part.dtype == np.uint8 for part in packed) and parts[-1].dtype == np.float32:
        return {_BYTE + key: np.stack(packed)}
    if any(part.dtype == np.float32 for part in parts):
        return {key: np.stack([unpack_image(p) if p.dtype == np.uint8 else p for p in parts])}
    return {key: np.stack(parts)}


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
    )
