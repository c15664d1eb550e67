"""What a sweep may vary, and how it is written."""

from typing import Any

import pytest

from neuroctl.errors import NeuroctlError, UnknownNameError
from neuroctl.search_space import Axis, check_axes, parse_axis, with_values
from tests.neuroctl import toys


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("agent.noise=0.1..0.5", Axis("agent.noise", low=0.1, high=0.5)),
        ("agent.noise=log:1e-3..1", Axis("agent.noise", low=1e-3, high=1, log=True)),
        ("num_envs=1..8", Axis("num_envs", low=1, high=8)),
        ("agent.name=a,b", Axis("agent.name", choices=("a", "b"))),
        ("env.image=True,False", Axis("env.image", choices=(True, False))),
        ("steps=100", Axis("steps", choices=(100,))),
        ("warm_start=../a,../b", Axis("warm_start", choices=("../a", "../b"))),
        ("env.size=(1, 2),(3, 4)", Axis("env.size", choices=((1, 2), (3, 4)))),
    ],
)
def test_an_axis_is_written_as_it_is_read(text: str, axis: Axis) -> None:
    assert parse_axis(text) == axis


@pytest.mark.parametrize(
    "text",
    [
        "",
        "noise",
        "=1",
        "noise=",
        "noise=log:1,2",
        "noise=2..1",
        "noise=1..1",
        "noise=log:0..1",
        "noise=log:a..b",
        "noise=0..inf",
    ],
)
def test_what_is_no_axis_is_refused(text: str) -> None:
    with pytest.raises(NeuroctlError, match=r"^cannot vary '.*'; (allowed: |a range needs )"):
        parse_axis(text)


class Low:
    """Stands for an Optuna trial: the lowest value of everything."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> int:
        return low

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        return low + (0.001 if log else 0.0)

    def suggest_categorical(self, name: str, choices: list[int]) -> int:
        return choices[0]


def test_whole_bounds_give_whole_numbers() -> None:
    low: Any = Low()
    assert (parse_axis("a=1..8").suggest(low), type(parse_axis("a=1..8").suggest(low))) == (1, int)
    assert (parse_axis("a=1.0..8").suggest(low), type(parse_axis("a=1.0..8").suggest(low))) == (1.0, float)
    assert parse_axis("a=log:0.5..8").suggest(low) == 0.501
    assert parse_axis("a=(1, 2),b").suggest(low) == (1, 2)


def test_values_are_put_where_their_names_say() -> None:
    config = with_values(toys.preset(), {"agent.noise": 0.25, "steps": 7, "env.friction": 2})
    assert (config.agent.noise, config.steps, config.env.friction) == (0.25, 7, 2.0)  # type: ignore[attr-defined]
    assert with_values(toys.preset(), {}) == toys.preset()


def test_options_that_do_not_exist_or_fit_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown option 'agent.nose'; did you mean 'agent.noise'\?"):
        check_axes(toys.preset(), [parse_axis("agent.nose=1,2")])
    for name in ("agent", "agent.noise.x"):
        with pytest.raises(UnknownNameError, match="unknown option"):
            check_axes(toys.preset(), [parse_axis(f"{name}=1,2")])
    with pytest.raises(NeuroctlError, match="^agent.noise is 'loud', which is not of type float"):
        check_axes(toys.preset(), [parse_axis("agent.noise=1,loud")])
    with pytest.raises(NeuroctlError, match="^num_envs must be an integer >= 1, got 0"):
        check_axes(toys.preset(), [parse_axis("num_envs=0..9")])
    with pytest.raises(NeuroctlError, match="num_envs is varied twice"):
        check_axes(toys.preset(), [parse_axis("num_envs=1..9"), parse_axis("num_envs=3,4")])
    with pytest.raises(NeuroctlError, match="unknown device 'tpu'; devices here: cpu"):
        check_axes(toys.preset(), [parse_axis("device=cpu,tpu")])
    with pytest.raises(NeuroctlError, match="nothing varies: name at least one option"):
        check_axes(toys.preset(), [])
    for name in ("seed", "preset", "steps", "checkpoint_every", "keep_checkpoints"):
        with pytest.raises(NeuroctlError, match=f"{name} cannot be varied: it is the same in all trials"):
            check_axes(toys.preset(), [parse_axis(f"{name}=1,2")])
