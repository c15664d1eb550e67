"""The actor-critic: its gradient through all of the past, its bits after a resume, what it refuses."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import neuroctl
from neuroctl.agents.actor_critic import ActorCriticAgent
from neuroctl.agents.actor_critic_config import ActorCriticConfig
from neuroctl.agents.return_scale import ReturnScale
from neuroctl.contracts import Spaces
from neuroctl.envs.config import NonMatchConfig
from neuroctl.errors import NeuroctlError, NonFiniteError
from neuroctl.launch.memory_presets import rtrl_nonmatch
from neuroctl.loop import ClosedLoop
from neuroctl.run import tree_hash
from neuroctl.vector import make_env, spaces_of

SMALL: dict[str, Any] = {"hidden_size": 6, "features": 5, "rollout_length": 4}
BOX = gym.spaces.Box(-1, 1, (3,), np.float32)


def agent_of(spaces: Spaces, seed: int = 0, **options: Any) -> ActorCriticAgent:
    agent = ActorCriticAgent(ActorCriticConfig(**{**SMALL, **options}), spaces, seed=seed)
    agent.learning = True
    return agent


def play(agent: ActorCriticAgent, steps: int, seed: int = 0, B: int = 3) -> list[dict[str, float]]:
    """Random observations, rewards and ends; what each update said."""
    rng, said = np.random.default_rng(seed), []
    agent.begin(B, seed)
    obs, first = rng.standard_normal((B, 3), np.float32), np.ones(B, np.bool_)
    for _ in range(steps):
        agent.act(obs, first)
        final, obs = rng.standard_normal((2, B, 3), np.float32)
        terminated, truncated = rng.random((2, B)) < 0.08
        agent.observe(obs, rng.standard_normal(B), terminated, truncated, {"final_obs": final})
        first = terminated | truncated
        said.append(agent.update())
    return said


@pytest.mark.parametrize("gradient", ["rtrl", "bptt"])
@pytest.mark.parametrize("options", [{}, {"objective": "ppo", "minibatches": 2}], ids=["vtrace", "ppo"])
def test_a_rollout_that_was_collected_elsewhere_with_the_same_weights_teaches_the_same(
    gradient: str, options: dict[str, Any]
) -> None:
    """The learner forms states and values itself; those of the one who acts differ in their last bits."""
    spaces = Spaces(BOX, gym.spaces.Discrete(4))
    both = [agent_of(spaces, gradient=gradient, rewards="normalise", **options) for _ in range(2)]
    acting, learner = both
    learner.begin(3, 0)
    taken: list[Any] = []
    update = acting._update

    def keep(rollout: Any, last: Any) -> dict[str, float]:
        taken.append(rollout)
        return update(rollout, last)

    acting._update = keep  # type: ignore[method-assign]
    said = [line for line in play(acting, 20) if line]
    for rollout, expected in zip(taken, said, strict=True):
        assert learner.learn(rollout) == pytest.approx(expected, rel=1e-3, abs=1e-5)
    for name, value in acting.policy.state_dict().items():
        torch.testing.assert_close(learner.policy.state_dict()[name], value, rtol=1e-3, atol=1e-5)


def test_v_trace_takes_values_of_now_and_ppo_those_that_acted() -> None:
    spaces, seen = Spaces(BOX, gym.spaces.Discrete(4)), {}
    for objective in ("vtrace", "ppo"):
        agent = agent_of(spaces, objective=objective)
        play(agent, 3)
        agent.act(np.zeros((3, 3), np.float32), np.zeros(3, np.bool_))
        agent.observe(np.zeros((3, 3), np.float32), np.zeros(3), np.zeros(3, np.bool_), np.zeros(3, np.bool_), {})
        rollout = agent.take_rollout()
        with torch.no_grad():
            agent.critic.bias.add_(10.0)
        update = agent._update

        def keep(rollout: Any, last: Any, objective: str = objective, update: Any = update) -> Any:
            seen[objective] = rollout
            return update(rollout, last)

        agent._update = keep  # type: ignore[method-assign]
        agent.learn(rollout)
        moved = seen[objective]["steps"]["value"] - rollout["steps"]["value"]
        np.testing.assert_allclose(moved, 10.0 if objective == "vtrace" else 0.0, atol=1e-4)
        moved = seen[objective]["after"]["value"] - rollout["after"]["value"]
        np.testing.assert_allclose(moved, 10.0 if objective == "vtrace" else 0.0, atol=1e-4)


@pytest.mark.parametrize(
    ("cell", "features"), [("elstm", 5), ("rtu", 5), ("gru", 5), ("cfc", 5), ("elstm", 0), ("2 gru", 5)]
)
def test_its_gradient_sees_all_of_the_past(cell: str, features: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the third rollout, of frozen parameters: that of the same loss by backpropagation from the first step on."""
    agent = agent_of(
        Spaces(BOX, gym.spaces.Discrete(4)),
        cell=cell.rsplit(maxsplit=1)[-1],
        layers=len(cell.split()),
        features=features,
        gradient_clip=1e9,
        learning_rate=1e-30,
    )
    agent.policy.double()
    agent.critic.double()
    seen: dict[str, Any] = {"features": [], "first": [], "losses": []}
    learn, targets = agent._learn, agent._targets

    def remembered(steps: Any, rows: Any) -> Any:
        seen["features"].append(agent.policy.encoder(steps["obs"]).detach())  # its normaliser goes on
        seen["first"].append(steps["first"])
        seen["steps"] = steps
        return learn(steps, rows)

    def kept(steps: Any, log_ratio: Any) -> Any:
        seen["targets"] = targets(steps, log_ratio)
        return seen["targets"]

    monkeypatch.setattr(agent, "_learn", remembered)
    monkeypatch.setattr(agent, "_targets", kept)
    play(agent, 12)
    found = {name: p.grad.clone() for name, p in agent.policy.cell.named_parameters() if p.grad is not None}

    policy, config = agent.policy, agent.config
    state: Any = policy.cell.initial_state(3)
    outputs = []
    for x, first in zip(torch.cat(seen["features"]), torch.cat(seen["first"]), strict=True):
        y, state = policy.cell.step(x, state, first)
        outputs.append(y)
    y = torch.stack(outputs[-4:])
    output, value = policy.readout(y), agent.critic(y)[..., 0]
    log_prob = policy.head.drawn_log_prob(output, seen["steps"]["drawn"])
    loss = -(seen["targets"].advantages * log_prob).mean()
    loss = loss + 0.5 * config.value_cost * (seen["targets"].values - value).square().mean()
    loss = loss - config.entropy_cost * policy.head.entropy(output).mean()
    names = list(found)
    wanted = dict(
        zip(names, torch.autograd.grad(loss, [policy.cell.get_parameter(name) for name in names]), strict=True)
    )
    for name in names:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-5, atol=1e-8)  # the encoder is float32's


