"""Training and resuming, on lane following with tiny networks and on toy tasks with an every-step learner."""

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

import neuroctl
from neuroctl import registry
from neuroctl.config import AgentConfig, DemonstrationsConfig, EnvConfig, TrainConfig
from neuroctl.contracts import Agent, Listener
from neuroctl.errors import NeuroctlError, NonFiniteError
from neuroctl.metrics import TIME_FIELDS
from neuroctl.rollouts import record
from neuroctl.run import Run, tree_hash
from neuroctl.storage import only_writer
from neuroctl.streams import EpisodeStreams, pack_generator, stream, unpack_generator
from neuroctl.training import TrainingInterruptedError, train

# -- toys ------------------------------------------------------------------------------------------------------


class DriftVector(gym.vector.VectorEnv):
    """A point that drifts at random; the reward is minus its distance from 0. Saves and restores its state."""

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(self, num_envs=1, nan_at=None):
        self.num_envs, self.nan_at = num_envs, nan_at
        self.single_observation_space = gym.spaces.Box(-100, 100, (2,), np.float32)
        self.single_action_space = gym.spaces.Box(-1, 1, (1,), np.float32)
        self.streams = EpisodeStreams(num_envs, ("drift",))
        self.x, self.t = np.zeros(num_envs), np.zeros(num_envs, np.int64)

    def _obs(self):
        return np.stack([self.x, np.ones(self.num_envs)], 1).astype(np.float32)

    def reset(self, *, seed=None, options=None):
        self.streams.reset(seed)
        self.x[:], self.t[:] = 0, 0
        return self._obs(), {}

    def step(self, actions):
        noise = np.array([self.streams["drift", b].normal() for b in range(self.num_envs)])
        self.x, self.t = self.x + actions[:, 0] + noise, self.t + 1
        if self.nan_at is not None and self.t[0] >= self.nan_at:
            self.x[0] = np.nan
        reward, done, info = -np.abs(self.x), self.t >= 7, {}
        if done.any():
            info = {"final_obs": self._obs(), "_final_obs": done.copy()}
            rows = np.flatnonzero(done)
            self.streams.advance(rows)
            self.x[rows], self.t[rows] = 0, 0
        return self._obs(), reward, np.zeros(self.num_envs, bool), done, info

    def get_state(self, rows=None):
        rows = np.arange(self.num_envs) if rows is None else rows
        return {"x": self.x[rows], "t": self.t[rows], **self.streams.get_state(rows)}

    def set_state(self, rows, state):
        self.x[rows], self.t[rows] = state["x"], state["t"]
        self.streams.set_state(rows, state)

    def current_obs(self):
        return self._obs()


