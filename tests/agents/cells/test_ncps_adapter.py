"""Any module of ncps is a cell: what it computes is what ncps computes, with resets and timespans that are right."""

import ncps.torch
import ncps.wirings
import numpy as np
import pytest
import torch

from neuroctl.agents.cells import CfC, NcpsCell
from neuroctl.agents.imitation import ImitationAgent
from neuroctl.agents.imitation_config import ImitationConfig
from neuroctl.errors import NeuroctlError
from neuroctl.loop import ClosedLoop
from neuroctl.policy import map_state
from neuroctl.rollouts import EpisodeStatistics, record
from neuroctl.vector import make_env, spaces_of

T, B, D, H = 5, 4, 3, 8
MODULES = {
    "cfc": lambda: ncps.torch.CfC(D, H),
    "cfc pure": lambda: ncps.torch.CfC(D, H, mode="pure", backbone_layers=2, backbone_units=5),
    "cfc no_gate, batch second": lambda: ncps.torch.CfC(D, H, mode="no_gate", batch_first=False),
    "cfc mixed": lambda: ncps.torch.CfC(D, H, mixed_memory=True),
    "cfc projected": lambda: ncps.torch.CfC(D, H, proj_size=2),
    "cfc wired": lambda: ncps.torch.CfC(D, ncps.wirings.AutoNCP(H, 2)),
    "cfc wired, mixed": lambda: ncps.torch.CfC(D, ncps.wirings.AutoNCP(H, 2), mixed_memory=True),
    "cfc of one layer": lambda: ncps.torch.CfC(D, ncps.wirings.Random(H, 2, 0.5)),
    "ltc": lambda: ncps.torch.LTC(D, H),
    "ltc mixed": lambda: ncps.torch.LTC(D, H, mixed_memory=True),
    "ltc wired": lambda: ncps.torch.LTC(D, ncps.wirings.NCP(4, 3, 1, 2, 2, 2, 2)),
}
SIZES = {"cfc projected": 2, "cfc wired": 2, "cfc wired, mixed": 2, "ltc wired": 1}
every_module = pytest.mark.parametrize("name", MODULES)


def make(name):
    torch.manual_seed(0)
    return NcpsCell(MODULES[name]().double())


def data(cell):
    torch.manual_seed(1)
    x = torch.randn(T, B, D, dtype=torch.float64)
    state = map_state(torch.randn_like, cell.initial_state(B))
    return x, state, torch.rand(T, B) < 0.3, torch.rand(T, B, dtype=torch.float64) + 0.1


@every_module
def test_a_sequence_is_what_ncps_makes_of_it(name):
    cell = make(name)
    x, state, _, _ = data(cell)
    cell.module.batch_first = False
    expected, last = cell.module(x, state)
    y, end = cell.unroll(x, state)
    torch.testing.assert_close((y, end), (expected, last), rtol=0, atol=1e-12)
    assert y.shape[2] == cell.output_size == SIZES.get(name, H)
    assert cell.motors is None and cell.hidden_size == H


@every_module
@pytest.mark.parametrize("timed", [False, True], ids=["regular", "timed"])
def test_resets_and_timespans_act_on_rows(name, timed):
    cell = make(name)
    x, state, first, spans = data(cell)
    y, _ = cell.unroll(x, state, first, spans if timed else None)
    for b in range(B):
        one = map_state(lambda tensor, b=b: tensor[b : b + 1], state)
        for t in range(T):
            if first[t, b]:
                one = cell.initial_state(1)
            span = spans[t, b : b + 1] if timed else None
            out, one = cell.step(x[t, b : b + 1], one, None, span)
            torch.testing.assert_close(out[0], y[t, b], rtol=0, atol=1e-12)


def test_timespans_equal_those_of_our_own_cell_even_where_rows_are_as_many_as_units():
    module = ncps.torch.CfC(D, B, batch_first=False).double()
    x, spans = torch.randn(T, B, D, dtype=torch.float64), torch.rand(T, B, dtype=torch.float64) + 0.1
    y, _ = NcpsCell(module).unroll(x, timespans=spans)
    torch.testing.assert_close(y, CfC.from_ncps(module).unroll(x, timespans=spans)[0], rtol=0, atol=1e-10)
    wrong, _ = module(x, torch.zeros(B, B, dtype=torch.float64), spans)
    assert float((y - wrong).detach().abs().max()) > 1e-3, "the defect that this guards against is gone from ncps"


@every_module
def test_every_parameter_of_the_module_learns_and_masks_are_not_counted(name):
    cell = make(name)
    x, state, first, spans = data(cell)
    cell.unroll(x, state, first, spans)[0].sum().backward()
    learning = [p for p in cell.module.parameters() if p.requires_grad]
    assert cell.stored_parameters == sum(p.numel() for p in learning)
    assert all(p.grad is not None for p in learning)
    assert cell.module.state_dict().keys() == {k.removeprefix("module.") for k in cell.state_dict()}


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda: torch.nn.LSTM(D, H), "takes an ncps.torch.CfC or ncps.torch.LTC; got LSTM"),
        (lambda: ncps.torch.CfCCell(D, H), "got CfCCell"),
        (lambda: ncps.wirings.AutoNCP(H, 2), "got AutoNCP"),
        (lambda: ncps.torch.CfC(D, ncps.wirings.Random(H, 2), proj_size=3), "this ncps module cannot run: mat1"),
    ],
)
def test_modules_of_another_kind_are_refused_in_one_line(module, message):
    with pytest.raises(NeuroctlError, match=message) as error:
        NcpsCell(module())
    assert "\n" not in str(error.value)


def test_what_does_not_fit_is_refused_in_one_line():
    cell, mixed = make("ltc"), make("ltc mixed")
    x, state, _, _ = data(cell)
    with pytest.raises(NeuroctlError, match="input has shape"):
        cell.unroll(x[..., :2])
    with pytest.raises(NeuroctlError, match="with mixed memory is a tuple of two tensors"):
        mixed.unroll(x, state)
    with pytest.raises(NeuroctlError, match="timespans must be > 0"):
        cell.unroll(x, state, None, torch.zeros(T, B))


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory):
    kwargs = {"observation": "state", "max_steps": 40}
    path = tmp_path_factory.mktemp("demonstrations") / "d"
    return record("expert", path, episodes=4, env_id="neuroctl/LaneFollow-v0", env_kwargs=kwargs, width=4)


@pytest.mark.parametrize("name", ["cfc wired, mixed", "ltc"])
def test_a_module_learns_by_imitation_and_drives_in_the_closed_loop(name, demonstrations, monkeypatch):
    def make_cell(config, seed, outputs):
        units = ncps.wirings.AutoNCP(config.hidden_size, 3)
        mixed = name.endswith("mixed")
        kind = ncps.torch.CfC if mixed else ncps.torch.LTC
        return NcpsCell(kind(config.features, units if mixed else config.hidden_size, mixed_memory=mixed))

    monkeypatch.setattr("neuroctl.agents.policies.make_cell", make_cell)
    env = make_env("neuroctl/LaneFollow-v0", 4, {"observation": "state", "max_steps": 40})
    config = ImitationConfig(hidden_size=8, features=6, sequence_length=10, batch_size=4, learning_rate=1e-2)
    agent = ImitationAgent(config, spaces_of(env), seed=0, dataset=[demonstrations])
    losses = [agent.update()["loss"] for _ in range(25)]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:3])
    statistics = EpisodeStatistics()
    ClosedLoop(env, agent, [statistics]).run_episodes([1, 2, 3, 4], seed=0)
    env.close()
    assert len(statistics.returns) == 4 and np.isfinite(statistics.returns).all()
