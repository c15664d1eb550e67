"""Reacher-v5 to 1e-6, memory that the delayed task needs, perturbations in blocks, an expert that always arrives."""

import dataclasses
import inspect
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest

from neuroctl.envs.arm_kinematics import ArmKinematics
from neuroctl.envs.arm_options import CUE_STEPS, WAIT_STEPS
from neuroctl.envs.arm_reach import ArmReachVector
from neuroctl.envs.arms import ARMS, is_held_out
from neuroctl.envs.config import ArmReachConfig
from neuroctl.errors import NeuroctlError
from neuroctl.vector import make_env

every_arm = pytest.mark.parametrize("arm", ARMS)


def play(env, policy=None, seed=0):
    """One episode of every row: rewards `[steps, B]`, observations `[steps, B, k]` before them, last info."""
    obs, _ = env.reset(seed=seed)
    rewards, seen = [], []
    for _ in range(env.max_steps):
        seen.append(obs)
        obs, reward, _, _, info = env.step(env.expert_action() if policy is None else policy(env))
        rewards.append(reward)
    return np.array(rewards), np.array(seen), info["final_info"]


def wander(steps, env, seed=0):
    rng = np.random.default_rng(seed)
    walk = 0.4 * rng.standard_normal((steps, *env.action_space.shape)).cumsum(axis=0)
    return np.sin(walk).astype(np.float32)


def columns(env):
    """Name -> slice of the observation, as the documentation says."""
    joints, dims = len(env._arm.joints), env._arm.dims
    sizes = {"cos": joints, "sin": joints, "target": dims}
    sizes |= {"velocity": joints} if env._observe_velocity else {}
    sizes |= {"tip": dims, "cue": 1, "go": 1} if env._delayed_task else {"vector": dims}
    ends = np.cumsum(list(sizes.values()))
    assert ends[-1] == env.single_observation_space.shape[0]
    return {name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)}


# Reaching


@pytest.fixture
def reacher():
    return gym.make("Reacher-v5")


def test_planar2_gives_observations_and_rewards_of_reacher_v5(reacher):
    env = ArmReachVector(1)
    assert env.single_observation_space.shape == reacher.observation_space.shape
    assert env.single_action_space == reacher.action_space
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    at_limit = 0
    for episode in range(8):
        reacher.reset(seed=episode)
        data, target = env.datas[0], env.variable("target")[0]
        reacher.unwrapped.set_state(np.append(data.qpos, target), np.append(data.qvel, [0, 0]))
        assert env.current_obs()[0] == pytest.approx(reacher.unwrapped._get_obs(), abs=1e-6)
        push = rng.choice([-1, 1], 2)
        for k in range(50):
            action = rng.uniform(-1, 1, 2) if episode % 2 else push * (1 if k < 40 else -0.5)
            expected, reward, _, truncated, _ = reacher.step(action.astype(np.float32))
            obs, rewards, _, ended, info = env.step(action[None].astype(np.float32))
            if ended[0]:
                obs = info["final_obs"]
            assert rewards[0] == pytest.approx(reward, abs=1e-6)
            assert obs[0] == pytest.approx(expected, rel=1e-6, abs=1e-6)
            assert ended[0] == truncated
            at_limit += abs(reacher.unwrapped.data.qpos[1]) > 3
    assert at_limit > 20


def test_episodes_begin_as_in_reacher_v5(reacher):
    env = ArmReachVector(20)
    env.reset(seed=0)
    ours = np.concatenate([env.reset()[0] for _ in range(20)])
    theirs = np.array([reacher.reset(seed=seed)[0] for seed in range(400)])
    for obs in (theirs, ours):
        radii = np.hypot(obs[:, 4], obs[:, 5])
        assert radii.max() < 0.2
        assert radii.mean() == pytest.approx(0.2 * 2 / 3, rel=0.05)
        assert np.abs(np.arcsin(obs[:, 2:4])).max() == pytest.approx(0.1, rel=0.02)
        assert np.abs(obs[:, 6:8]).max() == pytest.approx(0.005, rel=0.02)


