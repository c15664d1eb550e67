"""Reaching with an arm: two joints in the plane or seven in space, at once or from memory, adapted to perturbations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import shown
from neuroctl.errors import NeuroctlError

from .arm_kinematics import ArmKinematics, cos_sin, curl_torque
from .arm_options import (
    COMMANDS,
    CUE_STEPS,
    PERTURBATIONS,
    TARGET_SETS,
    TASKS,
    WAIT_STEPS,
    checked_blocks,
    checked_share,
    checked_steps,
    checked_strength,
)
from .arm_render import draw_arm
from .arms import ARMS, CAMERA, TIP, arm_xml, scale_arm
from .dynamics import Dynamics
from .mujoco_batch import Batch, Floats, Row
from .mujoco_task import MujocoTask
from .single_env import SingleEnv
from .two_link import two_link_steps, two_link_table
from .vector_tools import array_of, is_default, require

CONTROL_DT_S = 0.02


class ArmReachVector(MujocoTask):
    """B arms that reach; see `ArmReach` for what is observed, done and rewarded.

    Args:
        num_envs: B.
        arm: `"planar2"` or `"spatial7"`, see `neuroctl.envs.arms`.
        task: `"reach"`, or `"delayed"`: the target is shown for 0.1 s, the arm must hold still until a go signal.
        command: `"torque"` or `"velocity"` of the joints.
        observe_velocity: whether the joints' velocities are observed.
        target: position of every episode's target, m; None draws one for each episode.
        target_set: `"all"` targets of the workspace, those `"held-out"` (two sectors, a quarter of them), or `"train"`,
            the rest.
        held_out_share: with `target_set="train"`, share of the episodes whose target is held out all the same.
        perturbation: None, `"force-field"` or `"rotation"`.
        perturbation_strength: of the force field in N s/m, of the rotation in degrees (at most 360); None is the arm's
            default.
        block_episodes: blocks of that many episodes are without and with the perturbation in turn, beginning without;
            None perturbs every episode. They are counted from a seeded reset, row by row, as a learner meets them in
            training; `info["perturbed"]` says where they are. `evaluate` and `record` give each episode its own seed,
            so that it can be played alone: there all belong to the first block, and the two conditions are two runs,
            with and without `perturbation`.
        max_steps: control steps of 20 ms after which an episode is truncated; None is the default of arm and task.
        dynamics: factors and delays, see `neuroctl.envs.dynamics`.
        render_mode: None or `"rgb_array"`.
    """

    rebuilt = (*MujocoTask.rebuilt, "_kinematics", "_links")

    def __init__(
        self,
        num_envs: int = 1,
        *,
        arm: str = "planar2",
        task: str = "reach",
        command: str = "torque",
        observe_velocity: bool = True,
        target: Sequence[float] | None = None,
        target_set: str = "all",
        held_out_share: float = 0.0,
        perturbation: str | None = None,
        perturbation_strength: float | None = None,
        block_episodes: int | None = None,
        max_steps: int | None = None,
        dynamics: Dynamics | None = None,
        render_mode: str | None = None,
    ) -> None:
        require("arm", arm, tuple(ARMS))
        require("task", task, TASKS)
        require("command", command, COMMANDS)
        require("observe_velocity", observe_velocity, (True, False))
        require("target_set", target_set, TARGET_SETS)
        require("perturbation", perturbation, (None, *PERTURBATIONS))
        self._arm, self._command, self._delayed_task = ARMS[arm], command, task == "delayed"
        self._observe_velocity, self._perturbation = observe_velocity, perturbation
        self._target_set, self._held_out_share = target_set, checked_share(held_out_share, target_set)
        self._block_episodes = checked_blocks(block_episodes, perturbation)
        self._strength = checked_strength(perturbation_strength, perturbation, self._arm)
        self._turn = math.cos(math.radians(self._strength)), math.sin(math.radians(self._strength))
        self._centre = np.array(self._arm.workspace.centre_m)
        dims, joints = self._arm.dims, len(self._arm.joints)
        posture, point = np.zeros(joints), np.zeros(dims)
        variables: dict[str, Any] = {"target": point, "tip": point, "goal_qpos": posture, "perturbed": np.bool_(False)}
        if self._delayed_task:
            variables |= {"go": np.int64(0), "start_tip": point, "start_qpos": posture, "still": np.bool_(True)}
        super().__init__(
            arm_xml(self._arm, command),
            num_envs=num_envs,
            reset=self._reset_row,
            observe=self._observe_cued if self._delayed_task else self._observe_reach,
            reward=self._hold_and_reach_reward if self._delayed_task else self._reach_reward,
            terminated=_never,
            observation_space=self._observations(),
            action_space=gym.spaces.Box(-1.0, 1.0, (joints,), np.float32),
            control_dt_s=CONTROL_DT_S,
            max_steps=checked_steps(max_steps, self._arm, task),
            variables=variables,
            streams=("go",) if self._delayed_task else (),
            control=self._speeds if command == "velocity" else None,
            force=self._field if perturbation == "force-field" else None,
            advance=self._advance_task,
            info=self._reach_info,
            expert=self._expert_action,
            dynamics=dynamics,
            scale=scale_arm,
            render_mode=render_mode,
            render_camera=CAMERA,
            draw=self._draw_row,
        )
        self._target = None if target is None else self._checked_target(target)

    def _build(self) -> None:
        super()._build()
        made = {id(model): ArmKinematics(self._arm, model) for model in self.models}
        self._kinematics = [made[id(model)] for model in self.models]
        self._tip_site = self.models[0].site(TIP).id
        compiled = self._arm.name == "planar2" and self._command == "torque"
        self._links = two_link_table(self.models) if compiled else None

    def _observations(self) -> gym.spaces.Box:
        dims, joints, extent = self._arm.dims, len(self._arm.joints), self._arm.extent_m
        bounds = [1.0] * 2 * joints + [extent] * dims
        if self._observe_velocity:
            bounds += [self._arm.observed_rad_s] * joints
        bounds += [extent] * dims
        high = np.array(bounds + [1.0, 1.0] * self._delayed_task, np.float32)
        low = -high
        if self._delayed_task:
            low[-2:] = 0
        return gym.spaces.Box(low, high, dtype=np.float32)

    def _checked_target(self, target: Sequence[float]) -> Floats:
        arm, given = self._arm, array_of(target)
        if given is None or given.dtype.kind not in "iuf" or given.shape != (arm.dims,) or not np.isfinite(given).all():
            raise NeuroctlError(f"target is {shown(target)}; allowed: {arm.dims} numbers in m for arm={arm.name!r}")
        if self._target_set != "all":
            raise NeuroctlError(f"target and target_set={self._target_set!r} contradict each other; give one of them")
        point = given.astype(np.float64)
        kinematics = self._kinematics[0]
        with np.errstate(over="ignore"):  # however far
            missed = math.dist(kinematics.tip(kinematics.posture(point, np.array(arm.home_rad))), point)
        if not missed <= arm.success_m:
            far = math.dist(point, arm.shoulder_m) > arm.reach_m
            raise NeuroctlError(
                f"target {shown(tuple(point.tolist()))} is out of reach: arm={arm.name!r} misses it by {missed:.3g} m"
                f"{'' if far else ', its joints do not bend that far'}; "
                f"allowed: points up to {arm.reach_m} m from its shoulder at {arm.shoulder_m} that its joints allow"
            )
        return point

    # Start of an episode

    def _reset_row(self, row: Row) -> None:
        arm, rng, kinematics = self._arm, row.rng, self._kinematics[row.index]
        row.qpos[:] = arm.home_rad
        if not self._delayed_task:
            row.qpos[:] += rng.uniform(-arm.start_rad, arm.start_rad, len(row.qpos))
        target = self._draw_target(rng)
        tip = kinematics.tip(row.qpos)
        row["target"], row["tip"], row["goal_qpos"] = target, tip, kinematics.posture(target, row.qpos)
        self.datas[row.index].mocap_pos[0, : arm.dims] = target
        if self._perturbation is not None:
            episode = int(self.streams.episodes[row.index])
            row["perturbed"] = self._block_episodes is None or episode // self._block_episodes % 2 == 1
        if self._delayed_task:
            row["start_tip"], row["start_qpos"], row["still"] = tip, row.qpos, True
            row["go"] = CUE_STEPS + int(row.stream("go").integers(WAIT_STEPS[0], WAIT_STEPS[1] + 1))
        elif arm.start_rad_s:
            row.qvel[:] = rng.uniform(-arm.start_rad_s, arm.start_rad_s, len(row.qvel))
        if arm.weighs and self._command == "torque":
            # Until a delayed action arrives, the arm is held, not dropped.
            row.ctrl[:] = kinematics.torque(row.qpos, np.zeros_like(row.qpos)) / np.array(arm.torque_nm)

    def _draw_target(self, rng: np.random.Generator) -> Floats:
        if self._target is not None:
            return self._target
        target_set = self._target_set
        if self._held_out_share and rng.random() < self._held_out_share:
            target_set = "held-out"
        return self._arm.workspace.draw(rng, target_set)

    # One step

    def _speeds(self, batch: Batch, action: NDArray[Any]) -> Floats:
        speeds: Floats = action * np.array(self._arm.speed_rad_s)
        return speeds

    def _field(self, batch: Batch) -> Floats:
        """Torques `[n, nv]` of the force field; 0 in rows without it."""
        torques = np.zeros_like(batch.qvel)
        for i in np.flatnonzero(batch["perturbed"]).tolist():
            jacobian = self._kinematics[batch.rows[i]].jacobian(batch.qpos[i])
            torques[i] = curl_torque(jacobian, batch.qvel[i], self._strength)
        return torques

    def _simulate(self, controls: Floats, held: NDArray[np.bool_] | None) -> None:
        # Reacher-v5 rewards the fingertip of RK4's last stage, which is millimetres from that of the new state.
        if self._links is None:
            super()._simulate(controls, held)
            return
        batch, dt = self._batch, self.models[0].opt.timestep
        pushes = np.array(self.views("qfrc_applied"))
        qpos, qvel, self._last_tips = two_link_steps(
            self._links, batch.qpos, batch.qvel, controls, pushes, self._substeps, dt
        )
        parts = [self.views(name) for name in ("qpos", "qvel", "ctrl")]
        for data, *views, q, v, c in zip(self.datas, *parts, qpos, qvel, controls, strict=True):
            views[0][:], views[1][:], views[2][:] = q, v, c
            data.time += CONTROL_DT_S

    def _advance_task(self, batch: Batch, action: NDArray[Any]) -> None:
        tips = batch.site_xpos[:, self._tip_site] if self._links is None else self._last_tips
        batch["tip"] = tips[:, : self._arm.dims]
        if self._delayed_task:
            batch["still"] &= (batch.steps > batch["go"]) | (self._moved(batch) <= self._arm.hold_m)

    def _shown_tip(self, batch: Batch) -> Floats:
        """Where the fingertip is seen: the cursor `[n, dims]`, turned about the workspace's centre by the rotation."""
        tip = batch["tip"]
        if self._perturbation != "rotation":
            return tip
        cos, sin = self._turn
        x, y = (tip - self._centre)[:, 0], (tip - self._centre)[:, 1]
        turned = tip.copy()
        turned[:, 0] = self._centre[0] + (cos * x - sin * y)
        turned[:, 1] = self._centre[1] + (sin * x + cos * y)
        return np.where(batch["perturbed"][:, None], turned, tip)

    def _gap(self, batch: Batch) -> Floats:
        """From target to cursor `[n, dims]`, m."""
        gap: Floats = batch.cached("gap", lambda batch: self._shown_tip(batch) - batch["target"])
        return gap

    def _distance(self, batch: Batch) -> Floats:
        distance: Floats = batch.cached("distance", lambda batch: _length(self._gap(batch)))
        return distance

    def _moved(self, batch: Batch) -> Floats:
        moved: Floats = _length(batch["tip"] - batch["start_tip"])
        return moved

    def _reach_reward(self, batch: Batch, action: NDArray[Any]) -> Floats:
        return -self._distance(batch) - self._effort(action)

    def _hold_and_reach_reward(self, batch: Batch, action: NDArray[Any]) -> Floats:
        restless = np.minimum(self._moved(batch) / self._arm.hold_m, 1.0) * self._arm.workspace.radius_m
        waiting = batch.steps <= batch["go"]
        return -np.where(waiting, restless, self._distance(batch)) - self._effort(action)

    def _effort(self, action: NDArray[Any]) -> Floats:
        effort: Floats = self._arm.control_weight * np.square(action.astype(np.float64)).sum(axis=1)
        return effort

    def _reach_info(self, batch: Batch) -> dict[str, NDArray[Any]]:
        distance = self._distance(batch)
        success = (batch.steps >= self.max_steps) & (distance < self._arm.success_m)
        info = {"distance_m": distance.copy(), "tip_m": batch["tip"].copy(), "perturbed": batch["perturbed"].copy()}
        if self._delayed_task:
            info["still"] = batch["still"].copy()
            success &= batch["still"]
        return info | {"success": success}

    # What is seen

    def _observe_reach(self, batch: Batch) -> NDArray[np.float32]:
        return self._seen(batch, batch["target"], [self._gap(batch)])

    def _observe_cued(self, batch: Batch) -> NDArray[np.float32]:
        cue, go = batch.steps < CUE_STEPS, batch.steps >= batch["go"]
        return self._seen(
            batch, np.where(cue[:, None], batch["target"], 0.0), [self._shown_tip(batch), cue[:, None], go[:, None]]
        )

    def _seen(self, batch: Batch, target: Floats, others: list[NDArray[Any]]) -> NDArray[np.float32]:
        velocity = [batch.qvel] if self._observe_velocity else []
        seen = np.concatenate([cos_sin(batch.qpos), target, *velocity, *others], axis=1).astype(np.float32)
        space: Any = self.single_observation_space
        bounded: NDArray[np.float32] = np.minimum(np.maximum(seen, space.low), space.high)
        return bounded

    # The expert

    def _expert_action(self, batch: Batch) -> NDArray[np.float32]:
        """PD control towards the posture that touches the target; before the go signal, of the first posture."""
        arm, goal = self._arm, batch["goal_qpos"]
        if self._delayed_task:
            goal = np.where((batch.steps < batch["go"])[:, None], batch["start_qpos"], goal)
        error = goal - batch.qpos
        if self._command == "velocity":
            action = arm.expert_hz * error / np.array(arm.speed_rad_s)
        else:
            wanted = arm.expert_rad_s * (arm.expert_rad_s * error - 2 * batch.qvel)
            rows = zip(batch.rows.tolist(), batch.qpos, wanted, strict=True)
            torque = np.array([self._kinematics[b].torque(qpos, acceleration) for b, qpos, acceleration in rows])
            action = torque / np.array(arm.torque_nm)
        clipped: NDArray[np.float32] = np.clip(action, -1.0, 1.0).astype(np.float32)
        return clipped

    def _draw_row(self, row: Row) -> NDArray[np.uint8]:
        return draw_arm(self._arm, self._kinematics[row.index].chain(row.qpos), row["target"])


