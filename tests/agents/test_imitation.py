"""The imitation learner learns lane following, and its saved state is all there is."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from neuroctl.agents import imitation
from neuroctl.agents.imitation import ImitationAgent
from neuroctl.agents.imitation_config import ImitationConfig
from neuroctl.contracts import Spaces
from neuroctl.errors import NeuroctlError
from neuroctl.evaluation import evaluate
from neuroctl.loop import ClosedLoop
from neuroctl.rollouts import EpisodeStatistics, record
from neuroctl.run import tree_hash
from neuroctl.storage import load_tree, save_tree
from neuroctl.streams import episode_seed
from neuroctl.vector import make_env, spaces_of

ID = "neuroctl/LaneFollow-v0"
KWARGS = {"observation": "state", "max_steps": 100, "track": "loop"}
SMALL = {"hidden_size": 12, "features": 12, "sequence_length": 16, "batch_size": 6}

KINDS: dict[str, dict[str, Any]] = {
    "cfc carried": {"cell": "cfc", "rank": 3, "sparsity": 0.5},
    "cfc burn-in": {"cell": "cfc", "burn_in": 5},
    "lstm carried": {"cell": "lstm"},
    "lstm windows": {"cell": "lstm", "burn_in": 0},
    "mlp of 4 frames": {"cell": "mlp", "frame_stack": 4},
}


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory):
    path = tmp_path_factory.mktemp("demonstrations")
    return record("expert", path / "d", episodes=8, env_id=ID, env_kwargs=KWARGS, shifts=["action-noise:3"], width=8)


@pytest.fixture(scope="module")
def lane():
    env = make_env(ID, 4, KWARGS)
    yield env
    env.close()


def agent(lane, data, seed=0, **options):
    config = ImitationConfig(**{**SMALL, **options})
    return ImitationAgent(config, spaces_of(lane), seed=seed, dataset=None if data is None else [data])


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_falls(kind, lane, demonstrations):
    learner = agent(lane, demonstrations, learning_rate=1e-2, **KINDS[kind])
    losses = [learner.update()["loss"] for _ in range(120)]
    assert np.mean(losses[-20:]) < 0.25 * np.mean(losses[:3])


@pytest.mark.parametrize("cell", ["cfc", "lstm", "mlp"])
def test_in_the_closed_loop_the_trained_policy_beats_doing_nothing(cell, lane, demonstrations):
    learner = agent(lane, demonstrations, cell=cell, learning_rate=1e-2, half_life=100)
    for _ in range(250):
        learner.update()
    env, statistics = make_env(ID, 8, KWARGS), EpisodeStatistics()
    ClosedLoop(env, learner, [statistics]).run_episodes([episode_seed(5, b) for b in range(8)], seed=0)
    env.close()
    zero, expert = (evaluate(name, env_id=ID, env_kwargs=KWARGS, episodes=8, seed=5) for name in ("zero", "expert"))
    assert statistics.returns.mean() > zero.returns.mean() + 0.7 * (expert.returns.mean() - zero.returns.mean())


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_is_complete_2n_updates_are_n_a_load_into_a_new_agent_and_n(kind, lane, demonstrations, tmp_path):
    whole = agent(lane, demonstrations, **KINDS[kind])
    expected = [whole.update() for _ in range(14)]
    half = agent(lane, demonstrations, **KINDS[kind])
    assert [half.update() for _ in range(7)] == expected[:7]
    save_tree(tmp_path, "agent", half.state_dict())
    fresh = agent(lane, demonstrations, **KINDS[kind])
    fresh.load_state_dict(load_tree(tmp_path, "agent"))
    assert [fresh.update() for _ in range(7)] == expected[7:]
    assert tree_hash(fresh.state_dict()) == tree_hash(whole.state_dict())


def test_another_seed_learns_otherwise(lane, demonstrations):
    a, b, c = (agent(lane, demonstrations, seed=seed) for seed in (0, 0, 1))
    assert a.update() == b.update() != c.update()
    assert tree_hash(a.state_dict()) == tree_hash(b.state_dict())


def test_making_an_agent_leaves_the_global_random_stream_alone(lane, demonstrations):
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    agent(lane, demonstrations)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def test_the_carried_state_is_that_of_the_sequence_before(lane, demonstrations):
    """Without learning, the losses of two short batches are those of one long batch."""
    still = {"cell": "lstm", "learning_rate": 1e-30}
    short = agent(lane, demonstrations, **still)
    long = agent(lane, demonstrations, **{**still, "sequence_length": 32})
    halves = [short.update()["loss"] for _ in range(2)]
    assert long.update()["loss"] == pytest.approx(np.mean(halves), rel=1e-5)


def test_burn_in_steps_warm_the_state_up_and_do_not_count(lane, demonstrations):
    learner = agent(lane, demonstrations, cell="lstm", burn_in=5)
    batch, state = learner._next_batch()
    assert batch.obs.shape[0] == SMALL["sequence_length"] and not batch.first.any()
    assert all(tensor.abs().sum() > 0 and not tensor.requires_grad for tensor in state)


def test_a_batch_of_nothing_but_short_episodes_teaches_nothing_and_is_no_nan(lane, tmp_path):
    data = record("random", tmp_path / "d", episodes=40, env_id=ID, env_kwargs={**KWARGS, "max_steps": 150}, width=8)
    lengths = sorted(entry["length"] for entry in data.index.values())
    learner = agent(lane, data, cell="lstm", burn_in=lengths[len(lengths) // 2], batch_size=1)
    losses = [learner.update()["loss"] for _ in range(30)]
    assert 0.0 in losses and np.isfinite(losses).all()


def test_a_burn_in_longer_than_every_episode_is_refused(lane, demonstrations):
    with pytest.raises(NeuroctlError, match="agent.burn_in is 100; the longest episode has 100 steps"):
        agent(lane, demonstrations, burn_in=100)


def test_states_are_standardised_with_the_demonstrations(lane, demonstrations):
    learner = agent(lane, demonstrations)
    every = np.concatenate([demonstrations.episode(n).obs[:-1] for n in demonstrations.numbers()])
    normaliser = learner.policy.encoder.normaliser
    np.testing.assert_allclose(normaliser.mean.numpy(), every.mean(0), atol=1e-5)
    np.testing.assert_allclose(normaliser.variance.numpy(), every.var(0), rtol=1e-3, atol=1e-6)


def test_added_episodes_are_learned_from(lane, demonstrations, tmp_path):
    more = record("random", tmp_path / "more", episodes=2, env_id=ID, env_kwargs=KWARGS, width=2)
    a, b = (agent(lane, demonstrations, batch_size=16) for _ in range(2))
    b.add_data(more)
    assert [a.update() for _ in range(20)] != [b.update() for _ in range(20)]


def test_the_learning_rate_halves_every_half_life(lane, demonstrations):
    learner = agent(lane, demonstrations, learning_rate=0.01, half_life=5)
    rates = []
    for _ in range(11):
        learner.update()
        rates.append(learner.optimiser.param_groups[0]["lr"])
    assert rates[0] == 0.01 and rates[5] == pytest.approx(0.005) and rates[10] == pytest.approx(0.0025)


@pytest.mark.parametrize("kind", KINDS)
def test_an_agent_without_data_acts_as_the_one_that_learned(kind, lane, demonstrations):
    learner = agent(lane, demonstrations, **KINDS[kind])
    learner.update()
    actor = agent(lane, None, **KINDS[kind])
    actor.load_state_dict(learner.state_dict())
    obs, _ = lane.reset(seed=[1, 2, 3, 4])
    for each in (learner, actor):
        each.begin(4, 0)
    for t in range(5):
        first = np.full(4, t == 0)
        action = actor.act(obs, first)
        np.testing.assert_array_equal(action, learner.act(obs, first))
        assert all(lane.single_action_space.contains(row) for row in action)


def test_a_policy_is_taken_over_without_its_learner(lane, demonstrations):
    learner = agent(lane, demonstrations)
    for _ in range(3):
        learner.update()
    other = agent(lane, demonstrations, seed=8)
    other.load_policy(learner.state_dict())
    assert tree_hash(other.state_dict()["policy"]) == tree_hash(learner.state_dict()["policy"])
    assert other.updates == 0
    with pytest.raises(RuntimeError, match="size mismatch|Missing key"):
        agent(lane, demonstrations, hidden_size=9).load_policy(learner.state_dict())


def test_a_saved_state_does_not_change_when_learning_goes_on(lane, demonstrations):
    learner = agent(lane, demonstrations)
    learner.update()
    state = learner.state_dict()["policy"]
    before = tree_hash(state)
    learner.update()
    assert tree_hash(state) == before


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"cell": "cfc"}, ["ff1", "ff2", "time_a", "time_b"]),
        ({"cell": "cfc", "cfc_mode": "pure"}, ["ff1"]),
        ({"cell": "lstm", "rank": 2}, ["input_gate", "forget_gate", "cell_gate", "output_gate"]),
        ({"cell": "mlp"}, []),
    ],
)
def test_recurrent_weights_are_one_matrix_for_each_map(options, names, lane):
    learner = agent(lane, None, **options)
    weights = learner.recurrent_weights()
    assert list(weights) == names
    for k, matrix in enumerate(weights.values()):
        assert matrix.shape == (12, 12)
        whole = learner.policy.cell.recurrent.weight().detach().numpy()
        np.testing.assert_array_equal(matrix, whole[12 * k : 12 * k + 12])


def test_discrete_commands_are_cloned_from_images(tmp_path):
    kwargs = {"observation": "retina", "retina_size": (4, 16), "max_steps": 40, "discrete_steering": True}
    data = record("expert", tmp_path / "d", episodes=4, env_id=ID, env_kwargs=kwargs, width=4)
    env: Any = make_env(ID, 2, kwargs)
    learner = agent(env, data, cell="lstm", learning_rate=1e-2)
    losses = [learner.update()["loss"] for _ in range(60)]
    assert np.mean(losses[-10:]) < 0.8 * losses[0]
    learner.begin(2, 0)
    obs, _ = env.reset(seed=[0, 1])
    assert all(env.single_action_space.contains(a) for a in learner.act(obs, np.ones(2, bool)))
    env.close()


@pytest.mark.parametrize("kind", ["cfc carried", "lstm windows", "cfc burn-in", "mlp of 4 frames"])
def test_a_frozen_encoder_is_taken_over_and_learning_on_features_is_learning_the_rest(kind, lane, demonstrations):
    source = agent(lane, demonstrations, seed=3, cell="gru")
    for _ in range(5):
        source.update()
    learner = agent(lane, demonstrations, freeze_encoder=True, **KINDS[kind])
    learner.load_policy(source.state_dict())
    whole = agent(lane, demonstrations, **KINDS[kind])
    whole.policy.load_state_dict(learner.policy.state_dict())
    whole.policy.encoder.requires_grad_(False)
    whole.optimiser = torch.optim.Adam([p for p in whole.policy.parameters() if p.requires_grad])
    losses = np.array([(learner.update()["loss"], whole.update()["loss"]) for _ in range(15)])
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=1e-4)
    assert losses[-1, 0] < losses[0, 0]
    for name, value in source.policy.encoder.state_dict().items():
        assert torch.equal(value, learner.policy.encoder.state_dict()[name])
    # the rest is its own, and acting uses both
    learner.begin(4, 0)
    obs, _ = lane.reset(seed=0)
    assert learner.act(obs, np.ones(4, bool)).shape == (4, 1)


def test_images_are_encoded_once(tmp_path, monkeypatch):
    kwargs = {"observation": "retina", "retina_size": (4, 16), "max_steps": 40, "discrete_steering": True}
    data = record("expert", tmp_path / "d", episodes=4, env_id=ID, env_kwargs=kwargs, width=4)
    env: Any = make_env(ID, 2, kwargs)
    monkeypatch.setattr(imitation, "ENCODED", 1000)
    learner = agent(env, data, cell="lstm", freeze_encoder=True)
    seen: list[int] = []
    forward = learner.policy.encoder.forward

    def counted(obs: Any) -> Any:
        seen.append(len(obs))
        return forward(obs)

    monkeypatch.setattr(learner.policy.encoder, "forward", counted)
    for _ in range(20):
        learner.update()
    lengths = [learner.data.length(k) for k in range(4)]
    assert sorted(seen) == sorted(lengths)
    learner.add_data(data)
    for _ in range(40):
        learner.update()
    assert sorted(seen) == sorted(2 * lengths)
    obs = next(iter(learner.data.observations()))
    expected = learner.policy.encoder(torch.tensor(data.episode(0).obs[:-1]))
    np.testing.assert_allclose(obs, expected.detach().numpy(), atol=1e-6)
    monkeypatch.setattr(imitation, "ENCODED", 7)  # in parts
    parts = learner._features(data.episode(0).obs[:-1])
    np.testing.assert_allclose(parts, expected.detach().numpy(), atol=1e-6)
    env.close()


def test_spaces_it_cannot_serve_are_refused():
    box, dictionary = spaces.Box(-1, 1, (2,), np.float32), spaces.Dict({"a": spaces.Discrete(2)})
    for where in (Spaces(dictionary, box), Spaces(box, dictionary)):
        with pytest.raises(NeuroctlError, match="no encoder|head for actions"):
            ImitationAgent(ImitationConfig(), where, seed=0)