def test_spatial7_is_rewarded_for_the_pose_after_the_step():
    env = ArmReachVector(2, arm="spatial7", max_steps=20)
    obs, _ = env.reset(seed=0)
    where, data = columns(env), mujoco.MjData(env.models[0])
    for action in wander(15, env):
        obs, reward, _, _, info = env.step(action)
        for b in range(2):
            data.qpos[:] = env.datas[b].qpos
            mujoco.mj_kinematics(env.models[b], data)
            gap = data.site("tip").xpos - env.variable("target")[b]
            assert info["distance_m"][b] == pytest.approx(np.linalg.norm(gap))
            effort = 0.01 * (action[b].astype(float) ** 2).sum()
            assert reward[b] == pytest.approx(-np.linalg.norm(gap) - effort)
            assert obs[b, where["vector"]] == pytest.approx(gap, abs=1e-6)
            assert obs[b, where["target"]] == pytest.approx(env.variable("target")[b], abs=1e-6)
            assert obs[b, where["cos"]] == pytest.approx(np.cos(data.qpos), abs=1e-6)
            assert obs[b, where["sin"]] == pytest.approx(np.sin(data.qpos), abs=1e-6)
            assert obs[b, where["velocity"]] == pytest.approx(env.datas[b].qvel, rel=1e-6)


@pytest.mark.parametrize("command", ["torque", "velocity"])
@pytest.mark.parametrize("task", ["reach", "delayed"])
@every_arm
def test_expert_hits_every_target(arm, task, command):
    env = ArmReachVector(64 if arm == "planar2" else 12, arm=arm, task=task, command=command)
    rewards, _, info = play(env)
    assert info["success"].all()
    assert rewards.sum(axis=0).mean() > -6
    assert not env.current_info()["success"].any()


@every_arm
def test_success_asks_for_the_end_of_the_episode(arm):
    env = ArmReachVector(4, arm=arm)
    env.reset(seed=0)
    for _ in range(env.max_steps - 1):
        info = env.step(env.expert_action())[4]
    assert (info["distance_m"] < env._arm.success_m).all()
    assert not info["success"].any()
    last = env.step(env.expert_action())[4]["final_info"]
    assert last["success"].all()
    far = play(ArmReachVector(4, arm=arm, max_steps=3))[2]
    assert (far["success"] == (far["distance_m"] < env._arm.success_m)).all()


@pytest.mark.parametrize("task", ["reach", "delayed"])
@every_arm
def test_velocities_are_left_out_on_request(arm, task):
    full, without = (ArmReachVector(2, arm=arm, task=task, observe_velocity=v) for v in (True, False))
    a, b = full.reset(seed=0)[0], without.reset(seed=0)[0]
    actions, velocity = wander(10, full), columns(full)["velocity"]
    for action in actions:
        assert np.array_equal(np.delete(a, np.r_[velocity], axis=1), b)
        a, b = full.step(action)[0], without.step(action)[0]
    assert (a[:, velocity] != 0).all()


@every_arm
def test_velocity_commands_set_the_speed_of_the_joints(arm):
    env = ArmReachVector(1, arm=arm, command="velocity")
    env.reset(seed=0)
    command = np.full((1, len(env._arm.joints)), 0.2, np.float32)
    for _ in range(10):
        env.step(command)
    assert env.datas[0].qvel == pytest.approx(0.2 * np.array(env._arm.speed_rad_s), rel=0.1)


def test_a_fixed_target_is_every_episodes_target():
    env = ArmReachVector(3, arm="spatial7", target=(0.5, -0.3, 0.6), max_steps=2)
    env.reset(seed=0)
    for _ in range(5):
        assert (env.variable("target") == [0.5, -0.3, 0.6]).all()
        env.step(env.expert_action())
    assert play(ArmReachVector(2, target=(-0.2, 0.05)))[2]["success"].all()


# Held-out targets


def held_out(env, episodes=40):
    env.reset(seed=0)
    centre, found = np.array(env.unwrapped._arm.workspace.centre_m), []
    for _ in range(episodes):
        offsets = env.unwrapped.variable("target") - centre
        found += [is_held_out(*offset[:2]) for offset in offsets]
        env.reset()
    return np.mean(found)


def test_target_sets_share_no_target():
    assert held_out(ArmReachVector(8, target_set="train")) == 0
    assert held_out(ArmReachVector(8, target_set="held-out")) == 1
    assert held_out(ArmReachVector(8)) == pytest.approx(0.25, abs=0.08)
    assert held_out(ArmReachVector(8, target_set="train", held_out_share=0.6)) == pytest.approx(0.6, abs=0.08)


