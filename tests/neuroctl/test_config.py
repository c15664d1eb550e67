"""Configuration: typed, frozen, and the same after config.json."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl import registry
from neuroctl.config import DemonstrationsConfig, TrainConfig, parse_options, to_json, train_config_from_json
from neuroctl.errors import DamagedFileError, NeuroctlError, UnknownNameError

PRESETS = ("lane-cfc", "lane-cfc-dense", "lane-lstm", "lane-mlp")

OVERRIDES = {
    "seed": 3,
    "num_threads": 2,
    "warm_start": Path("runs/a b"),
    "evaluation_options": ("track_seeds=(5,6)", "camera=far"),
    "demonstrations": DemonstrationsConfig(Path("demos"), 7, ("gain:1", "friction:2"), 5, 6),
}


def preset(name, **changes):
    return dataclasses.replace(registry.presets.load(name)(), **changes)


def through_json(config):
    return train_config_from_json(json.loads(json.dumps(to_json(config))))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_the_same_after_json(name):
    assert through_json(preset(name)) == preset(name)
    assert through_json(preset(name)).preset == name


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_with_overrides_is_the_same_after_json_in_values_and_types(name):
    config = preset(name, **OVERRIDES)
    env = dataclasses.replace(config.env, retina_size=(8, 32), blackout_s=1.0, camera="far", max_steps=10)
    agent = dataclasses.replace(config.agent, burn_in=3, head="squashed", learning_rate=1.0)
    config = dataclasses.replace(config, env=env, agent=agent)
    again = through_json(config)
    assert again == config
    assert repr(again) == repr(config)  # 1 == 1.0, but their bits in a run differ
    assert isinstance(again.warm_start, Path) and isinstance(again.env.retina_size, tuple)


def test_whole_numbers_in_a_file_stay_floats_where_floats_are_meant():
    content = to_json(preset("lane-cfc"))
    content["agent"]["learning_rate"] = 1
    content["agent"]["sparsity"] = 0
    agent: Any = train_config_from_json(content).agent
    assert repr((agent.learning_rate, agent.sparsity)) == "(1.0, 0.0)"


@pytest.mark.parametrize("where", ["", "env", "agent", "demonstrations"])
def test_an_unknown_option_is_refused_with_those_that_exist(where):
    content = to_json(preset("lane-cfc"))
    (content[where] if where else content)["stepz"] = 1
    with pytest.raises(DamagedFileError, match=f"config.?{where} has no option 'stepz'; options: "):
        train_config_from_json(content)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("steps", "many"),
        ("steps", 1.5),
        ("steps", None),
        ("steps", True),
        ("warm_start", 3),
        ("evaluation_options", "a=1"),
        ("evaluation_options", [1]),
        ("env", 3),
        ("env.retina_size", [1, 2, 3]),
        ("env.discrete_steering", "no"),
        ("env.camera", "side"),
        ("agent.learning_rate", "fast"),
        ("agent.cell", 1),
        ("agent.cfc_mode", "Pure"),
        ("agent.rank", 2.5),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(path, value):
    content = to_json(preset("lane-cfc"))
    *parents, name = path.split(".")
    for parent in parents:
        content = content[parent]
    content[name] = value
    whole = to_json(preset("lane-cfc"))
    (whole[parents[0]] if parents else whole)[name] = value
    with pytest.raises(DamagedFileError, match=f"config.{path}"):
        train_config_from_json(whole)


def test_the_preset_of_a_file_must_exist():
    with pytest.raises(UnknownNameError, match="unknown preset 'lane-gru'; did you mean 'lane-"):
        train_config_from_json({**to_json(preset("lane-cfc")), "preset": "lane-gru"})


@pytest.mark.parametrize(
    ("name", "value"),
    [(n, 0) for n in ("steps", "num_envs", "log_every", "checkpoint_every", "keep_checkpoints", "num_threads")]
    + [("seed", -1), ("evaluate_every", -1)],
)
def test_values_that_mean_nothing_are_refused(name, value):
    with pytest.raises(NeuroctlError, match=f"^{name} must be an integer (>=|from) {value + 1}.*, got {value}$"):
        preset("lane-cfc", **{name: value})


@pytest.mark.parametrize("value", ["10", 2.5, True, float("nan"), 2**63, [1]])
def test_a_seed_is_an_integer_that_every_stream_takes(value):
    with pytest.raises(NeuroctlError, match=r"^seed must be an integer from 0 to 9223372036854775807, got "):
        preset("lane-cfc", seed=value)
    with pytest.raises(NeuroctlError, match=r"^steps must be an integer >= 1, got None$"):
        preset("lane-cfc", steps=None)


def test_numbers_of_numpy_are_written_as_pythons():
    config = preset("lane-cfc", seed=np.int64(3), steps=np.int32(7))
    config = dataclasses.replace(config, agent=dataclasses.replace(config.agent, learning_rate=np.float64(1e-3)))
    assert repr(through_json(config)) == repr(
        dataclasses.replace(
            preset("lane-cfc", seed=3, steps=7), agent=dataclasses.replace(config.agent, learning_rate=1e-3)
        )
    )


@pytest.mark.parametrize(("name", "value"), [("episodes", 0), ("dagger_every", -5), ("dagger_episodes", 0)])
def test_demonstrations_that_mean_nothing_are_refused(name, value):
    with pytest.raises(NeuroctlError, match=f"demonstrations.{name} must be an integer >= .*, got {value}"):
        DemonstrationsConfig(**{name: value})


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        preset("lane-cfc").seed = 2


def test_options_are_python_literals_or_strings():
    given = ("a=0.5", "b=(1,2)", "c=far", "d=True", "e=None", "f=x=y", "g='3'")
    parsed = {"a": 0.5, "b": (1, 2), "c": "far", "d": True, "e": None, "f": "x=y", "g": "3"}
    assert parse_options(given) == parsed


def test_nan_and_infinity_are_numbers():
    given = ("a=nan", "b=-inf", "c=(0.2, inf)", "d=[1, NaN]", "e='nan'", "f=nano", "g=+Infinity")
    parsed = parse_options(given)
    expected = "{'a': nan, 'b': -inf, 'c': (0.2, inf), 'd': [1, nan], 'e': 'nan', 'f': 'nano', 'g': inf}"
    assert repr(parsed) == expected


@pytest.mark.parametrize(
    "text", ["{[]: 1}", "{[1]}", "10**400", "nan+1", "(" * 500, "-" * 100_000 + "1", "[1, [2"], ids=lambda t: t[:9]
)
def test_what_python_cannot_read_as_a_literal_is_a_string(text):
    assert parse_options([f"a={text}"]) == {"a": text}


def test_an_option_given_twice_is_refused_by_name():
    with pytest.raises(NeuroctlError, match=r"^option 'a' is given twice: 1 and 2$"):
        parse_options(["a=1", "b=3", "a=2"])
    with pytest.raises(NeuroctlError, match="option 'camera' is given twice"):
        preset("lane-cfc", evaluation_options=("camera=far", "camera=near"))


@pytest.mark.parametrize("option", ["blackout_s", "=1", "a-b=1", "a b=1", ""])
def test_an_option_of_another_form_is_refused(option):
    with pytest.raises(NeuroctlError, match="is not of the form name=value"):
        parse_options([option])
    with pytest.raises(NeuroctlError, match="is not of the form name=value"):
        preset("lane-cfc", evaluation_options=(option,))


def test_evaluation_options_replace_those_of_the_training_environment():
    kwargs = preset("lane-cfc").evaluation_kwargs()
    assert kwargs["track_seeds"] == (1000, 1100) != preset("lane-cfc").env.track_seeds
    assert {**kwargs, "track_seeds": (0, 100)} == preset("lane-cfc").env.kwargs()
    assert "id" not in kwargs


def test_every_field_has_a_help_text():
    import inspect

    configs = [TrainConfig, DemonstrationsConfig, type(preset("lane-cfc").env), type(preset("lane-cfc").agent)]
    for config in configs:
        source = inspect.getsource(config)
        lines = [line.strip() for line in source.splitlines()]
        for name in config.__annotations__:
            at = next(i for i, line in enumerate(lines) if line.startswith(f"{name}:"))
            assert lines[at + 1].startswith('"""'), f"{config.__name__}.{name} has no help text"
