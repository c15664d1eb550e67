from typing import Any

import numpy as np
import pytest

from neuroctl.agents.spiking import PlasticityRule
from neuroctl.agents.spiking.plasticity import checked_real
from neuroctl.errors import NeuroctlError, NonFiniteError


class Hebbian(PlasticityRule):
    """A rule of one's own: weights grow with spikes times trace, at every step."""

    def __init__(self, num_pre, num_post, **options):
        super().__init__(num_pre, num_post, **options)
        self._weight = np.ones((self.batch_size, num_pre, num_post))

    @property
    def weight(self):
        return self._weight.copy()

    @property
    def steps_until_update(self):
        return 1

    def advance(self, spikes_pre, bap, reward, *, spikes_post=None):
        spikes, trace, rewards = self.checked_steps(spikes_pre, bap, reward)
        change = np.einsum("tbi,tbj,tb->bij", spikes, trace, rewards)
        self._weight += self.learning_rate * self.dt_ms * change

    def state_dict(self):
        return {"weight": self.weight}

    def load_state_dict(self, state):
        self._weight = np.array(state["weight"])

    def statistics(self):
        return {"mean": self._weight.mean(axis=(1, 2))}


OPTIONS: dict[str, Any] = {"batch_size": 2, "dt_ms": 1.0, "learning_rate": 0.5, "temperature": 0.0}


def rule(**options):
    return Hebbian(3, 2, **{**OPTIONS, **options})


def steps(spikes=0, bap=0.0, reward=0.0, count=4):
    return np.full((count, 2, 3), spikes), np.full((count, 2, 2), bap), np.full((count, 2), reward)


def test_the_contract_is_all_a_rule_needs():
    hebbian = rule()
    hebbian.advance(*steps(1, 0.5, 2.0))
    assert hebbian.weight == pytest.approx(np.full((2, 3, 2), 1 + 0.5 * 4 * 0.5 * 2.0))
    hebbian.learning_rate = 0.0
    hebbian.advance(*steps(1, 0.5, 2.0))
    assert hebbian.statistics()["mean"] == pytest.approx([3.0, 3.0])
    hebbian.load_state_dict({"weight": np.arange(12.0).reshape(2, 3, 2)})
    assert hebbian.num_active.tolist() == [5, 6]
    assert hebbian.counts() == {}
    assert hebbian.greatest_weight == np.inf


def test_a_rule_of_arrays_adopts_their_rows():
    hebbian, other = rule(), Hebbian(3, 2, **{**OPTIONS, "batch_size": 4})
    other.load_state_dict({"weight": np.arange(24.0).reshape(4, 3, 2)})
    hebbian.adopt(other.state_dict(), [3, 1])
    assert np.array_equal(hebbian.weight, other.weight[[3, 1]])
    with pytest.raises(NeuroctlError, match="members must be 2 integers from 0 to 3, got"):
        hebbian.adopt(other.state_dict(), [4, 1])


def test_a_rule_without_a_method_cannot_be_made():
    class Half(PlasticityRule):
        pass

    with pytest.raises(TypeError, match="abstract"):
        half: Any = Half
        half(3, 2, **OPTIONS)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float32, float])
def test_spikes_are_whole_numbers_of_any_type(kind):
    spikes, _, _ = rule().checked_steps(*(a.astype(kind) if n == 0 else a for n, a in enumerate(steps(1))))
    assert spikes.dtype == np.uint8
    assert (spikes == 1).all()


@pytest.mark.parametrize("wrong", [-1, 256, 0.5, np.nan, np.inf])
def test_other_spikes_are_refused(wrong):
    data = steps(0.0)
    data[0][3, 1, 2] = wrong
    with pytest.raises(NeuroctlError, match=f"spikes_pre must be whole numbers from 0 to 255, got {float(wrong)}"):
        rule().advance(*data)


@pytest.mark.parametrize(("place", "name"), [(0, "spikes_pre"), (1, "bap"), (2, "reward")])
def test_shapes_that_do_not_fit_are_refused(place, name):
    data = list(steps())
    data[place] = data[place][:, :1]
    with pytest.raises(NeuroctlError, match=rf"{name} must have shape \(4, 2"):
        rule().advance(*data)
    data[place] = np.asarray("spikes")
    with pytest.raises(NeuroctlError, match="must have shape"):
        rule().advance(*data)


def test_signals_of_another_length_are_refused():
    with pytest.raises(NeuroctlError, match=r"reward must have shape \(4, 2\), got \(3, 2\)"):
        rule().advance(*steps()[:2], steps(count=3)[2])


@pytest.mark.parametrize(("place", "name"), [(1, "bap"), (2, "reward")])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_signals_that_are_not_finite_are_refused(place, name, wrong):
    data = steps()
    data[place][2] = wrong
    with pytest.raises(NonFiniteError, match=f"{name} has a value that is not finite: {wrong}"):
        rule().advance(*data)


def test_a_rule_may_ask_for_postsynaptic_spikes():
    assert rule().checked_spikes_post(np.full((4, 2, 2), 3.0), 4).dtype == np.uint8
    with pytest.raises(NeuroctlError, match=r"Hebbian needs spikes_post of shape \(4, 2, 2\), got None"):
        rule().checked_spikes_post(None, 4)
    with pytest.raises(NeuroctlError, match=r"spikes_post must have shape \(4, 2, 2\), got \(3, 2, 2\)"):
        rule().checked_spikes_post(np.zeros((3, 2, 2)), 4)
    with pytest.raises(NeuroctlError, match="spikes_post must be whole numbers from 0 to 255, got 0.5"):
        rule().checked_spikes_post(np.full((4, 2, 2), 0.5), 4)


@pytest.mark.parametrize(("place", "name"), [(0, "spikes_pre"), (1, "bap"), (2, "reward")])
def test_rows_of_different_lengths_are_refused(place: int, name: str) -> None:
    data: list[Any] = list(steps())
    data[place] = [[1], [1, 2]]
    with pytest.raises(NeuroctlError, match=f"{name} must be an array of numbers; its rows have different lengths"):
        rule().advance(*data)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_text_is_refused(place):
    data = list(steps())
    data[place] = data[place].astype(str)
    with pytest.raises(NeuroctlError, match="must be numbers, got an array of"):
        rule().advance(*data)


@pytest.mark.parametrize("name", ["dt_ms", "batch_size", "learning_rate", "temperature"])
def test_sizes_and_rates_out_of_range_are_refused(name):
    with pytest.raises(NeuroctlError, match=f"{name} must be .*, got -1"):
        rule(**{name: -1})


def test_numbers_are_checked():
    assert checked_real("x", np.float32(2), 0.0) == 2.0
    assert checked_real("x", 0, 0.0) == 0.0
    with pytest.raises(NeuroctlError, match="x must be a number > 0, got 0"):
        checked_real("x", 0, 0.0, above=True)
    with pytest.raises(NeuroctlError, match="x must be a finite number, got None"):
        checked_real("x", None, -np.inf)