def test_the_shift_held_out_plays_targets_that_training_never_saw():
    options = {"target_set": "train"}
    assert held_out(make_env("neuroctl/ArmReach-v0", 4, options, ["held-out:0"]), 20) == 0
    assert held_out(make_env("neuroctl/ArmReach-v0", 4, options, ["held-out:5"]), 20) == 1
    with pytest.raises(NeuroctlError, match="needs target_set='train'"):
        make_env("neuroctl/ArmReach-v0", 4, {}, ["held-out:3"])


# The delayed task


@every_arm
def test_the_target_is_seen_for_a_tenth_of_a_second_and_the_go_flag_rises_later(arm):
    env = ArmReachVector(6, arm=arm, task="delayed")
    where = columns(env)
    go, target = (env.reset(seed=0), env.variable("go").copy(), env.variable("target").copy())[1:]
    seen = play(env)[1]
    assert seen[:CUE_STEPS, :, where["target"]] == pytest.approx(np.broadcast_to(target, (5, *target.shape)), abs=1e-6)
    assert (seen[CUE_STEPS:, :, where["target"]] == 0).all()
    steps = np.arange(env.max_steps)[:, None]
    assert np.array_equal(seen[:, :, where["cue"]][..., 0], np.broadcast_to(steps < 5, seen.shape[:2]))
    assert np.array_equal(seen[:, :, where["go"]][..., 0], steps >= go)
    assert len(set(go.tolist())) > 3


def test_go_signals_come_half_to_one_and_a_half_seconds_after_the_cue():
    env, drawn = ArmReachVector(20, task="delayed"), []
    env.reset(seed=0)
    for _ in range(30):
        drawn.append((env.variable("go") - CUE_STEPS) * 0.02)
        env.reset()
    waits = np.array(drawn)
    assert waits.min() == pytest.approx(0.5, abs=0.021)
    assert waits.max() == pytest.approx(1.5, abs=0.021)
    assert waits.mean() == pytest.approx(1.0, abs=0.05)
    assert WAIT_STEPS == (25, 75)


@every_arm
def test_nothing_that_is_seen_after_the_cue_depends_on_the_target(arm):
    env, other = (ArmReachVector(2, arm=arm, task="delayed") for _ in range(2))
    actions = wander(env.max_steps - 1, env)
    env.reset(seed=0)
    for action in actions[: CUE_STEPS - 1]:
        env.step(action)
    state = env.get_state()
    moved = {**state, "variable/target": state["variable/target"] + 0.03}
    other.reset(seed=0)
    other.set_state(None, moved)
    assert not np.array_equal(env.current_obs(), other.current_obs())
    for k, action in enumerate(actions[CUE_STEPS - 1 :], start=CUE_STEPS):
        (a, reward, *_), (b, reward2, *_) = env.step(action), other.step(action)
        assert np.array_equal(a, b)
        waiting = k <= env.variable("go")
        assert np.array_equal(reward == reward2, waiting)


def aiming_at(point):
    """The expert's controller without memory: after the go signal it reaches for the same point in every episode."""

    def policy(env):
        goal = env.variable("goal_qpos")
        true = goal.copy()
        for b, kinematics in enumerate(env._kinematics):
            goal[b] = kinematics.posture(np.array(point), env.variable("start_qpos")[b])
        action = env.expert_action()
        goal[:] = true
        return action

    return policy


@every_arm
def test_who_forgets_the_target_fails(arm):
    count = 32 if arm == "planar2" else 10
    knows, _, good = play(ArmReachVector(count, arm=arm, task="delayed"))
    forgets, _, bad = play(ArmReachVector(count, arm=arm, task="delayed"), aiming_at(ARMS[arm].workspace.centre_m))
    assert good["still"].all() and bad["still"].all()
    assert good["success"].all()
    assert bad["success"].mean() < 0.15
    assert forgets.sum(axis=0).mean() < 2.5 * knows.sum(axis=0).mean()


@every_arm
def test_the_expert_waits_without_moving(arm):
    env = ArmReachVector(3, arm=arm, task="delayed")
    env.reset(seed=0)
    go, start = env.variable("go").copy(), env.variable("tip").copy()
    for k in range(1, int(go.min()) + 1):
        action = env.expert_action()
        _, reward, _, _, info = env.step(action)
        assert np.abs(info["tip_m"] - start).max() < 1e-5, k
        effort = env._arm.control_weight * (action.astype(float) ** 2).sum(axis=1)
        assert -reward - effort == pytest.approx(0, abs=1e-3)
        assert info["still"].all()


