"""Action distributions: probabilities that are right, actions that lie in the space."""

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch.distributions import Categorical, Independent, Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from neuroctl.agents.heads import CategoricalHead, GaussianHead, MultiCategoricalHead, SquashedHead, make_head
from neuroctl.errors import NeuroctlError

BOX = spaces.Box(np.array([-1, 2, -0.3], np.float32), np.array([1, 5, 0.7], np.float32), dtype=np.float32, seed=0)
DISCRETE = spaces.Discrete(5, start=-2)
MULTI = spaces.MultiDiscrete([3, 2], start=[0, -1])


def unit(action):
    low, high = torch.as_tensor(BOX.low), torch.as_tensor(BOX.high)
    return 2 * (action - low) / (high - low) - 1


def spread(head):
    with torch.no_grad():
        head.log_std.copy_(torch.tensor([-1.5, -0.5, 0.2]))
    return head


@pytest.mark.parametrize("kind", ["gaussian", "squashed"])
def test_continuous_actions_lie_in_the_space_for_any_output(kind):
    rng = np.random.default_rng(0)
    for _ in range(300):
        low = rng.normal(size=3).astype(np.float32)
        space = spaces.Box(low, (low + rng.exponential(size=3)).astype(np.float32), dtype=np.float32)
        head = make_head(space, kind)
        for output in (torch.full((3,), -50.0), torch.full((3,), 50.0), torch.randn(3)):
            for action in (head.mode(output), head.sample(output, torch.randn(3) * 10)):
                value = action.detach().numpy()
                assert (value >= space.low).all() and (value <= space.high).all()  # contains() allows rounding
                assert space.contains(value)


def test_the_mode_of_the_middle_is_the_middle_and_the_extremes_are_the_bounds():
    for kind in ("gaussian", "squashed"):
        head = make_head(BOX, kind)
        middle = head.mode(torch.zeros(2, 3))
        torch.testing.assert_close(middle, torch.as_tensor((BOX.low + BOX.high) / 2).expand(2, 3))
        torch.testing.assert_close(head.mode(torch.full((3,), 99.0)), torch.as_tensor(BOX.high))


def test_the_gaussian_log_probability_is_that_of_torch():
    head = spread(GaussianHead(BOX))
    output, action = torch.randn(4, 7, 3), torch.randn(4, 7, 3)
    expected = Independent(Normal(output, head.log_std.exp()), 1).log_prob(unit(action))
    torch.testing.assert_close(head.log_prob(output, action), expected)


def test_the_squashed_log_probability_is_that_of_torch():
    head = spread(SquashedHead(BOX))
    output = torch.randn(4, 7, 3)
    action = head.sample(output, torch.randn(4, 7, 3)).detach()
    normal = Independent(Normal(output, head.log_std.exp()), 1)
    expected = TransformedDistribution(normal, [TanhTransform()]).log_prob(unit(action).clamp(-1 + 1e-6, 1 - 1e-6))
    torch.testing.assert_close(head.log_prob(output, action), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["gaussian", "squashed"])
def test_a_density_integrates_to_one(kind):
    space = spaces.Box(np.array([2], np.float32), np.array([5], np.float32), dtype=np.float32)
    head = make_head(space, kind).double()
    wide = 1.0 if kind == "squashed" else 6.0
    unit = torch.linspace(-wide, wide, 40001, dtype=torch.float64)[1:-1]
    action = 2 + 1.5 * (unit + 1)
    density = head.log_prob(torch.full((len(unit), 1), 0.4, dtype=torch.float64), action[:, None]).exp()
    assert torch.trapezoid(density, unit).item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("kind", ["gaussian", "squashed"])
def test_samples_follow_the_density(kind):
    space = spaces.Box(np.array([-1], np.float32), np.array([1], np.float32), dtype=np.float32)
    head = make_head(space, kind)
    generator = torch.Generator().manual_seed(0)
    samples = head.sample(torch.full((40000, 1), 0.2), torch.randn(40000, 1, generator=generator)).detach()
    for low, high in ((-0.4, 0.0), (0.0, 0.3), (0.3, 0.7)):
        grid = torch.linspace(low, high, 401)
        density = head.log_prob(torch.full((401, 1), 0.2), grid[:, None]).exp()
        share = ((samples >= low) & (samples < high)).float().mean()
        assert share.item() == pytest.approx(torch.trapezoid(density, grid).item(), abs=0.01)


def test_discrete_actions_are_commands_of_the_space_with_torchs_probabilities():
    head = CategoricalHead(DISCRETE)
    output = torch.randn(6, 5)
    actions = head.mode(output)
    assert all(DISCRETE.contains(int(a)) for a in actions)
    torch.testing.assert_close(actions, output.argmax(-1) - 2)
    every = torch.arange(-2, 3)
    log_prob = head.log_prob(output[:, None].expand(6, 5, 5), every.expand(6, 5))
    torch.testing.assert_close(log_prob, Categorical(logits=output[:, None]).log_prob(every + 2))
    torch.testing.assert_close(log_prob.exp().sum(1), torch.ones(6))


def test_discrete_samples_follow_the_probabilities_up_to_the_ends_of_the_noise():
    head, output = CategoricalHead(DISCRETE), torch.tensor([0.0, 2.0, -1.0, 0.5, 1.0])
    noise = (torch.arange(20000) + 0.5) / 20000
    samples = head.sample(output.expand(20000, 5), noise)
    shares = torch.stack([(samples == command).float().mean() for command in range(-2, 3)])
    torch.testing.assert_close(shares, output.softmax(-1), atol=1e-3, rtol=0)
    ends = head.sample(output.expand(2, 5), torch.tensor([0.0, math.nextafter(1, 0)]))
    assert ends.tolist() == [-2, 2]


