"""Builds the vector environments of the closed loop: one contract, whoever made the environment.

The contract: `gymnasium.vector.VectorEnv`, SAME_STEP autoreset, `final_obs` dense `[B, ...]` with the mask
`_final_obs`. An environment that can save and restore its state has `get_state(rows)`, `set_state(rows, state)` and
`current_obs()`; wrappers of ours pass them on.
"""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from . import registry
from .adapters import DenseFinalObs, NextStepToSameStep
from .checks import checked_integer, is_number, shown
from .contracts import Spaces
from .errors import NeuroctlError, UnknownNameError
from .shift import parse_shift, shift_stack

Vector = VectorEnv[Any, Any, Any]
EnvState = dict[str, NDArray[Any]]

BATCHING = ("id", "num_envs", "vectorization_mode", "vector_kwargs")
"""Arguments of `gymnasium.make_vec` that are no options of an environment."""


def environment_options(kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    """An environment's own options as a dict; empty for None.

    Raises:
        NeuroctlError: not a mapping from names, or a name that says how environments are batched.
    """
    options = {} if kwargs is None else kwargs
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise NeuroctlError(f"environment options must be a dict such as {{'max_steps': 100}}, got {shown(kwargs)}")
    for name in BATCHING:
        if name in options:
            raise NeuroctlError(f"{name!r} is not an environment option: it says how environments are made and batched")
    return dict(options)


def make_env(
    env_id: str,
    num_envs: int,
    kwargs: Mapping[str, Any] | None = None,
    shifts: Sequence[str] = (),
) -> Vector:
    """A vector environment under the loop's contract, with a stack of shifts.

    Args:
        env_id: a Gymnasium id, ours or anybody's.
        num_envs: B.
        kwargs: the environment's own options.
        shifts: `"name:severity"`, applied in this order from the robot outwards.

    Raises:
        NeuroctlError: unknown environment, option or shift, or a shift that does not fit the environment.
    """
    if not isinstance(env_id, str):
        raise NeuroctlError(f"an environment is named by its Gymnasium id such as 'CartPole-v1', got {shown(env_id)}")
    options = environment_options(kwargs)
    if not isinstance(options.get("dynamics", {}), Mapping | None):
        raise NeuroctlError(f"dynamics must be a dict such as {{'gain': 0.8}}, got {shown(options['dynamics'])}")
    num_envs = checked_integer("num_envs", num_envs, 1)
    parsed = [(registry.shifts.load(name), severity) for name, severity in map(parse_shift, shift_stack(shifts))]
    shifted = _shifted_options(env_id, options, parsed)
    try:
        env = _to_contract(_make(env_id, num_envs, shifted), env_id)
    except NeuroctlError:
        dynamics = next((shift for shift, _ in parsed if shift.kind == "dynamics"), None)
        if dynamics and "dynamics" not in options and not _takes_dynamics(env_id, options):
            reason = "it changes the robot, and this environment has no option 'dynamics'"
            raise _misfit(dynamics, env_id, options, reason) from None
        raise
    for shift, severity in parsed:
        if shift.kind_for(env.single_observation_space) == "wrapper":
            reason = shift.fits(env.single_observation_space, env.single_action_space)
            if reason:
                env.close()
                raise _misfit(shift, env_id, options, reason)
            env = shift(env, severity)
    return env


def _shifted_options(env_id: str, options: Mapping[str, Any], parsed: Sequence[tuple[Any, int]]) -> dict[str, Any]:
    """The environment's options under a stack of shifts."""
    shifted = dict(options)
    for shift, severity in parsed:
        if reason := shift.fits_options(env_id, shifted):
            raise _misfit(shift, env_id, options, reason)
        shifted = shift.options(env_id, shifted, severity)
    return shifted


def _misfit(shift: Any, env_id: str, options: Mapping[str, Any], reason: str) -> NeuroctlError:
    """What to say of a shift that cannot be applied to this environment: why, and which can."""
    env = _to_contract(_make(env_id, 1, dict(options)), env_id)
    spaces, robot = (env.single_observation_space, env.single_action_space), _takes_dynamics(env_id, options)
    env.close()
    fitting = [
        name
        for name, other in ((name, registry.shifts.load(name)) for name in registry.shifts.names())
        if (robot or other.kind != "dynamics") and not other.fits(*spaces) and not other.fits_options(env_id, options)
    ]
    return NeuroctlError(f"shift {shift.name!r} does not fit {env_id}: {reason}; fitting: {', '.join(fitting)}")


def _takes_dynamics(env_id: str, options: Mapping[str, Any]) -> bool:
    """Whether the environment, which takes `options`, has an option `dynamics` too."""
    _make(env_id, 1, dict(options)).close()
    try:
        _make(env_id, 1, {"dynamics": {}, **options}).close()
    except NeuroctlError:
        return False
    return True


def _make(env_id: str, num_envs: int, options: dict[str, Any]) -> Vector:
    """The environment as Gymnasium makes it, with SAME_STEP autoreset where Gymnasium does the batching."""
    if env_id not in gym.registry:
        ours = [name for name in gym.registry if name.startswith("neuroctl/")]
        raise UnknownNameError("environment", env_id, difflib.get_close_matches(env_id, gym.registry, n=1) + ours)
    spec = gym.registry[env_id]
    try:
        if spec.vector_entry_point is not None:
            env = gym.make_vec(env_id, num_envs=num_envs, vectorization_mode="vector_entry_point", **options)
            if env.metadata.get("autoreset_mode") == AutoresetMode.SAME_STEP or spec.entry_point is None:
                return env
            env.close()
        return gym.make_vec(
            env_id,
            num_envs=num_envs,
            vectorization_mode="sync",
            vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
            **options,
        )
    except NeuroctlError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        if not options:
            raise
        if unknown := unknown_option(env_id, options, _options_of(spec)):
            raise unknown from None
        raise NeuroctlError(f"{env_id} refuses its options {shown(options, 300)}: {error}") from error
    except ModuleNotFoundError as error:
        raise NeuroctlError(f"{env_id} needs the package {error.name!r}, which is not installed") from None
    except gym.error.Error as error:  # such as a package that is not installed
        raise NeuroctlError(f"{env_id}: {error}") from None


def _options_of(spec: EnvSpec) -> set[str] | None:
    """Names of an environment's options; None when it takes any."""
    point: Any = spec.vector_entry_point or spec.entry_point
    known = listed_options(load_env_creator(point) if isinstance(point, str) else point)
    if known is None or spec.vector_entry_point:
        return known
    return known | {"max_episode_steps", "disable_env_checker"}


def listed_options(maker: Callable[..., Any]) -> set[str] | None:
    """Names of the options that a maker of environments lists; None when it takes any."""
    parameters = inspect.signature(maker).parameters
    if any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters.values()):
        return None
    return parameters.keys() - {"self", "num_envs"}


