"""Policies of every cell: `unroll` is `step` in a loop, resets included."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from neuroctl import registry
from neuroctl.agents.cells import CfC, wired
from neuroctl.agents.encoders import make_encoder
from neuroctl.agents.heads import make_head
from neuroctl.agents.imitation_config import ImitationConfig
from neuroctl.agents.policies import CellPolicy, MotorReadout, make_cell, make_policy
from neuroctl.agents.wiring import Wiring
from neuroctl.contracts import Spaces
from neuroctl.errors import NeuroctlError
from neuroctl.policy import map_state

T, B = 9, 4
STATE = Spaces(spaces.Box(-5, 5, (6,), np.float32), spaces.Box(-1, 1, (2,), np.float32))
IMAGE = Spaces(spaces.Box(0, 255, (8, 12), np.uint8), spaces.Discrete(5))

KINDS: dict[str, dict[str, Any]] = {
    "cfc": {"cell": "cfc"},
    "cfc no_gate": {"cell": "cfc", "cfc_mode": "no_gate"},
    "cfc pure": {"cell": "cfc", "cfc_mode": "pure"},
    "cfc low-rank": {"cell": "cfc", "rank": 3, "sparsity": 0.5},
    "cfc sparse": {"cell": "cfc", "sparsity": 0.5},
    "lstm": {"cell": "lstm"},
    "lstm low-rank": {"cell": "lstm", "rank": 2},
    "gru": {"cell": "gru"},
    "gru low-rank": {"cell": "gru", "rank": 2, "sparsity": 0.3},
    "rnn": {"cell": "rnn"},
    "rnn low-rank": {"cell": "rnn", "rank": 3},
    "ltc": {"cell": "ltc"},
    "ltc low-rank": {"cell": "ltc", "rank": 2, "sparsity": 0.5},
    "ncp": {"cell": "ncp"},
    "ncp pure": {"cell": "ncp", "cfc_mode": "pure", "sparsity": 0.3},
    "mlp": {"cell": "mlp"},
    "mlp of 4 frames": {"cell": "mlp", "frame_stack": 4},
}


def make(kind, where=STATE, seed=0):
    torch.manual_seed(seed)
    policy = make_policy(ImitationConfig(hidden_size=10, features=7, **KINDS[kind]), where, seed)
    return policy if where is IMAGE else policy.double()


def observations(where):
    torch.manual_seed(1)
    space = where.observation
    obs = torch.rand(T, B, *space.shape, dtype=torch.float64) * 4 - 2
    obs = obs if where is STATE else torch.randint(0, 256, (T, B, *space.shape), dtype=torch.uint8)
    first = torch.rand(T, B) < 0.25
    first[0] = True
    return obs, first


@pytest.mark.parametrize("where", [STATE, IMAGE], ids=["state", "image"])
@pytest.mark.parametrize("kind", KINDS)
def test_unroll_equals_step_in_a_loop_with_resets(kind, where):
    policy, (obs, first) = make(kind, where), observations(where)
    outputs, end = policy.unroll(obs, policy.initial_state(B), first)
    state, tolerance = policy.initial_state(B), 1e-12 if where is STATE else 1e-5
    for t in range(T):
        output, state = policy.step(obs[t], state, first[t])
        torch.testing.assert_close(output, outputs[t], rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(end, state, rtol=tolerance, atol=tolerance)
    assert outputs.shape == (T, B, policy.head.outputs)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_of_unroll_is_that_of_step_in_a_loop(kind):
    policy, (obs, first) = make(kind), observations(STATE)
    outputs, _ = policy.unroll(obs, policy.initial_state(B), first)
    weight = torch.randn_like(outputs)
    parameters = [p for name, p in policy.named_parameters() if not name.startswith("head")]
    whole = torch.autograd.grad((outputs * weight).sum(), parameters)
    state, steps = policy.initial_state(B), []
    for t in range(T):
        output, state = policy.step(obs[t], state, first[t])
        steps.append(output)
    torch.testing.assert_close(whole, torch.autograd.grad((torch.stack(steps) * weight).sum(), parameters))


@pytest.mark.parametrize("kind", KINDS)
def test_an_episode_does_not_depend_on_what_came_before_it_or_beside_it(kind):
    policy, (obs, _) = make(kind), observations(STATE)
    first = torch.zeros(T, B, dtype=torch.bool)
    first[5, 2] = True
    outputs, _ = policy.unroll(obs, policy.initial_state(B), first)
    alone, _ = policy.unroll(obs[5:, 2:3], policy.initial_state(1), first[5:, 2:3])
    torch.testing.assert_close(outputs[5:, 2], alone[:, 0])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mlp"])
def test_a_policy_with_memory_remembers_and_an_episode_begins_without_memory(kind):
    policy, (obs, first) = make(kind), observations(STATE)
    other = obs.clone()
    other[0] += 1
    first[1:] = False
    changed = (
        policy.unroll(other, policy.initial_state(B), first)[0] - policy.unroll(obs, policy.initial_state(B), first)[0]
    )
    assert (changed[1:4].abs().amax((1, 2)) > 1e-9).all()
    first[1] = True
    changed = (
        policy.unroll(other, policy.initial_state(B), first)[0] - policy.unroll(obs, policy.initial_state(B), first)[0]
    )
    assert (changed[1:] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_no_state_hides_in_the_module(kind):
    policy, (obs, first) = make(kind), observations(STATE)
    a, _ = policy.unroll(obs, policy.initial_state(B), first)
    policy.step(obs[3], policy.initial_state(B), first[3])
    b, _ = policy.unroll(obs, policy.initial_state(B), first)
    torch.testing.assert_close(a, b, rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_is_batch_first(kind):
    policy, (obs, first) = make(kind), observations(STATE)
    _, state = policy.unroll(obs, policy.initial_state(B), first)
    shapes = []
    map_state(lambda tensor: shapes.append(tensor.shape), state)
    assert shapes and all(shape[0] == B for shape in shapes)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_makes_the_same_policy_and_a_state_dict_is_all_of_it(kind):
    a, b, c = make(kind, seed=3), make(kind, seed=3), make(kind, seed=4)
    obs, first = observations(STATE)
    outputs = [policy.unroll(obs, policy.initial_state(B), first)[0] for policy in (a, b, c)]
    torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=0)
    assert not torch.equal(outputs[0], outputs[2])
    c.load_state_dict(a.state_dict())
    torch.testing.assert_close(c.unroll(obs, c.initial_state(B), first)[0], outputs[0], rtol=0, atol=0)


def test_options_reach_the_cell():
    def cell(**options):
        return make_policy(ImitationConfig(hidden_size=10, features=7, **options), STATE, 0).cell

    assert cell(cell="cfc", cfc_mode="pure").mode == "pure" and cell(cell="cfc").mode == "default"
    assert cell(cell="mlp", frame_stack=3).frame_stack == 3
    assert torch.equal(cell(cell="rnn", memory_steps=9).recurrent_weights()["hidden"][:5], torch.eye(10)[:5])
    for name in ("lstm", "gru", "rnn", "ltc"):
        assert cell(cell=name, rank=2).recurrent.W1.shape[-1] == 2
    for options in ({"cell": "cfc"}, {"cell": "gru", "rank": 2, "sparsity": 0.3}, {"cell": "lstm", "sparsity": 0.5}):
        torch.manual_seed(0)
        before = cell(**options).recurrent.weight().detach()
        torch.manual_seed(0)
        torch.testing.assert_close(cell(**options, recurrent_gain=0.25).recurrent.weight().detach(), 0.25 * before)
    held = cell(cell="rnn", memory_steps=9, recurrent_gain=0.5).recurrent_weights()["hidden"]
    assert torch.equal(held[:5], torch.eye(10)[:5]) and held[5:].abs().max() < 0.5
    sparse, dense = (cell(cell="ncp", cfc_mode="pure", sparsity=s) for s in (0.9, 0.1))
    assert all(layer.mode == "pure" for layer in sparse.cells)
    assert sparse.effective_parameters < dense.effective_parameters
    weight = cell(cell="cfc", rank=3, sparsity=0.5).recurrent.weight().detach()
    assert 0.4 < (weight == 0).float().mean() < 0.6


@pytest.mark.parametrize(("where", "outputs"), [(STATE, 2), (IMAGE, 5)], ids=["state", "image"])
def test_the_motor_neurons_of_an_ncp_are_the_outputs(where, outputs):
    policy = make("ncp", where)
    assert policy.cell.motors == policy.cell.output_size == outputs
    assert isinstance(policy.readout, MotorReadout)
    y = torch.rand(3, outputs)
    torch.testing.assert_close(policy.readout.float()(y), y)
    with torch.no_grad():
        policy.readout.gain[1] = 2
        policy.readout.offset[0] = 3
    torch.testing.assert_close(policy.readout(y)[:, :2], torch.stack((y[:, 0] + 3, 2 * y[:, 1]), 1))


def test_a_wiring_without_a_motor_neuron_for_each_output_is_refused():
    cell = wired(CfC, Wiring.auto(7, 12, 3), backbone_units=0)
    head = make_head(STATE.action, None)
    with pytest.raises(
        NeuroctlError, match="the wiring has 3 motor neurons; it must have one for each of the 2 outputs"
    ):
        CellPolicy(make_encoder(STATE.observation, 7), cell, head)
    with pytest.raises(NeuroctlError, match=r"units >= motors \+ 3; got 2 motors, 4 units"):
        make_policy(ImitationConfig(cell="ncp", hidden_size=4), STATE, 0)


def test_a_factory_gets_the_number_of_outputs_if_it_asks_for_it(monkeypatch):
    seen: list[tuple[int, ...]] = []
    for factory in (
        lambda config, seed: seen.append((seed,)),
        lambda config, seed, outputs: seen.append((seed, outputs)),
    ):
        monkeypatch.setattr(registry.cells, "load", lambda name, factory=factory: factory)
        make_cell(ImitationConfig(), 7, 2)
    assert seen == [(7,), (7, 2)]


def test_a_head_that_does_not_suit_the_actions_is_refused():
    with pytest.raises(NeuroctlError, match="no categorical head for actions of Box"):
        make_policy(ImitationConfig(head="categorical"), STATE, 0)