class ArmReach(SingleEnv):
    """One arm; the arguments are those of `ArmReachVector` without `num_envs`.

    Every 20 ms the action in [-1, 1] sets each joint's torque or velocity as a share of its largest. Under torque
    commands spatial7 must carry its weight; its velocity servos do so by themselves. An episode is one target.

    `task="reach"`: observed are cosines, then sines, of the joints' angles, the target in m, the joints' velocities in
    rad/s and the vector in m from target to fingertip. The reward is -distance - w |action|^2, where w is 1 for planar2
    and 0.01 for spatial7. With its defaults planar2 gives observations and rewards of Gymnasium's Reacher-v5.

    `task="delayed"`: the target is observed for 0.1 s beside a cue flag, then 0. After a further 0.5 to 1.5 s a go flag
    rises. In place of the vector the fingertip is observed. Before the go signal the reward is
    -R min(moved / h, 1) - w |action|^2, where the fingertip `moved` from its start, R is the workspace's radius and h
    2 cm (planar2) or 5 cm (spatial7): to keep the target in one's posture has its price. Afterwards it is that of
    `"reach"`. Every episode starts in the same posture, so that holding it needs no memory, and the target does.

    `perturbation="force-field"` pushes the fingertip across its movement in the horizontal plane with a force
    F = b [[0, 1], [-1, 0]] v (Shadmehr and Mussa-Ivaldi 1994), set anew every control step. `"rotation"` turns what is
    seen: the fingertip shown (the cursor) is turned about the workspace's centre, and it is the cursor that must reach
    the target: vector, reward and success follow it. The joints are felt as they are. The expert knows of neither.

    Info: `distance_m` between cursor and target, `tip_m`, `perturbed`, `still` (held until the go signal; delayed task)
    and `success`: at the end of the episode the distance is below 1 cm (planar2) or 5 cm (spatial7), and the arm held
    still.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(ArmReachVector, **kwargs)


def held_out_targets(options: Mapping[str, Any], share: float) -> dict[str, Any]:
    """Options of `ArmReach` under which a share of the episodes has held-out targets.

    Raises:
        NeuroctlError: training does not leave them out, or the option `held_out_share` is there already.
    """
    if not is_default(options.get("target_set", "all"), "train"):
        raise NeuroctlError("it needs target_set='train', which leaves targets out")
    if not is_default(given := options.get("held_out_share", 0.0), 0.0):
        raise NeuroctlError(
            f"held_out_share is {shown(given)} already, from the options or an earlier place in the stack"
        )
    return {**options, "held_out_share": share}


def _never(batch: Batch) -> NDArray[np.bool_]:
    return np.zeros(len(batch), np.bool_)


def _length(vectors: Floats) -> Any:
    """Euclidean length over the last axis."""
    return np.sqrt((vectors * vectors).sum(axis=-1))
