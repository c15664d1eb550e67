"""An exported policy does in onnxruntime what it does in PyTorch."""

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from gymnasium import spaces

from neuroctl.agents.export import export_onnx
from neuroctl.agents.imitation import ImitationAgent
from neuroctl.agents.imitation_config import ImitationConfig
from neuroctl.agents.onnx_controller import OnnxController
from neuroctl.agents.policies import make_policy
from neuroctl.contracts import Agent, Spaces
from neuroctl.errors import NeuroctlError
from neuroctl.loop import ClosedLoop
from neuroctl.rollouts import EpisodeStatistics, record
from neuroctl.statistics import iqm, stratified_bootstrap
from neuroctl.streams import episode_seed
from neuroctl.vector import make_env, spaces_of

LANE = "neuroctl/LaneFollow-v0"
KWARGS = {"observation": "state", "max_steps": 60}
STATE = Spaces(spaces.Box(-5, 5, (6,), np.float32), spaces.Box(-1, 1, (2,), np.float32))
IMAGE = Spaces(spaces.Box(0, 255, (8, 12), np.uint8), spaces.Discrete(5))
KINDS: dict[str, tuple[dict[str, Any], Spaces]] = {
    "cfc low-rank": ({"cell": "cfc", "rank": 3, "sparsity": 0.5}, STATE),
    "lstm": ({"cell": "lstm"}, IMAGE),
    "gru": ({"cell": "gru"}, STATE),
    "ltc": ({"cell": "ltc", "rank": 2}, STATE),
    "mlp of 3 frames": ({"cell": "mlp", "frame_stack": 3}, STATE),
}


def observations(where, width):
    generator = np.random.default_rng(0)
    if where is IMAGE:
        return generator.integers(0, 256, (30, width, 8, 12)).astype(np.uint8), generator.random((30, width)) < 0.2
    return generator.uniform(-5, 5, (30, width, 6)).astype(np.float32), generator.random((30, width)) < 0.2


@pytest.mark.parametrize("kind", KINDS)
def test_actions_are_equal_to_1e_5_over_many_steps_with_resets(kind, tmp_path):
    options, where = KINDS[kind]
    policy = make_policy(ImitationConfig(hidden_size=10, features=7, **options), where, 0)
    before = [p.clone() for p in policy.parameters()]
    file = export_onnx(policy, where.observation, tmp_path / "policy.onnx")
    assert policy.training and all(torch.equal(a, b) for a, b in zip(before, policy.parameters(), strict=True))
    onnx.checker.check_model(str(file), full_check=True)
    assert list(tmp_path.iterdir()) == [file], "the weights are in the file"
    controller = OnnxController(file)
    for width in (3, 1):  # the batch is free
        controller.reset()
        state, (obs, first) = policy.initial_state(width), observations(where, width)
        first[0] = True
        for now, reset in zip(obs, first, strict=True):
            with torch.no_grad():
                output, state = policy.step(torch.as_tensor(now), state, torch.as_tensor(reset))
            expected = policy.head.mode(output).numpy()
            np.testing.assert_allclose(controller.act(now, reset), expected, rtol=0, atol=1e-5)


class Deployed(Agent):
    """The exported controller in the closed loop."""

    def __init__(self, controller: OnnxController) -> None:
        self.controller = controller

    def begin(self, num_envs, seed):
        self.controller.reset()

    def act(self, obs, first):
        return self.controller.act(obs, first)


def played(agent, episodes=16):
    env, statistics = make_env(LANE, episodes, KWARGS), EpisodeStatistics()
    ClosedLoop(env, agent, [statistics]).run_episodes([episode_seed(5, b) for b in range(episodes)], seed=0)
    env.close()
    return statistics.returns


@pytest.fixture(scope="module")
def lane(tmp_path_factory):
    """A briefly trained agent, whose state is nested, and its controller from a file."""
    folder = tmp_path_factory.mktemp("lane")
    data = record("expert", folder / "d", episodes=8, env_id=LANE, env_kwargs=KWARGS, width=8)
    env = make_env(LANE, 1, KWARGS)
    where = spaces_of(env)
    env.close()
    options: dict[str, Any] = {
        "hidden_size": 12,
        "features": 12,
        "sequence_length": 16,
        "batch_size": 6,
        "learning_rate": 1e-2,
    }
    agent = ImitationAgent(ImitationConfig(cell="ncp", **options), where, seed=0, dataset=[data])
    for _ in range(40):
        agent.update()
    return agent, export_onnx(agent.policy, where.observation, folder / "lane.onnx")


def test_the_return_in_the_closed_loop_is_within_its_interval(lane):
    agent, file = lane
    here, there = played(agent), played(Deployed(OnnxController(file)))
    interval = stratified_bootstrap(here, iqm)
    assert interval.low <= iqm(there) <= interval.high and interval.low < interval.high
    np.testing.assert_allclose(there, here, rtol=1e-3)