def test_entries_of_a_vector_of_commands_are_drawn_independently():
    head = MultiCategoricalHead(MULTI)
    output = torch.randn(5)
    parts = [Categorical(logits=output[:3]), Categorical(logits=output[3:])]
    noise = torch.as_tensor(head.noise(20000, np.random.default_rng(0)))
    assert noise.shape == (20000, 2)
    actions = head.sample(output.expand(20000, 5), noise)
    assert all(MULTI.contains(action) for action in np.unique(actions.numpy(), axis=0))
    for entry, command in ((0, 0), (0, 1), (0, 2), (1, -1), (1, 0)):
        share = (actions[:, entry] == command).float().mean()
        torch.testing.assert_close(share, parts[entry].probs[command + entry], atol=0.015, rtol=0)
    both = ((actions[:, 0] == 2) & (actions[:, 1] == -1)).float().mean()
    torch.testing.assert_close(both, parts[0].probs[2] * parts[1].probs[0], atol=0.015, rtol=0)
    wanted = parts[0].log_prob(actions[:, 0]) + parts[1].log_prob(actions[:, 1] + 1)
    torch.testing.assert_close(head.log_prob(output.expand(20000, 5), actions), wanted)
    drawn = head.draw(output.expand(20000, 5), noise)
    torch.testing.assert_close(head.drawn_log_prob(output.expand(20000, 5), drawn), wanted)
    torch.testing.assert_close(head.entropy(output), parts[0].entropy() + parts[1].entropy())
    assert head.mode(output).tolist() == [int(output[:3].argmax()), int(output[3:].argmax()) - 1]


LABELS: dict[type, torch.Tensor] = {
    CategoricalHead: torch.tensor([-2, 0, 2, 1, -1]),
    MultiCategoricalHead: torch.tensor([[0, 0], [1, -1], [2, 0], [0, -1], [2, -1]]),
}


@pytest.mark.parametrize(
    "head",
    [GaussianHead(BOX), SquashedHead(BOX), CategoricalHead(DISCRETE), MultiCategoricalHead(MULTI)],
    ids=type,
)
def test_the_imitation_loss_is_least_where_the_mode_is_the_experts_action(head):
    output = torch.randn(5, head.outputs, requires_grad=True)
    label = LABELS.get(type(head), torch.tensor([-0.4, 4.4, 0.1]).expand(5, 3))
    optimiser = torch.optim.Adam([output], lr=0.1)
    before = head.imitation_loss(output, label).mean().item()
    for _ in range(300):
        loss = head.imitation_loss(output, label)
        assert loss.shape == (5,)
        optimiser.zero_grad()
        loss.mean().backward()
        optimiser.step()
    assert loss.mean().item() < 0.05 * before
    torch.testing.assert_close(head.mode(output.detach()), label, atol=1e-2, rtol=0)


def test_the_continuous_loss_does_not_depend_on_the_units_of_the_actions():
    wide = spaces.Box(BOX.low * 100, BOX.high * 100, dtype=np.float32)
    output, action = torch.randn(4, 3), torch.as_tensor(BOX.sample())
    for kind in ("gaussian", "squashed"):
        losses = [make_head(s, kind).imitation_loss(output, a) for s, a in ((BOX, action), (wide, action * 100))]
        torch.testing.assert_close(*losses)


def test_a_space_gets_the_head_that_suits_it():
    assert type(make_head(BOX)) is GaussianHead
    assert type(make_head(BOX, "squashed")) is SquashedHead
    assert type(make_head(DISCRETE)) is CategoricalHead
    assert type(make_head(MULTI)) is MultiCategoricalHead
    assert make_head(DISCRETE).outputs == make_head(MULTI).outputs == 5 and make_head(BOX).outputs == 3


@pytest.mark.parametrize(
    ("space", "kind"),
    [
        (DISCRETE, "gaussian"),
        (DISCRETE, "squashed"),
        (BOX, "categorical"),
        (spaces.Box(0, 9, (2,), np.int64), None),
        (spaces.MultiBinary(2), None),
        (spaces.Box(-np.inf, np.inf, (2,), np.float32), None),
        (spaces.Box(-1, 1, (2, 2), np.float32), None),
    ],
    ids=str,
)
def test_spaces_without_a_head_are_refused(space, kind):
    with pytest.raises(NeuroctlError, match="head for actions|must be a bounded vector"):
        make_head(space, kind)


@pytest.mark.parametrize("kind", ["gaussian", "squashed"])
def test_what_is_drawn_has_the_density_and_entropy_of_the_normal(kind):
    head, output = spread(make_head(BOX, kind)), torch.randn(4, 3)
    drawn = head.draw(output, torch.randn(4, 3))
    normal = Independent(Normal(output, head.log_std.exp()), 1)
    torch.testing.assert_close(head.drawn_log_prob(output, drawn), normal.log_prob(drawn))
    torch.testing.assert_close(head.entropy(output), normal.entropy())
    inside = make_head(spaces.Box(-100, 100, (3,)), "gaussian")
    torch.testing.assert_close(inside.action(0.01 * drawn), drawn)


def test_what_is_drawn_of_commands_has_their_probability_and_entropy():
    head, output = CategoricalHead(DISCRETE), torch.randn(6, 5)
    drawn = head.draw(output, torch.rand(6))
    categorical = Categorical(logits=output)
    torch.testing.assert_close(head.drawn_log_prob(output, drawn), categorical.log_prob(drawn))
    torch.testing.assert_close(head.entropy(output), categorical.entropy())
    assert torch.equal(head.action(drawn), drawn - 2)