def test_a_posture_that_moves_before_the_go_signal_is_paid_for():
    """A centimetre, in which the target could be hidden, costs half as much in every step as a target 20 cm away."""
    env = ArmReachVector(4, task="delayed")
    env.reset(seed=0)
    start = env.variable("start_qpos").copy()
    kinematics: ArmKinematics = env._kinematics[0]
    for b, millimetres in enumerate((0.0, 5.0, 10.0, 50.0)):
        inwards = env.variable("start_tip")[b] * (1 - millimetres * 1e-3 / 0.21)
        env.variable("start_qpos")[b] = kinematics.posture(inwards, start[b])
    rewards = []
    for _ in range(WAIT_STEPS[0]):
        _, reward, _, _, info = env.step(env.expert_action())
        rewards.append(reward)
    assert info["still"].tolist() == [True, True, True, False]
    last = np.array(rewards)[-1]
    assert last[0] == pytest.approx(0, abs=1e-12)
    assert last[1:] == pytest.approx([-0.2 / 4, -0.2 / 2, -0.2], abs=0.02)
    assert not play(ArmReachVector(2, task="delayed"), lambda env: wander(1, env, seed=env.steps[0])[0])[2][
        "still"
    ].any()


def moved_tip(env, actions_until, millimetres=50.0):
    """Plays the expert for some steps, puts the hand elsewhere, at rest, and takes one step more: the info."""
    env.reset(seed=0)
    for _ in range(actions_until):
        env.step(env.expert_action())
    state = env.get_state()
    away = env._kinematics[0].posture(np.array([0.21 - millimetres * 1e-3, 0.0]), np.zeros(2))
    for b, data in enumerate(env.datas):
        data.qpos[:], data.qvel[:] = away, 0
        state["mujoco"][b] = env.get_state([b])["mujoco"][0]
    env.set_state(None, state)
    return env.step(np.zeros(env.action_space.shape, np.float32))[4]


def test_the_arm_must_be_still_up_to_the_go_signal_and_that_step_included():
    """The flag is seen after the step of its number: who moves in that step moved before he saw it."""
    env = ArmReachVector(1, task="delayed")
    env.reset(seed=0)
    go = int(env.variable("go")[0])
    assert moved_tip(env, go - 2)["still"].tolist() == [False]
    assert moved_tip(env, go - 1)["still"].tolist() == [False]
    assert moved_tip(env, go)["still"].tolist() == [True]
    assert moved_tip(env, go - 2, millimetres=19)["still"].tolist() == [True], "2 cm count as held"


def test_who_did_not_hold_still_does_not_succeed_at_the_target():
    env = ArmReachVector(2, task="delayed")
    env.reset(seed=0)
    for _ in range(env.max_steps):
        env.variable("still")[1] = False
        info = env.step(env.expert_action())[4]
    last = info["final_info"]
    assert (last["distance_m"] < env._arm.success_m).all()
    assert last["success"].tolist() == [True, False]
    assert env.current_info()["still"].all(), "the next episode begins anew"


@every_arm
def test_flags_are_between_0_and_1(arm):
    env = ArmReachVector(1, arm=arm, task="delayed")
    space: Any = env.single_observation_space
    where = columns(env)
    for name in ("cue", "go"):
        assert space.low[where[name]] == 0 and space.high[where[name]] == 1
    assert (space.low[where["tip"]] < 0).all() and (space.low[where["target"]] < 0).all()


@every_arm
def test_time_goes_on_with_the_steps(arm):
    env = ArmReachVector(2, arm=arm, max_steps=7)
    env.reset(seed=0)
    for k in range(1, 12):
        env.step(env.expert_action())
        assert [data.time for data in env.datas] == pytest.approx([0.02 * (k % 7)] * 2, abs=1e-12)


def test_a_target_may_lie_as_far_beyond_the_reach_as_the_tip_may_miss_it():
    info = play(ArmReachVector(1, target=(0.219, 0.0)))[2]
    assert info["success"].all() and info["distance_m"] == pytest.approx(0.009, abs=1e-3)
    with pytest.raises(NeuroctlError, match="out of reach: .* misses it by 0.011 m"):
        ArmReachVector(1, target=(0.221, 0.0))


