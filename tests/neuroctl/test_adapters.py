"""Environments that reset on the next step, or stack nothing, meet the loop's contract afterwards."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from neuroctl.adapters import DenseFinalObs, NextStepToSameStep, copy_obs, write_rows
from neuroctl.vector import make_env
from tests.neuroctl.toys import CART, Cart


class DictCart(Cart):
    """The cart with a dict of observations."""

    observation_space = gym.spaces.Dict(  # type: ignore[assignment]
        {"state": Cart.observation_space, "steps": gym.spaces.Box(0, 100, (), np.int64)}
    )

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        obs, info = super().reset(**kwargs)
        return {"state": obs, "steps": np.array(self.steps)}, info

    def step(self, action: Any) -> Any:
        obs, *rest = super().step(action)
        return {"state": obs, "steps": np.array(self.steps)}, *rest


def batch(cls: type[Cart], mode: AutoresetMode, copy: bool = True) -> SyncVectorEnv:
    return SyncVectorEnv([cls] * 3, autoreset_mode=mode, copy=copy)


def flat(obs: Any) -> dict[str, Any]:
    return obs if isinstance(obs, dict) else {"": obs}


@pytest.mark.parametrize("cls", [Cart, DictCart])
@pytest.mark.parametrize("copy", [True, False])
def test_next_step_becomes_same_step_with_the_right_final_observations(cls: type[Cart], copy: bool) -> None:
    ours = NextStepToSameStep(batch(cls, AutoresetMode.NEXT_STEP, copy))
    reference = DenseFinalObs(batch(cls, AutoresetMode.SAME_STEP))
    assert ours.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    assert ours.unwrapped.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP, "the environment's own is not changed"
    obs, expected = ours.reset(seed=5)[0], reference.reset(seed=5)[0]
    ends = neighbours = 0
    for t in range(150):
        for key in flat(obs):
            assert np.array_equal(flat(obs)[key], flat(expected)[key]), (t, key)
        actions = np.array([t % 2, (t // 2) % 2, 1])
        obs, reward, terminated, truncated, info = ours.step(actions)
        expected, *outcome, reference_info = reference.step(actions)
        for mine, theirs in zip((reward, terminated, truncated), outcome, strict=True):
            assert np.array_equal(mine, theirs)
        done = terminated | truncated
        assert ("final_obs" in info) == done.any()
        assert np.array_equal(info["steps"], reference_info["steps"]), "rows that go on keep their info"
        if done.any():
            ends += 1
            neighbours += not done.all()
            assert np.array_equal(info["_final_obs"], done) and np.array_equal(info["_final_info"], done)
            for key, value in flat(info["final_obs"]).items():
                assert value.shape == flat(obs)[key].shape
                assert np.array_equal(value[done], flat(reference_info["final_obs"])[key][done])
                assert not np.array_equal(value[done], flat(obs)[key][done])
            for key in ("steps", "crash"):
                mine, theirs = (i["final_info"].get(key, np.zeros(3))[done] for i in (info, reference_info))
                assert np.array_equal(mine, theirs)
    assert ends > 10 and neighbours > 5


def test_final_observations_become_one_array_and_running_rows_hold_the_present_one() -> None:
    env = make_env(CART, 3)
    obs, _ = env.reset(seed=1)
    for _ in range(60):
        obs, _, terminated, truncated, info = env.step(np.ones(3, np.int64))
        done = terminated | truncated
        if done.any() and not done.all():
            break
    final = info["final_obs"]
    assert final.dtype == obs.dtype and final.shape == obs.shape
    assert np.array_equal(final[~done], obs[~done]) and not np.array_equal(final[done], obs[done])
    assert np.array_equal(info["_final_obs"], done)


def test_observations_that_were_returned_are_never_written_to_again() -> None:
    for env in (NextStepToSameStep(batch(Cart, AutoresetMode.NEXT_STEP)), make_env(CART, 3)):
        env.reset(seed=0)
        seen: list[tuple[Any, Any]] = []
        for _ in range(40):
            obs, *_, info = env.step(np.ones(3, np.int64))
            seen += [(a, a.copy()) for a in [obs, *(info[key] for key in ("final_obs",) if key in info)]]
        assert all(np.array_equal(a, b) for a, b in seen)


def test_rows_are_written_and_copied_in_nested_observations() -> None:
    obs: dict[str, Any] = {"a": np.zeros((3, 2)), "b": {"c": np.zeros(3)}}
    copy = copy_obs(obs)
    write_rows(copy, np.array([True, False, True]), {"a": np.ones((3, 2)), "b": {"c": np.full(3, 2.0)}})
    assert copy["a"][:, 0].tolist() == [1, 0, 1] and copy["b"]["c"].tolist() == [2, 0, 2]
    assert not obs["a"].any() and not obs["b"]["c"].any()