@pytest.mark.parametrize("objective", ["vtrace", "ppo"])
@pytest.mark.parametrize("space", [gym.spaces.Discrete(4), gym.spaces.Box(-2, 1, (2,))])
@pytest.mark.parametrize("gradient", ["rtrl", "snap1", "bptt", "immediate"])
def test_the_same_seed_gives_the_same_bits(objective: str, space: Any, gradient: str) -> None:
    hashes = []
    for seed in (0, 0, 1):
        agent = agent_of(Spaces(BOX, space), seed, objective=objective, gradient=gradient, rewards="normalise")
        said = play(agent, 13)
        assert [bool(values) for values in said] == [k % 4 == 3 for k in range(13)]
        hashes.append(tree_hash(agent.state_dict()))
    assert hashes[0] == hashes[1] != hashes[2]


TWO_LAYERS = {"cell": "lstm", "layers": 2, "objective": "ppo"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"objective": "ppo", "rewards": "normalise"},
        {"cell": "gru"},
        {"cell": "rtu"},
        TWO_LAYERS,
        {"layers": 2, "gradient": "layerwise", "objective": "ppo"},
    ],
)
@pytest.mark.parametrize("when", [8, 10])
def test_it_goes_on_with_the_same_bits_from_the_middle_of_a_rollout(options: dict[str, Any], when: int) -> None:
    env = make_env("neuroctl/BallReach-v0", 2, {"max_steps": 7})
    hashes: list[str] = []
    middle: dict[str, Any] = {}
    for resumed in (False, True):
        agent = agent_of(spaces_of(env), **options)
        loop = ClosedLoop(env, agent)
        loop.begin(0)
        if resumed:
            agent.load_state_dict(middle["agent"])
            loop.load_state_dict(middle["loop"])
        for k in range(when if resumed else 0, 20):
            if not resumed and k == when:
                middle = copy.deepcopy({"agent": agent.state_dict(), "loop": loop.state_dict()})
            loop.step()
            agent.update()
        hashes.append(tree_hash(agent.state_dict()))
    env.close()
    assert hashes[0] == hashes[1]