def test_one_observation_is_a_batch_of_one_and_a_reset_forgets(lane):
    _, file = lane
    controller, obs = (
        OnnxController(file),
        np.random.default_rng(0).random((2, *OnnxController(file).observation_shape)),
    )
    actions = [controller.act(obs[0]), controller.act(obs[1])]
    controller.reset()
    assert np.array_equal(controller.act(obs[0]), actions[0])
    assert np.array_equal(controller.act(obs[1], first=False), actions[1])
    fresh = controller.act(obs[1], first=True)
    assert not np.array_equal(fresh, actions[1]), "the controller has no memory"
    assert np.array_equal(controller.act(obs[1][None], first=np.array([True])), fresh[None])
    for bad in (obs[0][1:], obs[:0]):
        with pytest.raises(NeuroctlError, match="observation has shape .*; expected"):
            controller.act(bad)


def test_observations_that_no_policy_should_act_on_are_refused(lane):
    _, file = lane
    controller = OnnxController(file)
    good = np.zeros(controller.observation_shape, np.float32)
    before = controller.act(good)
    refused: list[tuple[Any, str]] = [
        (np.where(np.arange(good.size) == 2, np.nan, good), r"not finite \(NaN, infinity, or beyond float32\)"),
        (good + np.inf, "not finite"),
        (good.astype(float) + 1e300, "not finite"),
        (np.full(good.shape, "x"), "dtype <U1; expected numbers such as float32"),
        (good.astype(complex), "dtype complex128"),
        ([[1.0, 2.0], [3.0]], "ragged"),
        (good - 5.5, r"observation lies in \[-5.5, -5.5\]; trained on values in \[-5, 5\]"),
        (good + 255, r"observation lies in \[255.0, 255.0\]; trained on values in \[-5, 5\]"),
    ]
    for bad, message in refused:
        with pytest.raises(NeuroctlError, match=message):
            controller.act(bad)
    odd: list[Any] = [np.zeros(3, bool), [[True]], "no", 0.5, 1, None]
    for first in odd:
        with pytest.raises(NeuroctlError, match=r"^first is .*; allowed: True, False, or an array of them"):
            controller.act(good, first)
    controller.reset()
    assert np.array_equal(controller.act(good), before), "what was refused left something behind"


def test_a_byte_camera_takes_bytes_only(tmp_path):
    policy = make_policy(ImitationConfig(cell="mlp", hidden_size=4, features=4), IMAGE, 0)
    controller = OnnxController(export_onnx(policy, IMAGE.observation, tmp_path / "new" / "policy.onnx"))
    image = np.arange(96).reshape(8, 12)
    expected = controller.act(image.astype(np.uint8))
    assert np.array_equal(controller.act(image), expected) and np.array_equal(controller.act(1.0 * image), expected)
    for bad in (image - 1, image + 200, image / 255):
        with pytest.raises(NeuroctlError, match=r"observation lies in \[.*\]; expected integers from 0 to 255"):
            controller.act(bad)


def test_what_cannot_be_exported_or_run_is_one_line(tmp_path, monkeypatch):
    with pytest.raises(NeuroctlError, match="takes a policy of encoder, cell and readout; got Linear"):
        export_onnx(torch.nn.Linear(2, 2), STATE.observation, tmp_path / "x.onnx")
    for nothing in (None, 3):
        with pytest.raises(NeuroctlError, match=f"an ONNX file must be a path, got {nothing}"):
            OnnxController(nothing)  # type: ignore[arg-type]
    with pytest.raises(NeuroctlError, match="no ONNX file at"):
        OnnxController(tmp_path / "nothing.onnx")
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(NeuroctlError, match="is no ONNX file that can be run"):
        OnnxController(tmp_path / "text.onnx")
    other = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [other], [onnx.helper.make_tensor_value_info("y", 1, [1])])
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9),
        tmp_path / "y.onnx",
    )
    with pytest.raises(NeuroctlError, match="is no exported controller: its inputs are x"):
        OnnxController(tmp_path / "y.onnx")
    monkeypatch.setattr("neuroctl.agents.export.find_spec", lambda name: None)
    monkeypatch.setattr("neuroctl.agents.onnx_controller.find_spec", lambda name: None)
    policy = make_policy(ImitationConfig(), STATE, 0)
    with pytest.raises(NeuroctlError, match=r"needs the package onnx: pip install 'neuroctl\[onnx\]'"):
        export_onnx(policy, STATE.observation, tmp_path / "x.onnx")
    with pytest.raises(NeuroctlError, match=r"needs the package onnxruntime: pip install 'neuroctl\[onnx\]'"):
        OnnxController(tmp_path / "text.onnx")
