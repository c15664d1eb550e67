"""Silenced and driven units: which they are, what they do to every cell, and to spiking neurons."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import neuroctl
from neuroctl import registry
from neuroctl.agents.cells import ELSTM, GRU, LSTM, RNN, CfC, FeedForward, Stacked
from neuroctl.agents.encoders import Unencoded
from neuroctl.agents.heads import make_head
from neuroctl.agents.policies import CellPolicy
from neuroctl.errors import NeuroctlError, UnknownNameError
from neuroctl.interventions import Intervention, Units, intervention
from neuroctl.launch.cli import main
from neuroctl.run import Run, environment_spaces, make_agent

from .test_neural import run_of

BOX = gym.spaces.Box(-1, 1, (2,))
SILENT = Intervention((Units("units", (1, 4)),))


def policy_of(make: Any) -> CellPolicy:
    torch.manual_seed(0)
    return CellPolicy(Unencoded(3), make(3, 6), make_head(BOX))


def outputs(policy: CellPolicy, steps: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Units and outputs `[T, 2, ...]` of some steps."""
    obs = torch.randn(steps, 2, 3, generator=torch.Generator().manual_seed(1))
    state, no = policy.initial_state(2), torch.zeros(2, dtype=torch.bool)
    units, said = [], []
    with torch.no_grad():
        for t in range(steps):
            y, state = policy.cell.step(obs[t], state, no)
            units.append(y)
            said.append(policy.readout(y))
    return torch.stack(units), torch.stack(said)


def bare_cfc(inputs: int, units: int) -> CfC:
    return CfC(inputs, units, backbone_units=0)


@pytest.mark.parametrize("make", [bare_cfc, RNN, GRU, LSTM, FeedForward])
def test_silent_units_are_those_of_a_network_without_their_outgoing_weights(make: Any) -> None:
    whole, cut = policy_of(make), policy_of(make)
    cut.intervene(SILENT)
    units, said = outputs(cut)
    assert not units[..., [1, 4]].any() and units[..., [0, 2, 3, 5]].any()
    # by hand: all that the two units send is 0
    with torch.no_grad():
        for name, weight in whole.cell.named_parameters():
            if name == "recurrent.dense":
                weight[:, [1, 4]] = 0.0
        readout: Any = whole.readout
        readout.weight[:, [1, 4]] = 0.0
    np.testing.assert_allclose(said, outputs(whole)[1], atol=1e-5)


def test_a_driven_unit_is_seen_by_the_others_a_step_later() -> None:
    plain, driven = policy_of(RNN), policy_of(RNN)
    done = intervention([], ["units:2=0.5"])
    assert done is not None
    driven.intervene(done)
    before, after = outputs(plain)[0], outputs(driven)[0]
    difference = (after - before).abs()
    assert torch.allclose(difference[0, :, 2], torch.tensor(0.5)) and not difference[0][:, [0, 1, 3, 4, 5]].any()
    assert (difference[1] > 1e-4).all()


def test_spikes_of_silent_neurons_stop_and_driven_ones_fire_more(tmp_path: Path) -> None:
    made: Any = registry.presets.load("spore-ball-sums")()
    config = replace(made, env=replace(made.env, max_steps=100), evaluation_options=())

    def spikes(done: Intervention | None) -> Any:
        agent: Any = make_agent(config, environment_spaces(config))
        if done is not None:
            agent.intervene(done)
        agent.begin(1, 0)
        seen: Any = environment_spaces(config).observation
        obs = np.zeros((1, *seen.shape))
        total = 0
        for step in range(100):
            agent.act(obs, np.array([step == 0]))
            total = total + agent.activity()["motor"][0].astype(int)
        return total

    plain = spikes(None)
    changed = spikes(Intervention((Units("motor", (0, 3)),), (Units("motor", (1,), 0.0, 2.0),)))
    assert plain[[0, 3]].min() > 0 and not changed[[0, 3]].any()
    assert changed[1] > 2 * plain[1]


def test_evaluation_silences_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_of(tmp_path / "run", "cfc")
    settings: Any = {"episodes": 2, "lesions": ["units:100%"]}
    dead = neuroctl.evaluate(run.path, **settings)
    assert not np.array_equal(dead.returns, neuroctl.evaluate(run.path, episodes=2).returns)
    assert main(["evaluate", str(run.path), "--episodes", "2", "--lesion", "units:100%"]) == 0
    [kept] = (run.path / "evaluations").iterdir()
    assert kept.name == "lesion=units_100_.json"
    assert f"{dead.returns.mean():.2f} mean" in capsys.readouterr().out


def test_a_share_is_always_the_same_units() -> None:
    half = Units("units", None, 0.5)
    assert half.of(64).tolist() == half.of(64).tolist() and len(set(half.of(64).tolist())) == 32
    assert half.of(64).tolist() != Units("hidden", None, 0.5).of(64).tolist()
    assert not len(Units("units", None, 0.0).of(8)) and len(Units("units", None, 1.0).of(8)) == 8


def test_what_is_asked_for_is_read() -> None:
    assert intervention([], []) is None
    found = intervention(["units:3,7", "motor:25%"], ["units:0=-1.5e1"])
    assert found == Intervention(
        (Units("units", (3, 7)), Units("motor", None, 0.25)), (Units("units", (0,), 0.0, -15.0),)
    )


@pytest.mark.parametrize(
    ("lesions", "stimulations", "message"),
    [
        (["units"], [], r"'units' does not name units; it must be NAME:UNITS, such as units:3,7 or units:25%"),
        (["units:a"], [], "does not name units"),
        (["units:1=2.0"], [], "does not name units"),
        (["units:120%"], [], r"a share must be from 0% to 100%"),
        ([], ["units:1"], "it must be NAME:UNITS=AMOUNT, such as units:3,7=1.5"),
        ([], ["units:1=1e999"], "1e999 is no finite number"),
        ([], ["units:1=--"], "-- is no finite number"),
    ],
)
def test_mistakes_are_said(lesions: list[str], stimulations: list[str], message: str) -> None:
    with pytest.raises(NeuroctlError, match=message):
        intervention(lesions, stimulations)


def test_units_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    run: Run = run_of(tmp_path / "run", "cfc")
    with pytest.raises(NeuroctlError, match="'units' has units 0 to 8; 9 is none of them"):
        neuroctl.evaluate(run.path, episodes=1, lesions=["units:9"])
    with pytest.raises(UnknownNameError, match="unknown population 'motor'; known: units"):
        neuroctl.evaluate(run.path, episodes=1, lesions=["motor:0"])
    with pytest.raises(NeuroctlError, match="ScriptedAgent has no units that could be silenced or driven"):
        neuroctl.evaluate("expert", env_id="neuroctl/BallReach-v0", episodes=1, lesions=["units:0"])
    for cell in (Stacked([CfC(3, 4), CfC(4, 4)]), ELSTM(3, 4)):
        policy = CellPolicy(Unencoded(3), cell, make_head(BOX))
        done = intervention(["units:0"], [])
        assert done is not None
        with pytest.raises(NeuroctlError, match=f"units of a {type(cell).__name__} cannot be silenced"):
            policy.intervene(done)
