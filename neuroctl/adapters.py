"""Bring other people's vector environments to the loop's contract: SAME_STEP autoreset, dense `final_obs`."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from numpy.typing import NDArray

from .contracts import Observation, map_observation

Vector = VectorEnv[Any, Any, Any]


def copy_obs(obs: Observation) -> Observation:
    """A copy of an observation, an array or a dict of arrays."""
    return map_observation(np.array, obs)


def write_rows(target: Any, mask: NDArray[np.bool_], source: Any) -> None:
    """Overwrite the rows of `target` where `mask` is true with those of `source`."""
    if isinstance(target, dict):
        for key in target:
            write_rows(target[key], mask, source[key])
    else:
        target[mask] = source[mask]


class NextStepToSameStep(VectorWrapper[Any, Any, Any, Any, Any]):
    """Turns NEXT_STEP autoreset into SAME_STEP by resetting finished rows at once.

    The environment must take `options={"reset_mask": mask}`, as Gymnasium's Sync- and AsyncVectorEnv do.
    """

    def __init__(self, env: Vector) -> None:
        super().__init__(env)
        self._metadata = {**env.metadata, "autoreset_mode": AutoresetMode.SAME_STEP}

    def step(self, actions: Any) -> tuple[Any, NDArray[Any], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Step; where an episode ends, return the first observation of the next and keep the last in `info`."""
        obs, *outcome, info = self.env.step(actions)
        reward, terminated, truncated = (np.array(part) for part in outcome)  # the reset may clear them in place
        done = np.logical_or(terminated, truncated)
        if done.any():
            final_obs, final_info = copy_obs(obs), dict(info)
            fresh, reset_info = self.env.reset(options={"reset_mask": done})
            obs = copy_obs(obs)
            write_rows(obs, done, fresh)
            info = {
                **_merged(info, reset_info, done),
                "final_obs": final_obs,
                "_final_obs": done,
                "final_info": final_info,
                "_final_info": done,
            }
        return obs, reward, terminated, truncated, info


def _merged(info: dict[str, Any], fresh: dict[str, Any], done: NDArray[np.bool_]) -> dict[str, Any]:
    """`info` with the rows where `done` replaced by those of `fresh`; the other rows keep what is theirs."""
    merged = {**info, **fresh}
    for key in info.keys() & fresh.keys():
        if isinstance(info[key], dict):
            merged[key] = _merged(info[key], fresh[key], done)
        else:
            merged[key] = np.array(info[key])
            write_rows(merged[key], done, np.asarray(fresh[key]))
    return merged


class DenseFinalObs(VectorWrapper[Any, Any, Any, Any, Any]):
    """Makes `info["final_obs"]` one array (or dict of arrays) `[B, ...]` and adds the mask where it is missing."""

    def step(self, actions: Any) -> tuple[Any, NDArray[Any], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Step, with the last observations of finished episodes stacked."""
        obs, reward, terminated, truncated, info = self.env.step(actions)
        obs = copy_obs(obs)
        if "final_obs" in info:
            done = np.logical_or(terminated, truncated)
            final = info["final_obs"]
            info = {
                **info,
                "final_obs": _dense(final, done, obs, self.single_observation_space),
                "_final_obs": done,
            }
        return obs, reward, terminated, truncated, info


def _dense(final: Any, done: NDArray[np.bool_], like: Any, space: gym.Space[Any]) -> Any:
    """Stack the rows of an object array; rows that did not finish hold the current observation."""
    if not (isinstance(final, np.ndarray) and final.dtype == object):
        return final
    dense = copy_obs(like)
    for row in np.flatnonzero(done):
        mask = np.arange(len(done)) == row
        one = final[row]
        source = (
            {k: np.broadcast_to(v, dense[k].shape) for k, v in one.items()}
            if isinstance(one, dict)
            else np.broadcast_to(one, dense.shape)
        )
        write_rows(dense, mask, source)
    return dense
