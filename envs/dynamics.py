"""Changes of a robot's dynamics: one compiled model for each distinct set of values."""

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import shown
from neuroctl.errors import NeuroctlError

from .vector_tools import array_of

MULTIPLIERS = ("mass", "friction", "damping", "gain")
DELAYS = ("action_delay",)
MAX_DELAY = 50
LIMIT = 1e10
"""Where MuJoCo too begins to call a number bad (mjMAXVAL)."""

Dynamics = Mapping[str, float | Sequence[float]]
"""`mass`, `friction`, `damping`, `gain` (factors, 1 = identity) and `action_delay` (control steps): each a number
for all rows or one number per row."""

Scale = Callable[[Any, Mapping[str, float]], None]
"""Changes a compiled model in place; factors that are exactly 1 are left out of the mapping."""


def dynamics_table(dynamics: Dynamics | None, num_envs: int) -> list[dict[str, float]]:
    """Values of every key in every row.

    Raises:
        NeuroctlError: not a mapping, unknown key, wrong number of values, or a value out of range.
    """
    table = [{**dict.fromkeys(MULTIPLIERS, 1.0), **dict.fromkeys(DELAYS, 0.0)} for _ in range(num_envs)]
    if dynamics is not None and not isinstance(dynamics, Mapping):
        raise NeuroctlError(f"dynamics is {shown(dynamics)}; allowed: a mapping from names to numbers")
    for key, given in (dynamics or {}).items():
        if key not in MULTIPLIERS + DELAYS:
            raise NeuroctlError(f"unknown dynamics {key!r}; known: {', '.join(MULTIPLIERS + DELAYS)}")
        values = array_of(given)
        if values is None or values.dtype.kind not in "iuf":
            raise NeuroctlError(
                f"dynamics {key!r} is {shown(given)}; allowed: a number, or one for each of {num_envs} rows"
            )
        if values.shape not in ((), (num_envs,)):
            raise NeuroctlError(
                f"dynamics {key!r} has shape {values.shape}; allowed: a number, or one for each of {num_envs} rows"
            )
        for row, value in zip(table, np.broadcast_to(values.astype(np.float64), (num_envs,)).tolist(), strict=True):
            row[key] = _checked(key, value)
    return table


def _checked(key: str, value: float) -> float:
    if key in DELAYS and not (0 <= value <= MAX_DELAY and value == int(value)):
        raise NeuroctlError(f"dynamics {key!r} is {value}; allowed: a whole number from 0 to {MAX_DELAY} control steps")
    if key in MULTIPLIERS and not (0 <= value <= LIMIT and (value or key != "mass")):
        least = "> 0" if key == "mass" else ">= 0"
        raise NeuroctlError(
            f"dynamics {key!r} is {value}; allowed: a factor {least} up to {LIMIT:g}, 1 changes nothing"
        )
    return value


def scale_model(model: Any, factors: Mapping[str, float]) -> None:
    """Multiply masses and inertias, geom friction, joint damping and actuator gains of a compiled model."""
    if "mass" in factors:
        model.body_mass *= factors["mass"]
        model.body_inertia *= factors["mass"]
        mujoco.mj_setConst(model, mujoco.MjData(model))
    if "friction" in factors:
        model.geom_friction *= factors["friction"]
        model.dof_frictionloss *= factors["friction"]
    if "damping" in factors:
        model.dof_damping *= factors["damping"]
    if "gain" in factors:
        model.actuator_gainprm[:, :3] *= factors["gain"]


def load_model(xml: str | Path) -> Any:
    """Compile MJCF: its text, or the path of a file (which may name meshes beside it).

    Raises:
        NeuroctlError: MuJoCo cannot read it.
    """
    try:
        if isinstance(xml, str) and xml.lstrip().startswith("<"):
            model = mujoco.MjModel.from_xml_string(xml)
        else:
            model = mujoco.MjModel.from_xml_path(str(xml))
    except ValueError as error:
        raise NeuroctlError(f"MuJoCo cannot compile the robot: {' '.join(str(error).split())}") from error
    # Divergence must be seen: by default MuJoCo resets the simulation silently.
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    return model


def changes(base: Any, model: Any) -> bool:
    """Whether the simulation of `model`, made from `base` by `scale_model` or the like, can differ from that of `base`.

    What decides are the bits of the compiled models, but for the friction of geoms that nothing rubs against.
    """
    peer = copy.deepcopy(base)
    idle = ~can_rub(base)
    peer.geom_friction[idle] = model.geom_friction[idle]
    none = np.zeros(1, np.int64)
    return hash_models([peer], none) != hash_models([model], none)


def can_rub(model: Any) -> NDArray[np.bool_]:
    """Which geoms can touch another one with friction, bool `[ngeom]`.

    By MuJoCo's rules (documentation, "Computation": collision detection, contact), two geoms touch if their contype and
    conaffinity match and their bodies are neither welded together nor parent and child, the world aside; a contact of
    dimension 1 is frictionless.
    """
    if model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_CONTACT:
        return np.zeros(model.ngeom, np.bool_)
    match = model.geom_contype[:, None] & model.geom_conaffinity
    body = model.body_weldid[model.geom_bodyid]
    child = (body[:, None] == model.body_weldid[model.body_parentid[body]]) & (body[:, None] != 0)
    rank, condim = model.geom_priority, model.geom_condim
    dimension = np.where(rank[:, None] > rank, condim[:, None], np.maximum(condim[:, None], condim))
    dimension = np.where(rank[:, None] < rank, condim, dimension)
    rubbing = ((match | match.T) != 0) & (body[:, None] != body) & ~(child | child.T) & (dimension > 1)
    found: NDArray[np.bool_] = rubbing.any(axis=1)
    return found


def build_models(base: Any, table: Sequence[Mapping[str, float]], scale: Scale) -> list[Any]:
    """The model of every row; rows with equal factors share one, and rows without changes share `base`."""
    models: dict[tuple[float, ...], Any] = {}
    rows = []
    for values in table:
        key = tuple(values[name] for name in MULTIPLIERS)
        if key not in models:
            factors = {name: value for name, value in zip(MULTIPLIERS, key, strict=True) if value != 1.0}
            models[key] = copy.deepcopy(base) if factors else base
            if factors:
                scale(models[key], factors)
        rows.append(models[key])
    return rows


def hash_models(models: Sequence[Any], delays: NDArray[np.int64]) -> str:
    """sha256 over the distinct (compiled model, action delay) of the rows; the number of rows does not matter."""
    digests: dict[int, bytes] = {}
    for model in models:
        if id(model) not in digests:
            buffer = np.zeros(mujoco.mj_sizeModel(model), np.uint8)
            mujoco.mj_saveModel(model, None, buffer)
            digests[id(model)] = hashlib.sha256(buffer.tobytes()).digest()
    rows = {digests[id(model)] + int(delay).to_bytes(8, "little") for model, delay in zip(models, delays, strict=True)}
    return hashlib.sha256(b"".join(sorted(rows))).hexdigest()
