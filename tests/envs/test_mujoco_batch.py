"""What the functions of a task see: all rows, or some of them."""

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box

from neuroctl.envs.mujoco_batch import Batch
from neuroctl.envs.mujoco_task import MujocoTask, Row

XML = """
<mujoco>
  <worldbody>
    <body name="a"><joint name="x" type="slide" axis="1 0 0"/><geom size="0.1" mass="1"/><site name="s"/></body>
    <body name="b"><joint name="y" type="slide" axis="0 1 0"/><geom size="0.1" mass="1"/><site name="t"/></body>
  </worldbody>
  <actuator><motor joint="x" ctrlrange="-1 1"/></actuator>
</mujoco>
"""


@pytest.fixture
def task() -> Any:
    def reset(row: Row) -> None:
        row.qpos[:] = row.index + 1, -row.index

    made = MujocoTask(
        XML,
        num_envs=3,
        reset=reset,
        observe=lambda batch: batch.qpos.astype(np.float32),
        reward=lambda batch, action: np.zeros(len(batch)),
        terminated=lambda batch: np.zeros(len(batch), np.bool_),
        observation_space=Box(-1, 1, (2,), np.float32),
        control_dt_s=0.02,
        max_steps=5,
        variables={"target": np.zeros(2)},
    )
    made.reset(seed=0)
    yield made
    made.close()


def test_fields_have_a_row_for_each_row_of_the_batch(task: Any) -> None:
    places = np.array([[1.0, 0.0], [2.0, -1.0], [3.0, -2.0]])
    for rows in ([0, 1, 2], [2, 0], [1]):
        batch = Batch(task, np.array(rows))
        assert batch.qpos.tolist() == places[rows].tolist()
        assert batch.act.shape == (len(rows), 0)
        assert batch.site_xpos.shape == (len(rows), 2, 3)
        assert batch.site_xpos[:, 0, 0].tolist() == places[rows, 0].tolist()
        assert batch.site_xpos[:, 1, 1].tolist() == places[rows, 1].tolist()


def test_variables_are_set_in_the_rows_of_the_batch_alone(task: Any) -> None:
    whole, part = Batch(task, np.arange(3)), Batch(task, np.array([2, 0]))
    whole["target"] = 7.0
    part["target"] = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert task.variable("target").tolist() == [[3, 4], [7, 7], [1, 2]]
    whole["target"] += 1
    assert task.variable("target").tolist() == [[4, 5], [8, 8], [2, 3]]


def test_what_is_kept_outlives_a_step_for_all_rows_and_is_made_anew_for_some(task: Any) -> None:
    whole, part = Batch(task, np.arange(3)), Batch(task, np.array([2, 0]))
    kept = whole.kept("target", lambda batch: batch["target"])
    copy = part.kept("target", lambda batch: batch["target"])
    whole.invalidate()
    task.variable("target")[:] = 5
    assert kept.tolist() == [[5, 5]] * 3 and copy.tolist() == [[0, 0]] * 2
    assert whole.kept("target", lambda batch: np.zeros(0)) is kept
    assert part.kept("target", lambda batch: batch["target"]).tolist() == [[5, 5]] * 2