def test_every_delayed_episode_starts_in_the_same_posture():
    env = ArmReachVector(3, task="delayed")
    env.reset(seed=0)
    assert (env.variable("start_qpos") == 0).all()
    assert len(np.unique(env.variable("target"), axis=0)) == 3


# Perturbations


def path(policy=None, episodes=1, **options):
    """Tips `[steps, B, dims]` and infos of whole episodes."""
    env = ArmReachVector(3, **options)
    env.reset(seed=0)
    tips, infos = [], []
    for _ in range(episodes * env.max_steps):
        info = env.step(env.expert_action())[4]
        info = info.get("final_info", info)
        tips.append(info["tip_m"])
        infos.append(info)
    return np.array(tips), infos


@pytest.mark.parametrize("kind", ["force-field", "rotation"])
@every_arm
def test_blocks_without_perturbation_equal_the_unperturbed_task_bit_for_bit(arm, kind):
    options: dict[str, Any] = {"arm": arm, "max_steps": 20}
    plain, perturbed = ArmReachVector(2, **options), ArmReachVector(2, perturbation=kind, block_episodes=2, **options)
    a, b = plain.reset(seed=0)[0], perturbed.reset(seed=0)[0]
    on, actions = [], wander(6 * 20, plain)
    for k, action in enumerate(actions):
        on.append(bool(perturbed.variable("perturbed").all()))
        x, y = plain.step(action), perturbed.step(action)
        same = np.array_equal(a, b) and np.array_equal(x[1], y[1])
        # Forces act from the second step on: the arm begins at rest.
        assert same != on[k] or (k % 20 < 3)
        a, b = x[0], y[0]
    assert on == [False] * 40 + [True] * 40 + [False] * 40


def test_blocks_are_counted_by_the_rows_own_episodes():
    env = ArmReachVector(2, perturbation="rotation", block_episodes=1, max_steps=4)
    env.reset(seed=0)
    assert env.current_info()["perturbed"].tolist() == [False, False]
    env.reset(options={"reset_mask": np.array([False, True])})
    assert env.current_info()["perturbed"].tolist() == [False, True]
    state = env.get_state()
    twin = ArmReachVector(2, perturbation="rotation", block_episodes=1, max_steps=4)
    twin.set_state(None, state)
    for _ in range(9):
        a, b = env.step(env.expert_action()), twin.step(twin.expert_action())
        assert np.array_equal(a[4]["perturbed"], b[4]["perturbed"])
        assert np.array_equal(a[0], b[0])
    assert env.reset(seed=3)[1]["perturbed"].tolist() == [False, False]
    assert ArmReachVector(2, perturbation="rotation").reset(seed=0)[1]["perturbed"].all()


@pytest.mark.parametrize("strength", [1.0, -1.0])
@every_arm
def test_the_force_field_bends_the_path_to_the_right(arm, strength):
    options = {"arm": arm, "max_steps": 25}
    straight, _ = path(**options)
    bent, infos = path(perturbation="force-field", perturbation_strength=strength * ARMS[arm].field_nsm, **options)
    assert infos[0]["perturbed"].all()
    push = (bent - straight)[..., :2]
    # Over the first 0.2 s the push lies to the right of where the unperturbed tip goes: v x push points down.
    move = np.diff(straight[..., :2], axis=0)
    side = move[1:9, :, 0] * push[2:10, :, 1] - move[1:9, :, 1] * push[2:10, :, 0]
    assert (np.sign(side.sum(axis=0)) == -strength).all()
    assert np.linalg.norm(push, axis=-1).max(axis=0).min() > ARMS[arm].success_m / 8


def test_the_force_field_acts_with_the_transposed_jacobian():
    env = ArmReachVector(1, arm="spatial7", perturbation="force-field", perturbation_strength=10.0)
    env.reset(seed=0)
    data, jacobian = mujoco.MjData(env.models[0]), np.zeros((3, 7))
    for action in wander(10, env):
        data.qpos[:], data.qvel[:] = env.datas[0].qpos, env.datas[0].qvel
        mujoco.mj_forward(env.models[0], data)
        mujoco.mj_jacSite(env.models[0], data, jacobian, None, env.models[0].site("tip").id)
        v = jacobian @ data.qvel
        env.step(action)
        assert env.datas[0].qfrc_applied == pytest.approx(jacobian.T @ [10 * v[1], -10 * v[0], 0], abs=1e-9)