def unknown_option(owner: str, options: Iterable[str], known: Collection[str] | None) -> UnknownNameError | None:
    """What to say of the first of `options` that `owner` does not have; None if it has them all.

    Args:
        owner: whose options they are, such as an environment's id.
        options: names.
        known: names that exist; None if any does.
    """
    if known is None:
        return None
    return next((UnknownNameError(f"{owner} option", name, known) for name in options if name not in known), None)


def _to_contract(env: Vector, env_id: str) -> Vector:
    mode = env.metadata.get("autoreset_mode")
    if mode == AutoresetMode.NEXT_STEP:
        return NextStepToSameStep(env)
    if mode != AutoresetMode.SAME_STEP:
        raise NeuroctlError(f"{env_id} has autoreset mode {mode}; SAME_STEP or NEXT_STEP is needed")
    return env if hasattr(env.unwrapped, "get_state") else DenseFinalObs(env)


def spaces_of(env: Vector) -> Spaces:
    """The spaces of one row, and the control step: the environment's `control_dt_s`, or one over its frame rate.

    Raises:
        NeuroctlError: the environment says a control step that is no time.
    """
    return Spaces(env.single_observation_space, env.single_action_space, _control_dt_s(env))


def _control_dt_s(env: Vector) -> float | None:
    base, fps = env.unwrapped, env.metadata.get("render_fps")
    dt_s = getattr(base, "control_dt_s", None)
    if dt_s is None and isinstance(base, gym.vector.SyncVectorEnv):  # somebody's single environments, row by row
        dt_s = getattr(base.envs[0].unwrapped, "control_dt_s", None)
    if dt_s is None and is_number(fps) and fps:
        dt_s = 1 / fps
    if dt_s is not None and not (is_number(dt_s) and 0 < dt_s < math.inf):
        raise NeuroctlError(f"the control step control_dt_s must be a number of seconds > 0, got {shown(dt_s)}")
    return dt_s


def _find(env: Vector, name: str) -> Any:
    """The attribute of the outermost wrapper that has it; None when the environment itself has not."""
    if not hasattr(env.unwrapped, name):
        return None
    while True:
        if any(name in vars(base) for base in type(env).__mro__):
            return getattr(env, name)
        if not isinstance(env, gym.vector.VectorWrapper):
            return None
        env = env.env


def can_restore(env: Vector) -> bool:
    """Whether the environment saves and restores its state."""
    return _find(env, "get_state") is not None


def get_state(env: Vector, rows: NDArray[np.intp] | None = None) -> EnvState | None:
    """State of `rows` (all by default), each array `[len(rows), ...]`; None when the environment has no such thing."""
    method = _find(env, "get_state")
    return None if method is None else method(rows)


def set_state(env: Vector, rows: NDArray[np.intp], state: EnvState) -> None:
    """Put back what `get_state` returned."""
    _find(env, "set_state")(rows, state)


def current_obs(env: Vector) -> Any:
    """What the environment shows in its present state, `[B, ...]`; for environments that restore their state."""
    return _find(env, "current_obs")()


def expert_action(env: Vector) -> NDArray[Any]:
    """The scripted controller's actions `[B, ...]`.

    Raises:
        NeuroctlError: the environment has none.
    """
    method = _find(env, "expert_action")
    if method is None:
        raise NeuroctlError(f"{env.spec.id if env.spec else type(env.unwrapped).__name__} has no scripted expert")
    return np.asarray(method())
