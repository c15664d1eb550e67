"""Run folders, and trained controllers outside the loop."""

import dataclasses
import json

import gymnasium as gym
import numpy as np
import pytest

import neuroctl
from neuroctl import registry
from neuroctl.config import DemonstrationsConfig
from neuroctl.contracts import Agent, Listener, Spaces
from neuroctl.errors import DamagedFileError, FormatVersionError, NeuroctlError, UnknownNameError
from neuroctl.loop import ClosedLoop
from neuroctl.run import Controller, Run, agent_with, environment_spaces, load, tree_hash
from neuroctl.training import train
from neuroctl.vector import make_env


def tiny(name="lane-cfc", **changes):
    config = registry.presets.load(name)()
    small = {"hidden_size": 8, "features": 8, "sequence_length": 16, "batch_size": 4}
    return dataclasses.replace(
        config,
        env=dataclasses.replace(config.env, observation="state", max_steps=40),
        agent=dataclasses.replace(config.agent, **small),
        demonstrations=DemonstrationsConfig(episodes=2),
        **{"steps": 4, "checkpoint_every": 2, "log_every": 2, **changes},
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train(tiny(), out=tmp_path_factory.mktemp("run") / "run")


def altered(run, folder, change):
    """A folder with the run's config.json after `change`."""
    content = json.loads((run.path / "config.json").read_text())
    change(content)
    (folder / "config.json").write_text(json.dumps(content))
    return folder


# -- folders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lane-cfc", "lane-cfc-dense", "lane-lstm", "lane-mlp"])
def test_a_run_reads_back_the_configuration_it_was_made_with(name, tmp_path):
    config = tiny(name, seed=7, warm_start=tmp_path / "other")
    assert repr(Run.create(config, tmp_path / "run").config) == repr(config)
    assert repr(Run(tmp_path / "run").config) == repr(config)


def test_config_json_stands_before_anything_else(tmp_path):
    Run.create(tiny(), tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]
    content = json.loads((tmp_path / "run" / "config.json").read_text())
    assert content["versions"]["neuroctl"] == neuroctl.__version__


def test_a_run_gets_a_folder_of_its_own_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Run.create(tiny(seed=5))
    assert run.path.parent.as_posix() == "runs/lane-cfc" and run.path.name.endswith("-s5")


def test_a_configuration_that_could_not_be_read_back_makes_no_folder(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown preset ''"):
        Run.create(dataclasses.replace(tiny(), preset=""), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_of_a_newer_format_is_refused(trained, tmp_path):
    with pytest.raises(FormatVersionError, match="has run format 2; this neuroctl reads up to 1"):
        Run(altered(trained, tmp_path, lambda c: c.update(format=2)))


def test_an_unknown_option_in_a_run_is_refused(trained, tmp_path):
    with pytest.raises(DamagedFileError, match="config.agent has no option 'ranc'"):
        Run(altered(trained, tmp_path, lambda c: c["config"]["agent"].update(ranc=3)))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"format": 1}'])
def test_a_damaged_config_is_named(text, tmp_path):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(DamagedFileError, match=r"config\.json is damaged"):
        Run(tmp_path)


def test_a_folder_without_config_is_no_run(tmp_path):
    with pytest.raises(NeuroctlError, match="no run at .*: it holds no config.json"):
        Run(tmp_path)
    for nothing in (None, 3):
        with pytest.raises(NeuroctlError, match=f"^a run folder must be a path, got {nothing}$"):
            load(nothing)  # type: ignore[arg-type]


def test_a_policy_is_evaluated_where_its_configuration_says(trained):
    env_id, kwargs = trained.environment()
    assert env_id == "neuroctl/LaneFollow-v0"
    assert kwargs["track_seeds"] == (1000, 1100)
    assert kwargs["observation"] == "state"


def test_the_hash_of_a_state_sees_structure_type_shape_and_bits():
    states = [
        {"a": np.zeros(2), "b": 1},
        {"a": np.array([0.0, -0.0]), "b": 1},
        {"a": np.zeros(2, np.float32), "b": 1},
        {"a": np.zeros((2, 1)), "b": 1},
        {"a": np.zeros(2), "b": 1.0},
        {"b": 1, "a": np.zeros(2)},
        {"a": [np.zeros(2)], "b": 1},
    ]
    assert len({tree_hash(state) for state in states}) == len(states)
    assert tree_hash(states[0]) == tree_hash({"a": np.zeros(2), "b": 1})


# -- controllers -------------------------------------------------------------------------------------------------


class Watch(Listener):
    def on_begin(self, env, obs, info):
        self.steps = []

    def on_step(self, step):
        self.steps.append(step)


def played(run, width, seeds):
    """The steps of the run's agent in the closed loop."""
    env = make_env(run.config.env.id, width, run.config.env.kwargs())
    watch = Watch()
    agent = agent_with(run.config, environment_spaces(run.config), run.checkpoints.load()[1]["agent"])
    loop = ClosedLoop(env, agent, [watch])
    loop.begin(0, seeds)
    for _ in range(90):
        loop.step()
    env.close()
    assert sum(step.done.sum() for step in watch.steps) >= 2 * width
    return watch.steps


def test_a_controller_acts_as_the_agent_in_the_loop_for_a_batch(trained):
    controller = load(trained.path)
    for step in played(trained, 3, [5, 6, 7]):
        np.testing.assert_array_equal(controller.act(step.obs, step.first), step.action)


def test_a_controller_acts_as_the_agent_in_the_loop_for_one_observation(trained):
    controller, lists = neuroctl.load(trained.path), neuroctl.load(str(trained.path))
    for step in played(trained, 1, [5]):
        if step.first[0]:
            controller.reset()
        action = controller.act(step.obs[0])
        assert controller.spaces.action.contains(action)
        np.testing.assert_array_equal(action, step.action[0])
        np.testing.assert_array_equal(lists.act(step.obs[0].tolist(), bool(step.first[0])), step.action[0])


def test_reset_begins_a_new_episode_and_without_it_the_state_goes_on(trained):
    controller = load(trained.path)
    obs = np.ones(12, np.float32)
    first, second = controller.act(obs), controller.act(obs)
    assert not np.array_equal(first, second)
    controller.reset()
    np.testing.assert_array_equal(controller.act(obs), first)
    np.testing.assert_array_equal(controller.act(obs, first=True), first)
    np.testing.assert_array_equal(controller.act(obs), second)


def test_only_the_rows_that_are_first_are_reset(trained):
    controller = load(trained.path)
    obs = np.ones((2, 12), np.float32)
    first, second = controller.act(obs), controller.act(obs, np.array([True, False]))
    np.testing.assert_array_equal(second[0], first[0])
    assert not np.array_equal(second[1], first[1])


@pytest.mark.parametrize("shape", [(), (11,), (3, 11), (2, 3, 12), (0, 12)])
def test_an_observation_of_another_shape_is_refused_in_one_line(shape, trained):
    with pytest.raises(NeuroctlError, match=r"^observation has shape \(.*\); expected \(12,\) or \(B, 12\)$"):
        load(trained.path).act(np.zeros(shape, np.float32))


def test_a_checkpoint_is_chosen_by_step_or_name(trained):
    obs = np.linspace(-1, 1, 12, dtype=np.float32)
    actions = {which: load(trained.path, which).act(obs).item() for which in ("0", "2", "4", "latest")}
    assert actions["latest"] == actions["4"]
    assert len(set(actions.values())) == 3
    with pytest.raises(NeuroctlError, match="no checkpoint 'best' in .*; steps there: 0, 2, 4"):
        load(trained.path, "best")


def test_loading_needs_neither_the_demonstrations_nor_the_learners_device(trained, tmp_path):
    altered(trained, tmp_path, lambda c: c["config"].update(device="cuda:9"))
    (tmp_path / "checkpoints").symlink_to(trained.path / "checkpoints")
    obs = np.ones(12, np.float32)
    np.testing.assert_array_equal(load(tmp_path).act(obs), load(trained.path).act(obs))


class Still(Agent):
    """Does nothing, whatever it sees."""

    def begin(self, num_envs, seed):
        pass

    def act(self, obs, first):
        return np.stack([part[:, 0] for part in obs.values()], axis=1)


def test_every_part_of_a_dict_observation_is_checked(trained):
    part = gym.spaces.Box(-1, 1, (2,), np.float32)
    spaces = Spaces(gym.spaces.Dict({"a": part, "b": part}), part)
    controller = Controller(Still(), trained.config, spaces)
    one, many = np.array([0.5, 0]), np.zeros((3, 2))
    assert controller.act({"a": one, "b": -one}).tolist() == [0.5, -0.5]
    assert controller.act({"a": many, "b": many}).shape == (3, 2)
    for bad, message in (
        ({"a": one}, "must be a dict with a, b"),
        (one, "must be a dict with a, b"),
        ({"a": one, "b": many}, "batches of different width"),
        ({"a": many, "b": many[:2]}, "batches of different width"),
        ({"a": one, "b": one[:1]}, r"shape \(1,\); expected \(2,\)"),
        ({"a": one, "b": [[1, 2], [3]]}, "ragged"),
        ({"a": one, "b": 9 * np.ones(2)}, "trained on values in"),
    ):
        with pytest.raises(NeuroctlError, match=message):
            controller.act(bad)


def test_a_configuration_that_json_cannot_hold_makes_no_folder(tmp_path):
    config = tiny()
    odd = dataclasses.replace(config, env=dataclasses.replace(config.env, camera={1, 2}))
    with pytest.raises(NeuroctlError, match="this configuration cannot be written as JSON: .*set is not JSON"):
        Run.create(odd, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_observations_that_the_controller_was_not_trained_on_are_refused(trained):
    controller = load(trained.path)
    good = np.zeros(controller.spaces.observation.shape or (), np.float32)
    before = controller.act(good)
    for bad, message in (
        (good + np.nan, "not finite"),
        (good + 1e9, "trained on values in"),
        (np.full(good.shape, "x"), "dtype"),
        (good.astype(complex), "dtype"),
    ):
        with pytest.raises(NeuroctlError, match=message):
            controller.act(bad)
    for first in (np.zeros(3, bool), "no", 0.5, 1, None):
        with pytest.raises(NeuroctlError, match=r"^first is .*; allowed: True, False, or an array of them"):
            controller.act(good, first=first)  # type: ignore[arg-type]
    controller.reset()
    assert controller.act(good).tobytes() == before.tobytes()
