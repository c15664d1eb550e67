"""metrics.jsonl: means between lines, cut at the step a run goes on from."""

import importlib
import json

import numpy as np
import pytest

from neuroctl.errors import NonFiniteError
from neuroctl.metrics import TIME_FIELDS, Metrics


@pytest.fixture
def metrics(tmp_path):
    opened = []

    def make(step=0):
        opened.append(Metrics(tmp_path, step))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def lines(path):
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def test_a_line_holds_the_means_since_the_last_line(metrics, tmp_path):
    log = metrics()
    for step, loss in enumerate([1.0, 2.0, 6.0, 10.0], start=1):
        log.add({"loss": loss, **({"rare": 5.0} if step == 2 else {})}, step)
        if step >= 3:
            log.write(step)
    first, second = lines(tmp_path)
    assert (first["step"], first["loss"], first["rare"]) == (3, 3.0, 5.0)
    assert (second["step"], second["loss"]) == (4, 10.0)
    assert "rare" not in second


def test_a_line_is_on_disk_when_write_returns_with_the_extra_values_and_the_time(metrics, tmp_path):
    log = metrics(10)
    written = log.write(30, {"evaluation/return": 2.5})
    assert lines(tmp_path) == [written]
    assert written["evaluation/return"] == 2.5
    assert set(TIME_FIELDS) <= set(written)
    assert written["steps_per_s"] == pytest.approx(20 / written["time_s"])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_is_named_with_its_step(metrics, bad):
    with pytest.raises(NonFiniteError, match=f"loss is {bad} at step 12"):
        metrics().add({"fine": 1.0, "loss": bad}, 12)


def test_lines_beyond_the_step_and_a_torn_line_are_cut(metrics, tmp_path):
    text = "".join(json.dumps({"step": s}) + "\n" for s in (5, 10, 15, 20))
    (tmp_path / "metrics.jsonl").write_text(text + '{"step": 3, "lo')
    log = metrics(10)
    log.write(12)
    assert [line["step"] for line in lines(tmp_path)] == [5, 10, 12]


def test_means_that_are_not_yet_written_survive_a_save_bit_for_bit(metrics, tmp_path):
    values = np.random.default_rng(0).normal(size=20).tolist()
    whole = metrics()
    for step, value in enumerate(values, start=1):
        whole.add({"loss": value}, step)
    expected = whole.write(20)["loss"]
    half = metrics()
    for step, value in enumerate(values[:9], start=1):
        half.add({"loss": value}, step)
    state = json.loads(json.dumps(half.state_dict()))
    resumed = metrics(9)
    resumed.load_state_dict(state)
    for step, value in enumerate(values[9:], start=10):
        resumed.add({"loss": value}, step)
    assert resumed.write(20)["loss"] == expected
    assert state == json.loads(json.dumps(half.state_dict())), "the saved state changed afterwards"


def test_tensorboard_shows_the_same_values_and_nothing_beyond_the_step(metrics, tmp_path):
    accumulator = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")  # has no types

    log = metrics()
    for step in (5, 10, 15):
        log.write(step, {"loss": float(step)})
    log.close()
    (file,) = (tmp_path / "tensorboard").iterdir()
    file.rename(file.with_name("events.out.tfevents.1.earlier"))  # files are read in the order of their names
    again = metrics(10)
    again.write(12, {"loss": 99.0})
    again.close()
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(5, 5.0), (10, 10.0), (12, 99.0)]
