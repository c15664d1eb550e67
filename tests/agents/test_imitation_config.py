"""Options of the imitation learner: out of range or without effect is an error."""

import dataclasses
import subprocess
import sys

import pytest

from neuroctl.agents.imitation_config import ImitationConfig
from neuroctl.errors import NeuroctlError, UnknownNameError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "mlp", "rank": 3}, "agent.rank has no effect with cell 'mlp'; leave it out"),
        ({"cell": "mlp", "sparsity": 0.5}, "agent.sparsity has no effect with cell 'mlp'"),
        ({"cell": "mlp", "cfc_mode": "pure"}, "agent.cfc_mode has no effect with cell 'mlp'"),
        ({"cell": "lstm", "cfc_mode": "default"}, "agent.cfc_mode has no effect with cell 'lstm'"),
        ({"cell": "lstm", "frame_stack": 1}, "agent.frame_stack has no effect with cell 'lstm'"),
        ({"cell": "gru", "cfc_mode": "pure"}, "agent.cfc_mode has no effect with cell 'gru'"),
        ({"cell": "rnn", "frame_stack": 2}, "agent.frame_stack has no effect with cell 'rnn'"),
        ({"cell": "ltc", "cfc_mode": "pure"}, "agent.cfc_mode has no effect with cell 'ltc'"),
        ({"cell": "ncp", "rank": 2}, "agent.rank has no effect with cell 'ncp'"),
        ({"cell": "ltc", "recurrent_gain": 2.0}, "agent.recurrent_gain has no effect with cell 'ltc'"),
        ({"cell": "mlp", "memory_steps": 9}, "agent.memory_steps has no effect with cell 'mlp'"),
        ({"cell": "ncp", "memory_steps": 9}, "agent.memory_steps has no effect with cell 'ncp'"),
        ({"cfc_mode": "pure", "memory_steps": 9}, "agent.memory_steps has no effect with cfc_mode 'pure'"),
        ({"cell": "cfc", "frame_stack": 4}, "agent.frame_stack has no effect with cell 'cfc'"),
    ],
)
def test_an_option_without_effect_is_an_error(options, message):
    with pytest.raises(NeuroctlError, match=message):
        ImitationConfig(**options)


@pytest.mark.parametrize(
    ("name", "value"),
    [(n, 0) for n in ("hidden_size", "sequence_length", "batch_size", "half_life")]
    + [("learning_rate", 0.0), ("learning_rate", float("nan")), ("gradient_clip", -1.0), ("burn_in", -1)]
    + [("rank", 0), ("rank", 65), ("sparsity", 1.0), ("sparsity", -0.1), ("memory_steps", 1)]
    + [("recurrent_gain", 0.0), ("recurrent_gain", float("inf"))]
    + [("hidden_size", 2**14 + 1), ("features", 10**9), ("features", -1)],
)
def test_a_value_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(NeuroctlError, match=f"agent.{name} must be .*, got {value}"):
        ImitationConfig(**{name: value})


def test_the_sparsity_of_an_ncp_has_its_own_range():
    with pytest.raises(NeuroctlError, match=r"agent.sparsity must be in \[0.1, 1\) with cell 'ncp', got 0.05"):
        ImitationConfig(cell="ncp", sparsity=0.05)


def test_a_frame_stack_of_nothing_is_refused():
    with pytest.raises(NeuroctlError, match="agent.frame_stack must be >= 1, got 0"):
        ImitationConfig(cell="mlp", frame_stack=0)


@pytest.mark.parametrize(("name", "value"), [("cell", "gruu"), ("cfc_mode", "Pure"), ("head", "beta")])
def test_an_unknown_choice_is_refused_with_those_that_exist(name, value):
    with pytest.raises(UnknownNameError, match=f"unknown .*{name} '{value}'; .*known: "):
        ImitationConfig(**{name: value})


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "cfc", "rank": 64, "sparsity": 0.0, "cfc_mode": "no_gate", "head": "squashed", "burn_in": 0},
        {"cell": "lstm", "rank": 1, "sparsity": 0.99},
        {"cell": "gru", "rank": 3, "sparsity": 0.2},
        {"cell": "rnn", "rank": 3, "sparsity": 0.2},
        {"cell": "ltc", "rank": 3, "sparsity": 0.2},
        {"cell": "ncp", "sparsity": 0.1, "cfc_mode": "pure"},
        {"cell": "mlp", "frame_stack": 4, "head": "categorical"},
    ],
)
def test_every_option_is_accepted_where_it_has_an_effect(options):
    assert options.items() <= dataclasses.asdict(ImitationConfig(**options)).items()


def test_importing_the_options_imports_no_torch():
    check = "import neuroctl.agents.imitation_config, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