def test_an_agent_that_only_acts_takes_the_most_probable_action_and_keeps_nothing() -> None:
    learner = agent_of(Spaces(BOX, gym.spaces.Discrete(4)))
    play(learner, 6)
    player = ActorCriticAgent(learner.config, Spaces(BOX, gym.spaces.Discrete(4)), seed=5)
    player.load_state_dict(learner.state_dict())
    player.begin(2, 0)
    obs, first = np.random.default_rng(0).standard_normal((2, 3), np.float32), np.ones(2, np.bool_)
    y, _ = learner.policy.cell.step(
        learner.policy.encoder(torch.tensor(obs)), learner.policy.cell.initial_state(2), torch.tensor(first)
    )
    wanted = learner.policy.readout(y).argmax(-1).tolist()
    assert player.act(obs, first).tolist() == wanted
    player.observe(obs, np.zeros(2), first, first, {})
    assert player.update() == {}
    assert "rows" not in player.state_dict()


def test_a_time_limit_is_bootstrapped_from_the_last_observation(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = agent_of(Spaces(BOX, gym.spaces.Discrete(2)), rollout_length=2)
    seen: dict[str, Any] = {}
    learn = agent._learn

    def kept(steps: Any, rows: Any) -> Any:
        seen.update(steps)
        return learn(steps, rows)

    monkeypatch.setattr(agent, "_learn", kept)
    agent.begin(3, 0)
    rng = np.random.default_rng(0)
    obs, final, after, last = rng.standard_normal((4, 3, 3), np.float32)
    agent.act(obs, np.ones(3, np.bool_))
    state = agent._state
    terminated, truncated = np.array([True, False, False]), np.array([False, True, False])
    agent.observe(after, np.ones(3), terminated, truncated, {"final_obs": final})
    with torch.no_grad():
        y, _ = agent.policy.cell.step(agent.policy.encoder(torch.tensor(final)), state)
        cut = agent.critic(y)[1, 0].item()
    agent.act(after, terminated | truncated)
    agent.observe(last, np.ones(3), np.zeros(3, np.bool_), np.zeros(3, np.bool_), {})
    agent.update()
    assert seen["next_value"][0].tolist() == pytest.approx([0.0, cut, seen["value"][1, 2].item()])
    assert seen["continues"].tolist() == [[False, False, True], [True, True, True]]


def test_a_summed_loss_has_the_gradient_of_so_many_means() -> None:
    norms = []
    for loss in ("mean", "sum"):
        agent = agent_of(Spaces(BOX, gym.spaces.Discrete(4)), loss=loss, gradient_clip=1e9)
        norms.append(play(agent, 4)[-1]["gradient_norm"])
    assert norms[1] == pytest.approx(4 * 3 * norms[0], rel=1e-5)


def test_rewards_are_scaled_by_the_deviation_of_returns() -> None:
    rng, scale, gamma = np.random.default_rng(0), ReturnScale(0.9), 0.9
    scale.begin(2)
    rewards, ends = rng.standard_normal((50, 2)) * 7, rng.random((50, 2)) < 0.1
    returns, total = [], np.zeros(2)
    for reward, done in zip(rewards, ends, strict=True):
        total = gamma * total + reward
        returns.append(total.copy())
        found = scale.scaled(reward, done)
        total[done] = 0
        if len(returns) > 1:
            np.testing.assert_allclose(found, reward / np.sqrt(np.var(returns) + 1e-8), rtol=1e-10)


def test_rewards_of_an_episode_do_not_count_in_the_next() -> None:
    agent, scale = agent_of(Spaces(BOX, gym.spaces.Discrete(2)), rewards="normalise"), ReturnScale(0.99)
    rng = np.random.default_rng(0)
    reward, done = rng.standard_normal((20, 3)), rng.random((20, 3)) < 0.2
    agent.begin(3, 0)
    scale.begin(3)
    wanted = np.stack([scale.scaled(*step) for step in zip(reward, done, strict=True)])
    np.testing.assert_allclose(agent._shaped(reward, done), wanted, rtol=1e-6)


@pytest.mark.parametrize("gradient", ["rtrl", "bptt"])
def test_the_gradient_is_cut_with_all_its_parts(gradient: str, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = agent_of(Spaces(BOX, gym.spaces.Discrete(4)), gradient=gradient, gradient_clip=1e-3, rollout_length=2)
    norms: list[float] = []
    take = agent.optimiser.step

    def measured() -> Any:
        parts = [p.grad.flatten() for p in agent._parameters if p.grad is not None]
        norms.append(float(torch.cat(parts).norm()))
        return take()

    monkeypatch.setattr(agent.optimiser, "step", measured)
    play(agent, 12)
    assert norms == pytest.approx([1e-3] * 6, rel=1e-3)


def test_the_learning_rate_falls_to_zero() -> None:
    agent = agent_of(Spaces(BOX, gym.spaces.Discrete(4)), anneal_updates=4, learning_rate=0.1, rollout_length=2)
    agent.begin(1, 0)
    rates, no = [], np.zeros(1, np.bool_)
    for _ in range(12):
        agent.act(np.zeros((1, 3), np.float32), no)
        agent.observe(np.zeros((1, 3), np.float32), np.ones(1), no, no, {})
        if agent.update():
            rates.append(agent.optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([0.1, 0.075, 0.05, 0.025, 0.0, 0.0])


@pytest.mark.parametrize("cell", ["elstm", "gru"])
def test_frozen_parameters_stay(cell: str) -> None:
    agent = agent_of(Spaces(BOX, gym.spaces.Discrete(4)), cell=cell, rollout_length=2, learning_rate=1e-2)
    frozen, *others = agent.policy.cell.parameters()
    frozen.requires_grad_(False)
    before = [parameter.clone() for parameter in (frozen, *others)]
    play(agent, 12)
    assert [torch.equal(*pair) for pair in zip(before, (frozen, *others), strict=True)] == [True] + [False] * len(
        others
    )


def test_a_learner_needs_the_state_of_one() -> None:
    spaces = Spaces(BOX, gym.spaces.Discrete(4))
    player = ActorCriticAgent(ActorCriticConfig(**SMALL), spaces, seed=0)
    learner = agent_of(spaces)
    learner.begin(2, 0)
    with pytest.raises(NeuroctlError, match="the state is that of an agent that only acted"):
        learner.load_state_dict(player.state_dict())


@pytest.mark.parametrize("objective", [{}, {"objective": "ppo", "minibatches": 1, "rewards": "normalise"}])
def test_what_is_learned_while_recording_is_repeated(tmp_path: Path, objective: dict[str, Any]) -> None:
    agent = ActorCriticConfig(cell="elstm", hidden_size=6, features=0, rollout_length=4, **objective)
    config = replace(rtrl_nonmatch(), env=NonMatchConfig(delay=4), agent=agent, steps=8, num_envs=3, checkpoint_every=8)
    run = neuroctl.train(config, out=tmp_path / "run")
    neuroctl.record(run.path, tmp_path / "data", episodes=3, learn=True)
    result = neuroctl.replay(tmp_path / "data", mode="policy")
    assert result.ok and result.exact == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 3}, "agent.rollout_length is 4; a run of 3 steps would learn nothing"),
        ({"agent": ActorCriticConfig(cell="gru", features=0, hidden_size=200)}, "GiB of sensitivities for 400 rows"),
    ],
)
def test_what_cannot_learn_is_refused_before_anything_is_written(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    agent = ActorCriticConfig(cell="elstm", hidden_size=6, features=0, rollout_length=4)
    config = replace(rtrl_nonmatch(), agent=agent, steps=8, num_envs=400, checkpoint_every=8)
    with pytest.raises(NeuroctlError, match=message):
        neuroctl.train(replace(config, **change), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rollout_length": None}, "agent.rollout_length must be an integer >= 1, got None"),
        ({"discount": None}, "agent.discount must be >= 0 and <= 1, got None"),
        ({"initial_std": None}, "agent.initial_std must be > 0 and finite, got None"),
        ({"features": 2.5}, "agent.features must be an integer >= 0, got 2.5"),
        ({"layers": 1.5}, "agent.layers must be an integer >= 1, got 1.5"),
        ({"gradient": "rtlr"}, "unknown agent.gradient 'rtlr'; did you mean 'rtrl'"),
        ({"epochs": 3}, "agent.epochs has no effect with objective 'vtrace'"),
        ({"rollout_length": 0}, "agent.rollout_length must be an integer >= 1, got 0"),
        ({"discount": 1.5}, "agent.discount must be >= 0 and <= 1, got 1.5"),
        ({"learning_rate": 0.0}, "agent.learning_rate must be > 0 and finite, got 0"),
        ({"entropy_cost": float("nan")}, "agent.entropy_cost must be >= 0 and finite, got nan"),
        ({"layers": 2}, "the ELSTM is not made of .* rules for this cell: bptt, layerwise, immediate"),
        ({"layers": 2, "cell": "mlp"}, "agent.layers must be 1 with cell 'mlp', got 2"),
        ({"cell": "ltc"}, "the LTC is not made of affine maps"),
        ({"cell": "gru", "hidden_size": 900}, "GiB of sensitivities"),
        ({"cell": "gru", "forget_bias": 1.0}, "agent.forget_bias has no effect with cell 'gru'"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(NeuroctlError, match=message):
        agent_of(Spaces(BOX, gym.spaces.Discrete(2)), **options)


def test_more_parts_than_rows_and_rewards_that_are_not_finite_are_refused() -> None:
    agent = agent_of(Spaces(BOX, gym.spaces.Discrete(2)), objective="ppo", minibatches=4)
    with pytest.raises(NeuroctlError, match="agent.minibatches is 4; there are 3 rows"):
        agent.begin(3, 0)
    agent = agent_of(Spaces(BOX, gym.spaces.Discrete(2)))
    agent.begin(1, 0)
    with pytest.raises(NonFiniteError, match="not finite"):
        for _ in range(4):
            agent.act(np.zeros((1, 3), np.float32), np.ones(1, np.bool_))
            agent.observe(
                np.zeros((1, 3), np.float32), np.array([np.nan]), np.zeros(1, np.bool_), np.zeros(1, np.bool_), {}
            )
            agent.update()


def test_a_vector_of_commands_is_learned() -> None:
    space = gym.spaces.MultiDiscrete([3, 2], start=[0, -1])
    agent = agent_of(Spaces(BOX, space), learning_rate=1e-2, entropy_cost=0.0)
    agent.begin(8, 0)
    obs, never = np.ones((8, 3), np.float32), np.zeros(8, np.bool_)
    for step in range(400):
        action = agent.act(obs, never | (step == 0))
        assert all(space.contains(row) for row in action)
        reward = (action == [2, -1]).mean(axis=1)
        agent.observe(obs, reward, never, never, {"final_obs": obs})
        agent.update()
    assert reward.mean() > 0.9
    agent.learning = False
    assert agent.act(obs, never).tolist() == [[2, -1]] * 8
