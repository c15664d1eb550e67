"""The policy contract: `unroll` is `step` in a loop, whatever the state's structure."""

import pytest
import torch
from torch import nn

from neuroctl.policy import Policy, map_state, reset_state


class Leaky(Policy):
    """Dict observations, nested state."""

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(2, 3)

    def initial_state(self, batch_size):
        return {"h": (torch.zeros(batch_size, 3), torch.ones(batch_size, 2, 2))}

    def step(self, obs, state, first):
        h, m = reset_state(state, self.initial_state(len(first)), first)["h"]
        h = 0.5 * h + torch.tanh(self.map(obs["a"])) + obs["b"][:, None] * m.sum((1, 2))[:, None]
        return h, {"h": (h, m * 0.9)}


def test_unroll_equals_step_in_a_loop_with_dict_observations_and_resets():
    torch.manual_seed(0)
    policy = Leaky()
    obs = {"a": torch.randn(6, 4, 2), "b": torch.randn(6, 4)}
    first = torch.rand(6, 4) < 0.4
    outputs, end = policy.unroll(obs, policy.initial_state(4), first)
    state = policy.initial_state(4)
    for t in range(6):
        output, state = policy.step({k: v[t] for k, v in obs.items()}, state, first[t])
        torch.testing.assert_close(output, outputs[t], rtol=0, atol=0)
    torch.testing.assert_close(end, state, rtol=0, atol=0)


def test_a_reset_row_forgets_and_its_neighbours_do_not():
    policy = Leaky()
    state = {"h": (torch.randn(3, 3), torch.randn(3, 2, 2))}
    fresh = policy.initial_state(3)
    mixed = reset_state(state, fresh, torch.tensor([False, True, False]))
    for old, new, got in zip(state["h"], fresh["h"], mixed["h"], strict=True):
        torch.testing.assert_close(got[[0, 2]], old[[0, 2]], rtol=0, atol=0)
        torch.testing.assert_close(got[1], new[1], rtol=0, atol=0)


def test_map_state_keeps_the_structure():
    state = {"a": [torch.ones(1), (torch.ones(2), torch.ones(3))]}
    doubled = map_state(lambda x, y: x + y, state, state)
    assert isinstance(doubled["a"], list) and isinstance(doubled["a"][1], tuple)
    assert doubled["a"][1][1].tolist() == [2, 2, 2]


def test_states_of_different_structure_are_refused():
    with pytest.raises(ValueError, match="zip"):
        map_state(torch.add, (torch.ones(1),), (torch.ones(1), torch.ones(1)))