@pytest.mark.parametrize("task", ["reach", "delayed"])
@every_arm
def test_rotation_turns_the_cursor_and_the_task_follows_it(arm, task):
    options: dict[str, Any] = {"arm": arm, "task": task}
    env = ArmReachVector(3, perturbation="rotation", perturbation_strength=40.0, **options)
    plain = ArmReachVector(3, **options)
    where, centre = columns(env), np.array(env._arm.workspace.centre_m)
    obs = env.reset(seed=0)[0]
    assert np.array_equal(plain.reset(seed=0)[0][:, where["cos"]], obs[:, where["cos"]])
    turn = np.eye(env._arm.dims)
    turn[:2, :2] = [[np.cos(np.deg2rad(40)), -np.sin(np.deg2rad(40))], [np.sin(np.deg2rad(40)), np.cos(np.deg2rad(40))]]
    target = env.variable("target").copy()
    for action in wander(8, env):
        cursor = (env.variable("tip") - centre) @ turn.T + centre
        expected = cursor if task == "delayed" else cursor - target
        assert obs[:, where["tip" if task == "delayed" else "vector"]] == pytest.approx(expected, abs=1e-6)
        obs, reward, _, _, info = env.step(action)
        same = plain.step(action)
        assert np.array_equal(info["tip_m"], same[4]["tip_m"])
        assert np.array_equal(obs[:, where["sin"]], same[0][:, where["sin"]])
        cursor = (info["tip_m"] - centre) @ turn.T + centre
        assert info["distance_m"] == pytest.approx(np.linalg.norm(cursor - target, axis=1))
        if task == "reach":
            assert reward - same[1] == pytest.approx(same[4]["distance_m"] - info["distance_m"])


def test_the_expert_misses_a_turned_cursor_by_the_chord():
    env = ArmReachVector(16, perturbation="rotation")
    env.reset(seed=0)
    radii = np.hypot(*env.variable("target").T)
    info = play(env)[2]
    assert info["distance_m"] == pytest.approx(2 * radii * np.sin(np.deg2rad(15)), abs=0.003)
    assert not info["success"][radii > 0.03].any()


# Dynamics


@pytest.mark.parametrize("dynamics", [{"mass": 3.0}, {"damping": 3.0}, {"friction": 0.2}, {"gain": 0.6}])
@every_arm
def test_dynamics_change_the_path_and_one_changes_no_bit(arm, dynamics):
    env = [ArmReachVector(1, arm=arm, dynamics=d) for d in ({}, dict.fromkeys(dynamics, 1.0), dynamics)]
    actions = wander(30, env[0])
    tips = []
    for each in env:
        each.reset(seed=0)
        tips.append(np.array([each.step(action)[4]["tip_m"] for action in actions]))
    assert np.array_equal(tips[0], tips[1])
    assert np.abs(tips[0] - tips[2]).max() > 1e-4


def test_spatial7_is_held_until_a_delayed_torque_arrives():
    env = ArmReachVector(2, arm="spatial7", dynamics={"action_delay": 4})
    env.reset(seed=0)
    start = env.variable("tip").copy()
    for _ in range(4):
        info = env.step(np.zeros((2, 7), np.float32))[4]
    assert np.abs(info["tip_m"] - start).max() < 1e-6
    for _ in range(4):
        info = env.step(np.zeros((2, 7), np.float32))[4]
    assert np.abs(info["tip_m"] - start).max() > 1e-3


# Options


def test_the_configuration_has_every_option():
    given = ArmReachConfig().kwargs()
    known = inspect.signature(ArmReachVector.__init__).parameters
    assert set(known) - {"self", "num_envs", "dynamics", "render_mode"} == set(given)
    assert all(known[name].default == value for name, value in given.items())
    env = gym.make(ArmReachConfig().id, **given)
    assert env.observation_space.shape == (10,)
    config = dataclasses.replace(ArmReachConfig(), arm="spatial7", task="delayed")
    assert gym.make(config.id, **config.kwargs()).action_space.shape == (7,)


def test_expert_action_of_one_environment():
    env: Any = gym.make("neuroctl/ArmReach-v0", arm="spatial7")
    env.reset(seed=0)
    action = env.unwrapped.expert_action()
    assert action.shape == (7,) and action.dtype == np.float32