class Forgetful(gym.Env):
    """The same task, without `get_state`."""

    observation_space = gym.spaces.Box(-100, 100, (2,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.t = 0.0, 0
        return np.array([0, 1], np.float32), {}

    def step(self, action):
        self.x, self.t = self.x + float(action[0]) + self.np_random.normal(), self.t + 1
        return np.array([self.x, 1], np.float32), -abs(self.x), False, self.t >= 7, {}


@dataclass(frozen=True)
class ToyEnv(EnvConfig):
    id: str = "toytest/Drift-v0"
    nan_at: int | None = None

    def kwargs(self):
        return {} if self.nan_at is None else {"nan_at": self.nan_at}


@dataclass(frozen=True)
class ToyConfig(AgentConfig):
    name: str = "toytest-online"
    rate: float = 0.01
    nan_at: int = 0
    slow_s: float = 0.0


class ToyAgent(Agent):
    """Learns at every step: a linear policy with a decaying memory, a trace and noise of its own."""

    def __init__(self, config, spaces, *, seed, device="cpu", dataset=None):
        self.config = config
        self.policy = torch.from_numpy(stream(seed, "initial").normal(size=3))
        self.updates = 0

    def begin(self, num_envs, seed):
        self.memory, self.trace = np.zeros(num_envs), np.zeros(3)
        self.noise = stream(seed, "noise")

    def act(self, obs, first):
        self.memory = np.where(first, 0, 0.9 * self.memory) + obs[:, 0]
        self.inputs = np.concatenate([obs, self.memory[:, None]], 1)
        self.kick = self.noise.normal(size=len(obs)) * 0.3
        action = np.tanh(self.inputs @ self.policy.numpy() + self.kick)
        return action[:, None].astype(np.float32)

    def observe(self, next_obs, reward, terminated, truncated, info):
        self.trace = 0.9 * self.trace + (self.inputs * (reward * self.kick)[:, None]).mean(0)
        self.reward = float(np.mean(reward))

    def update(self):
        time.sleep(self.config.slow_s)
        self.updates += 1
        self.policy = self.policy + self.config.rate * torch.from_numpy(np.tanh(self.trace))
        bad = self.config.nan_at and self.updates >= self.config.nan_at
        return {"reward": float("nan") if bad else self.reward}

    def state_dict(self):
        state = {"policy": self.policy, "updates": self.updates, "trace": self.trace}
        if hasattr(self, "noise"):
            state |= {"memory": self.memory, "noise": pack_generator(self.noise)}
        return state

    def load_state_dict(self, state):
        self.policy, self.updates, self.trace = state["policy"], state["updates"], state["trace"]
        self.memory, self.noise = state["memory"], unpack_generator(state["noise"])

    def load_policy(self, state):
        self.policy = state["policy"]


@dataclass(frozen=True)
class LaneState(EnvConfig):
    """LaneFollow without its image options."""

    id: str = "neuroctl/LaneFollow-v0"
    max_steps: int = 60

    def kwargs(self):
        return {"observation": "state", "max_steps": self.max_steps}


def _imitation(**options):
    from neuroctl.agents.imitation_config import ImitationConfig

    return ImitationConfig(
        **{"cell": "lstm", "hidden_size": 8, "features": 8, "sequence_length": 16, "batch_size": 4, **options}
    )


def online():
    return TrainConfig(
        ToyEnv(), ToyConfig(), preset="toytest-online", steps=60, num_envs=4, log_every=7, checkpoint_every=20
    )


def forgetful():
    return dataclasses.replace(online(), env=ToyEnv("toytest/Forgetful-v0"), preset="toytest-forgetful")


def cloning():
    return TrainConfig(
        LaneState(),
        _imitation(),
        preset="toytest-cloning",
        demonstrations=DemonstrationsConfig(episodes=20, shifts=("action-noise:2",)),
        steps=60,
        log_every=7,
        checkpoint_every=20,
        keep_checkpoints=2,
    )


def burn_in():
    return dataclasses.replace(cloning(), agent=_imitation(burn_in=4), preset="toytest-burn-in")


def dagger():
    demonstrations = DemonstrationsConfig(episodes=4, dagger_every=20, dagger_episodes=3)
    agent = _imitation(cell="cfc", rank=3, sparsity=0.5)
    return dataclasses.replace(cloning(), agent=agent, demonstrations=demonstrations, preset="toytest-dagger")


def evaluated():
    """Under this seed the policy gets worse, so the first evaluation is the best."""
    return dataclasses.replace(
        online(), agent=ToyConfig(rate=0.1), seed=3, evaluate_every=15, preset="toytest-evaluated"
    )


PRESETS = {f.__name__.replace("_", "-"): f for f in (online, forgetful, cloning, burn_in, dagger, evaluated)}


def register_toys():
    gym.register("toytest/Drift-v0", vector_entry_point=cast(Any, DriftVector))
    gym.register("toytest/Forgetful-v0", entry_point=cast(Any, Forgetful))
    registry.agents.register("toytest-online", f"{__name__}:ToyAgent")
    for name, preset in PRESETS.items():
        registry.presets.register(f"toytest-{name}", f"{__name__}:{preset.__name__}")


def forget_toys():
    for name in ("toytest/Drift-v0", "toytest/Forgetful-v0"):
        gym.registry.pop(name)
    registry.agents.entries.pop("toytest-online")
    for name in PRESETS:
        registry.presets.entries.pop(f"toytest-{name}")


@pytest.fixture(scope="module", autouse=True)
def toys():
    register_toys()
    yield
    forget_toys()


def preset(name, **changes):
    return dataclasses.replace(PRESETS[name](), **changes)


@dataclass
class StopAt:
    """Progress displays; calls `action` when that of `label` has advanced by `count`."""

    label: str
    count: int
    action: Callable[[], None]
    left: int = field(init=False)

    def __call__(self, label, total, unit):
        display = StopAt(label, self.count, self.action)
        display.left = self.count if label.startswith(self.label) else -1
        return display

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def advance(self, amount=1, note=""):
        if self.left > 0:
            self.left -= amount
            if self.left <= 0:
                self.action()

    def skip(self, amount):
        self.advance(amount)


def interrupt():
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as in a background job of a shell
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.kill(os.getpid(), signal.SIGINT)


def assert_same(run, other):
    """Last checkpoint and metrics of two runs are equal, but for the named time fields."""
    (step, trees), (other_step, other_trees) = run.checkpoints.load(), other.checkpoints.load()
    assert step == other_step == run.config.steps
    assert tree_hash(trees) == tree_hash(other_trees)
    assert timeless(run) == timeless(other)
    assert len(timeless(run)) >= run.config.steps // run.config.log_every


def timeless(run):
    return [{key: value for key, value in line.items() if key not in TIME_FIELDS} for line in run.metrics()]


# -- kills -----------------------------------------------------------------------------------------------------


def killed_and_resumed(config, folder, moments):
    """Train in child processes that are killed after `moments` (fractions of the whole), then to the end."""
    start = time.monotonic()
    train(config, out=folder / "warm-up")
    train(config, out=folder / "whole")
    duration = (time.monotonic() - start) / 2
    killed = folder / "killed"

    def train_on():
        resumable = (killed / "config.json").exists()
        train(**({"resume": killed} if resumable else {"config": config, "out": killed}))

    for moment in moments:
        child = os.fork()
        if child == 0:
            try:
                train_on()
            finally:
                os._exit(0)
        time.sleep(moment * duration)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if not (killed / "config.json").exists():  # too early for anything to be resumed
            continue
        steps = [path.name for path in Run(folder / "killed").checkpoints.all()]
        recorded = len(list((folder / "killed").glob("data/*/episodes/*.npz")))
        sys.stdout.write(f"killed at {moment:.2f}: checkpoints {steps}, {recorded} episodes\n")
    train_on()


CONTROL = """
import sys
from pathlib import Path
import importlib.util
spec = importlib.util.spec_from_file_location("toys_of_training", sys.argv[1])
toys = importlib.util.module_from_spec(spec)
sys.modules["toys_of_training"] = toys
spec.loader.exec_module(toys)
toys.register_toys()
config = toys.preset(sys.argv[2])
toys.killed_and_resumed(config, Path(sys.argv[3]), [float(m) for m in sys.argv[4:]])
"""


@pytest.mark.parametrize("name", ["online", "cloning", "dagger"])
def test_a_run_killed_at_random_moments_and_resumed_equals_the_uninterrupted_run(name, tmp_path):
    rng = random.Random(name)
    moments = [str(rng.uniform(0.05, 0.7)) for _ in range(3)]
    done = subprocess.run(
        [sys.executable, "-c", CONTROL, __file__, name, tmp_path, *moments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    sys.stdout.write(done.stdout)
    assert_same(Run(tmp_path / "killed"), Run(tmp_path / "whole"))


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("at", [3, 20, 47])
def test_a_run_stopped_after_any_step_and_resumed_equals_the_uninterrupted_run(name, at, tmp_path, whole):
    class Stop(BaseException):
        pass

    def stop():
        raise Stop

    with pytest.raises(Stop):
        train(preset(name), out=tmp_path / "run", progress=StopAt("training", at, stop))
    assert_same(train(resume=tmp_path / "run"), whole(name))


@pytest.mark.parametrize(("label", "count"), [("recording 000", 2), ("recording 001-dagger", 1), ("recording 002", 3)])
def test_a_run_stopped_while_recording_and_resumed_equals_the_uninterrupted_run(label, count, tmp_path, whole):
    class Stop(BaseException):
        pass

    def stop():
        raise Stop

    with pytest.raises(Stop):
        train(preset("dagger"), out=tmp_path / "run", progress=StopAt(label, count, stop))
    assert_same(train(resume=tmp_path / "run"), whole("dagger"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, toys):
    """Uninterrupted runs by name, each trained once."""
    runs = {}

    def get(name):
        if name not in runs:
            runs[name] = train(preset(name), out=tmp_path_factory.mktemp("whole") / name)
        return runs[name]

    return get


def test_the_program_killed_while_it_records_and_while_it_trains_resumes_to_equal_bits(tmp_path):
    options = "--seed 3 --steps 40 --log-every 5 --checkpoint-every 10 --env.observation state --env.max-steps 60"
    options += " --demonstrations.episodes 40 --agent.hidden-size 8 --agent.batch-size 4 --agent.sequence-length 16"
    start = [sys.executable, "-m", "neuroctl.launch.cli", "train", "lane-mlp", *options.split(), "--out"]

    def kill_when(command, happened):
        with (tmp_path / "errors").open("a") as errors:
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        while child.poll() is None and not happened():
            time.sleep(0.001)
        child.kill()
        return child.wait()

    run = tmp_path / "killed"
    episodes = run / "data" / "000-expert" / "episodes"
    resume = [*start[:4], "--resume", str(run)]
    codes = [kill_when([*start, str(run)], lambda: len(list(episodes.glob("*.npz"))) > 3)]
    recorded = len(list(episodes.glob("*.npz")))
    codes.append(kill_when(resume, (run / "checkpoints" / f"{10:09d}").exists))
    assert codes == [-signal.SIGKILL] * 2 and 3 < recorded < 40, (tmp_path / "errors").read_text()
    resumed = train(resume=run)
    config = json.loads((run / "config.json").read_text())["config"]
    assert_same(resumed, train(neuroctl.config.train_config_from_json(config), out=tmp_path / "whole"))


# -- same seed, same bits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_the_same_seed_gives_the_same_bits(name, tmp_path, whole):
    assert_same(train(preset(name), out=tmp_path / "again"), whole(name))


@pytest.mark.parametrize("name", ["online", "forgetful", "cloning"])
def test_another_seed_gives_another_run(name, tmp_path, whole):
    other = train(preset(name, seed=1), out=tmp_path / "other")
    assert timeless(other) != timeless(whole(name))
    assert tree_hash(other.checkpoints.load()[1]["agent"]) != tree_hash(whole(name).checkpoints.load()[1]["agent"])


def test_another_seed_plays_other_episodes(tmp_path, whole):
    runs = whole("online"), train(preset("online", seed=1, steps=20), out=tmp_path / "other")
    seeds = [run.checkpoints.load("20")[1]["loop"]["env"]["seeds"].tolist() for run in runs]
    assert not set(seeds[0]) & set(seeds[1])


def test_episodes_that_end_while_an_agent_learns_are_in_the_metrics(tmp_path, whole):
    seen: list[Any] = []

    class Watcher(Listener):
        def on_step(self, step):
            seen.append((step.index, step.reward.copy(), step.done.copy()))

        def on_end(self):
            seen.append("end")

    run = train(preset("online"), out=tmp_path / "run", listeners=[Watcher()])
    assert seen.pop() == "end"
    assert [index for index, _, _ in seen] == list(range(60))
    returns, ended = np.zeros(4), []
    for _, reward, done in seen[:7]:
        returns += reward
        ended += returns[done].tolist()
        returns[done] = 0
    line = run.metrics()[0]
    assert line["step"] == 7
    assert line.get("episode/return") == (pytest.approx(np.mean(ended)) if ended else None)
    assert any("episode/return" in line for line in run.metrics())
    assert tree_hash(run.checkpoints.load()[1]["agent"]) == tree_hash(whole("online").checkpoints.load()[1]["agent"])


def test_what_is_shown_and_how_often_it_is_logged_do_not_change_the_learning(tmp_path, whole):
    run = train(preset("online", log_every=13), out=tmp_path / "run")
    assert tree_hash(run.checkpoints.load()[1]["agent"]) == tree_hash(whole("online").checkpoints.load()[1]["agent"])


def test_evaluation_does_not_disturb_an_agent_that_learns_in_the_loop(tmp_path, whole):
    run = train(preset("evaluated", evaluate_every=0), out=tmp_path / "run")
    assert tree_hash(run.checkpoints.load()[1]["agent"]) == tree_hash(whole("evaluated").checkpoints.load()[1]["agent"])


# -- files of a run ----------------------------------------------------------------------------------------------


def test_log_lines_beyond_the_checkpoint_are_cut_when_a_run_goes_on(tmp_path, whole):
    with pytest.raises(TrainingInterruptedError):
        train(preset("cloning"), out=tmp_path / "run", progress=StopAt("training", 30, interrupt))
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 35, "loss": 7.0}\n{"step": 42, "lo')
    run = train(resume=tmp_path / "run")
    assert [line["step"] for line in run.metrics()] == [7, 14, 21, 28, 35, 42, 49, 56, 60]
    assert_same(run, whole("cloning"))


def test_a_damaged_newest_checkpoint_is_named_and_the_run_goes_on_from_the_one_before(tmp_path, whole):
    with pytest.raises(TrainingInterruptedError):
        train(preset("cloning"), out=tmp_path / "run", progress=StopAt("training", 47, interrupt))
    newest = tmp_path / "run" / "checkpoints" / "000000047" / "agent.safetensors"
    data = bytearray(newest.read_bytes())
    data[-1] ^= 1
    newest.write_bytes(data)
    with pytest.warns(RuntimeWarning, match=r"000000047/agent.safetensors is damaged.*going on from .*000000040"):
        run = train(resume=tmp_path / "run")
    assert_same(run, whole("cloning"))


def test_a_run_keeps_the_newest_checkpoints_and_the_best(whole):
    run = whole("evaluated")
    returns = {line["step"]: line["evaluation/return"] for line in run.metrics() if "evaluation/return" in line}
    assert list(returns) == [15, 30, 45, 60]
    assert max(returns, key=returns.__getitem__) == 15 and run.checkpoints.find("best").name == "000000015"
    assert len(run.checkpoints.all()) <= run.config.keep_checkpoints + 1
    assert [path.name for path in whole("cloning").checkpoints.all()] == ["000000040", "000000060"]


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    run = train(preset("online"), out=tmp_path / "run")
    before = tree_hash(run.checkpoints.load()[1]), run.metrics()
    again = train(resume=run.path)
    assert (tree_hash(again.checkpoints.load()[1]), again.metrics()) == before


# -- interrupts and NaN ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["online", "cloning"])
def test_ctrl_c_saves_the_step_and_says_how_to_go_on(name, tmp_path, whole):
    with pytest.raises(TrainingInterruptedError, match=r"saved at step 33; go on with: neuroctl train --resume .*run"):
        train(preset(name), out=tmp_path / "run", progress=StopAt("training", 33, interrupt))
    assert Run(tmp_path / "run").checkpoints.load()[0] == 33
    assert_same(train(resume=tmp_path / "run"), whole(name))


def test_ctrl_c_where_the_environment_cannot_be_saved_goes_back_to_the_last_checkpoint(tmp_path, whole):
    with pytest.raises(TrainingInterruptedError, match=r"saved at step 20; go on with"):
        train(preset("forgetful"), out=tmp_path / "run", progress=StopAt("training", 33, interrupt))
    assert_same(train(resume=tmp_path / "run"), whole("forgetful"))


def test_ctrl_c_while_recording_says_how_to_go_on(tmp_path, whole):
    with pytest.raises(TrainingInterruptedError, match=r"go on with: neuroctl train --resume .*run"):
        train(preset("cloning"), out=tmp_path / "run", progress=StopAt("recording", 2, interrupt))
    assert_same(train(resume=tmp_path / "run"), whole("cloning"))


def test_ctrl_c_of_the_program_saves_prints_how_to_resume_and_exits_with_130(tmp_path):
    options = "--steps 1000000 --log-every 1 --env.observation state --env.max-steps 60 --demonstrations.episodes 2"
    command = [sys.executable, "-m", "neuroctl.launch.cli", "train", "lane-mlp", *options.split(), "--out"]
    child = subprocess.Popen([*command, str(tmp_path / "run")], stderr=subprocess.PIPE, text=True)
    log = tmp_path / "run" / "metrics.jsonl"
    while child.poll() is None and not (log.exists() and log.stat().st_size > 300):
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=20)
    run = Run(tmp_path / "run")
    step = run.checkpoints.load()[0]
    assert child.returncode == 130
    assert errors.splitlines()[-1] == (
        f"interrupted; saved at step {step}; go on with: neuroctl train --resume {tmp_path / 'run'}"
    )
    assert step >= run.metrics()[-1]["step"] > 0


def test_a_loss_that_is_nan_stops_says_where_dumps_and_keeps_the_last_good_checkpoint(tmp_path):
    config = preset("online", steps=200, checkpoint_every=30, agent=ToyConfig(nan_at=137))
    with pytest.raises(NonFiniteError, match=r"reward is nan at step 137;.*last good checkpoint: step 120"):
        train(config, out=tmp_path / "run")
    step, trees = Run(tmp_path / "run").checkpoints.load()
    assert step == 120 and torch.isfinite(trees["agent"]["policy"]).all()
    updates = json.loads((tmp_path / "run" / "dump" / "updates.json").read_text())
    assert len(updates) == 100 and np.isnan(updates[-1]["reward"]) and np.isfinite(updates[-2]["reward"])
    assert all(np.isfinite(list(line.values())).all() for line in Run(tmp_path / "run").metrics())


def test_nan_from_the_environment_stops_says_where_and_dumps_the_last_steps(tmp_path):
    config = preset("online", env=ToyEnv(nan_at=6))
    with pytest.raises(NonFiniteError, match=r"row 0 is not finite at step 5; the last 6 steps are in .*dump"):
        train(config, out=tmp_path / "run")
    assert Run(tmp_path / "run").checkpoints.load()[0] == 0
    assert list((tmp_path / "run" / "dump").glob("*/steps.safetensors"))


def test_a_loss_of_imitation_that_is_nan_stops_and_says_where(tmp_path):
    config = preset("cloning", agent=_imitation(learning_rate=1e30, gradient_clip=1e30))
    with pytest.raises(NonFiniteError, match=r"(loss|gradient_norm) is (nan|inf) at step \d+; the last \d+ updates"):
        train(config, out=tmp_path / "run")
    assert Run(tmp_path / "run").checkpoints.load()[0] == 0


# -- where a run starts from -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["online", "cloning"])
def test_a_warm_start_copies_the_policy_and_nothing_else(name, tmp_path, whole):
    source = whole(name)
    run = train(preset(name, seed=5, steps=1, warm_start=source.path, keep_checkpoints=5), out=tmp_path / "run")
    start, end = (run.checkpoints.load(str(step))[1]["agent"] for step in (0, 1))
    learned = source.checkpoints.load()[1]["agent"]
    assert tree_hash(start["policy"]) == tree_hash(learned["policy"])
    assert start["updates"] == 0
    assert tree_hash(end["policy"]) != tree_hash(learned["policy"])


def test_a_resumed_run_does_not_need_what_it_was_warm_started_from(tmp_path, whole):
    shutil.copytree(whole("online").path, tmp_path / "source")
    train(preset("online", seed=5, steps=1, warm_start=tmp_path / "source"), out=tmp_path / "run")
    shutil.rmtree(tmp_path / "source")
    assert train(resume=tmp_path / "run").checkpoints.load()[0] == 1


def test_a_warm_start_from_a_policy_that_does_not_fit_is_refused(tmp_path, whole):
    for agent in (_imitation(hidden_size=9), _imitation(cell="mlp")):
        config = preset("cloning", agent=agent, warm_start=whole("cloning").path)
        with pytest.raises(NeuroctlError, match="its policy does not fit this one") as error:
            train(config, out=tmp_path / agent.cell)
        assert "\n" not in str(error.value)


def test_a_run_on_another_ones_encoder_resumes_with_the_same_bits(tmp_path, whole):
    source = whole("cloning").path
    agent = _imitation(cell="gru", freeze_encoder=True)
    config = preset("cloning", agent=agent, warm_start=source, steps=20, checkpoint_every=10)
    one = train(config, out=tmp_path / "one")
    two = train(config, out=tmp_path / "two", until=10)
    two = train(resume=two.path)
    assert tree_hash(one.checkpoints.load()[1]["agent"]) == tree_hash(two.checkpoints.load()[1]["agent"])
    theirs, ours = (run.checkpoints.load()[1]["agent"]["policy"] for run in (Run(source), one))
    encoder = [name for name in theirs if name.startswith("encoder.")]
    assert encoder and all(torch.equal(theirs[name], ours[name]) for name in encoder)


def test_an_encoder_that_does_not_fit_or_that_nobody_named_is_refused(tmp_path, whole):
    config = preset("cloning", agent=_imitation(freeze_encoder=True))
    with pytest.raises(NeuroctlError, match="agent.freeze_encoder needs warm_start"):
        train(config, out=tmp_path / "run")
    config = preset("cloning", agent=_imitation(features=5, freeze_encoder=True), warm_start=whole("cloning").path)
    with pytest.raises(NeuroctlError, match="its policy does not fit this one") as error:
        train(config, out=tmp_path / "run")
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_a_warm_start_from_nothing_is_refused(tmp_path):
    with pytest.raises(NeuroctlError, match="no run at"):
        train(preset("online", warm_start=tmp_path / "none"), out=tmp_path / "run")


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory):
    path = tmp_path_factory.mktemp("demonstrations") / "expert"
    record("expert", path, episodes=6, env_id=LaneState.id, env_kwargs=LaneState().kwargs(), seed=9)
    return path


def test_training_uses_the_first_episodes_of_an_existing_recording(tmp_path, demonstrations):
    record("expert", tmp_path / "two", episodes=2, env_id=LaneState.id, env_kwargs=LaneState().kwargs(), seed=9)
    runs = [
        train(preset("cloning", demonstrations=DemonstrationsConfig(path=path, episodes=n)), out=tmp_path / name)
        for name, path, n in (("a", demonstrations, 2), ("b", tmp_path / "two", 2), ("c", demonstrations, 6))
    ]
    a, b, c = (tree_hash(run.checkpoints.load()[1]["agent"]) for run in runs)
    assert a == b != c
    assert not (tmp_path / "a" / "data").exists()


def test_a_recording_that_does_not_fit_is_refused_before_a_run_folder_is_made(tmp_path, demonstrations):
    def refused(message, **changes):
        demos = DemonstrationsConfig(path=changes.pop("path", demonstrations), episodes=changes.pop("episodes", 6))
        with pytest.raises(NeuroctlError, match=message):
            train(preset("cloning", demonstrations=demos, **changes), out=tmp_path / "run")
        assert not (tmp_path / "run").exists()

    refused("no recording at", path=tmp_path / "none")
    refused("holds 6 episodes; 7 are asked for", episodes=7)
    record("random", tmp_path / "toy", episodes=1, env_id="toytest/Drift-v0")
    refused("was recorded in toytest/Drift-v0, not in neuroctl/LaneFollow-v0", path=tmp_path / "toy", episodes=1)
    retina = {"max_steps": 5, "observation": "retina", "retina_size": (4, 16)}
    record("expert", tmp_path / "retina", episodes=1, env_id=LaneState.id, env_kwargs=retina)
    refused("recorded with observations of Box.*the environment has Box", path=tmp_path / "retina", episodes=1)


def test_episodes_too_short_to_learn_from_are_refused_before_anything_is_recorded(
    tmp_path, demonstrations, monkeypatch
):
    def refused(longest, demos):
        config = preset("cloning", agent=_imitation(burn_in=longest), demonstrations=demos)
        with pytest.raises(
            NeuroctlError, match=f"burn_in is {longest}; episodes to learn from have at most {longest} "
        ):
            train(config, out=tmp_path / "run")
        assert not (tmp_path / "run").exists()

    lengths = [entry["length"] for entry in neuroctl.Recording(demonstrations).index.values()]
    with monkeypatch.context() as patch:
        patch.setattr("neuroctl.training.record_player", None)
        refused(60, DemonstrationsConfig(episodes=1))
        refused(max(lengths), DemonstrationsConfig(path=demonstrations))
    config = preset("cloning", agent=_imitation(burn_in=59, sequence_length=1), steps=1)
    config = dataclasses.replace(config, demonstrations=DemonstrationsConfig(episodes=1))
    assert train(config, out=tmp_path / "run").metrics()


def test_an_expert_or_an_episode_that_does_not_exist_is_refused_before_a_run_folder_is_made(tmp_path, demonstrations):
    empty = neuroctl.Recording.create(tmp_path / "empty", neuroctl.Recording(demonstrations).info)
    foreign = EnvConfig("toytest/Forgetful-v0")
    for changes, message in (
        ({"env": foreign, "demonstrations": DemonstrationsConfig()}, "toytest/Forgetful-v0 has no scripted expert"),
        ({"demonstrations": DemonstrationsConfig(path=empty.path)}, "empty holds no episodes"),
    ):
        with pytest.raises(NeuroctlError, match=message):
            train(preset("cloning", **changes), out=tmp_path / "run")
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("demos", [DemonstrationsConfig(dagger_every=5), DemonstrationsConfig(episodes=3)])
def test_demonstrations_have_no_effect_on_an_agent_that_learns_in_the_loop(demos, tmp_path):
    with pytest.raises(NeuroctlError, match="demonstrations have no effect with an agent that learns in the loop"):
        train(preset("online", demonstrations=demos), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device": "tpu"}, "unknown device 'tpu'; devices here: cpu"),
        ({"num_envs": 4}, "num_envs has no effect with an agent that learns from recordings"),
        ({"env": LaneState("neuroctl/LaneFolow-v0")}, "unknown environment"),
        ({"agent": ToyConfig("toytest-offline")}, "unknown agent 'toytest-offline'.*toytest-online"),
    ],
)
def test_a_mistake_is_refused_before_a_run_folder_is_made(changes, message, tmp_path):
    with pytest.raises(NeuroctlError, match=message):
        train(preset("cloning", **changes), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_of_a_device_that_is_not_here_cannot_be_resumed_here(tmp_path):
    run = train(preset("online"), out=tmp_path / "run")
    path = run.path / "config.json"
    path.write_text(path.read_text().replace('"device": "cpu"', '"device": "cuda:77"'))
    with pytest.raises(NeuroctlError, match="unknown device 'cuda:77'"):
        train(resume=run.path)


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(NeuroctlError, match="is not empty; choose another --out$"):
        train(preset("online"), out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(NeuroctlError, match="is not empty; choose another --out, or go on with --resume"):
        train(preset("online"), out=tmp_path)


def test_a_run_is_either_new_or_resumed(tmp_path):
    for arguments in ({}, {"config": preset("online"), "resume": tmp_path}, {"resume": tmp_path, "out": tmp_path}):
        with pytest.raises(NeuroctlError):
            train(**arguments)


def test_dagger_collects_the_policys_own_episodes_with_the_experts_labels(whole):
    run = whole("dagger")
    names = sorted(path.name for path in (run.path / "data").iterdir())
    assert names == ["000-expert", "001-dagger", "002-dagger"]
    recording = neuroctl.Recording(run.path / "data" / "001-dagger")
    assert len(recording) == 3
    assert any(not np.array_equal(recording.episode(n).label, recording.episode(n).action) for n in range(3))
    assert run.checkpoints.load()[1]["trainer"]["rounds"] == names


def test_one_run_is_not_trained_by_two_processes(tmp_path):
    run = train(dataclasses.replace(preset("online"), steps=4, checkpoint_every=2), out=tmp_path / "run")
    with only_writer(run.path, "trained"), pytest.raises(NeuroctlError, match="is being trained by another process"):
        train(resume=run.path)
