"""A wiring is what ncps draws, once, and nothing changes it afterwards."""

from typing import Any

import ncps.torch
import ncps.wirings
import numpy as np
import pytest

from neuroctl.agents.wiring import Wiring
from neuroctl.errors import NeuroctlError

D = 6
ONE = ((0, 1, 2),)


def _any(value: Any) -> Any:
    return value


def small(**changes):
    arguments: dict[str, Any] = {
        "sensory": np.ones((3, 2)),
        "recurrent": np.eye(3),
        "motors": 1,
        "layers": ONE,
    } | changes
    return Wiring(**arguments)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ncps.wirings.AutoNCP(16, 3),
        lambda: ncps.wirings.NCP(8, 5, 2, 4, 3, 4, 3, seed=5),
        lambda: ncps.wirings.Random(9, 4, 0.5),
        lambda: ncps.wirings.FullyConnected(5, 2, self_connections=False),
    ],
    ids=["AutoNCP", "NCP", "Random", "FullyConnected"],
)
def test_the_synapses_are_those_that_ncps_builds(make):
    theirs = make()
    ours = Wiring.from_ncps(theirs, D)
    assert not theirs.is_built(), "the object given was built in place"
    theirs.build(D)
    np.testing.assert_array_equal(ours.sensory, theirs.sensory_adjacency_matrix.T)
    np.testing.assert_array_equal(ours.recurrent, theirs.adjacency_matrix.T)
    assert (ours.inputs, ours.units, ours.motors) == (D, theirs.units, theirs.output_dim)
    assert ours.synapses == theirs.synapse_count + theirs.sensory_synapse_count


def test_reused_wiring_does_not_grow_where_that_of_ncps_does():
    theirs = ncps.wirings.AutoNCP(16, 3)
    counts = [Wiring.from_ncps(theirs, D).synapses for _ in range(3)]
    assert counts[0] == counts[1] == counts[2]
    wirings = [Wiring.from_ncps(theirs, inputs) for inputs in (D, D + 1)]
    assert [w.inputs for w in wirings] == [D, D + 1], "one object serves cells of different sizes"
    ncps.torch.LTC(D, theirs)
    once = int(theirs.synapse_count)
    built = Wiring.from_ncps(theirs, D)
    ncps.torch.LTC(D, theirs)
    assert theirs.synapse_count > once, "the defect that this guards against is gone from ncps"
    assert built.synapses == counts[0]


def test_a_wiring_is_a_value():
    matrix = np.eye(3)
    wiring = small(recurrent=matrix)
    matrix[0, 1] = 1
    assert wiring.recurrent[0, 1] == 0
    with pytest.raises(ValueError, match="read-only"):
        wiring.sensory[0, 0] = 0


def test_every_neuron_of_an_ncp_lies_between_the_inputs_and_the_motor_neurons():
    wiring = Wiring.auto(D, 20, 3)
    inter, command, motor = wiring.split()
    assert (inter.inputs, motor.units, motor.motors) == (D, 3, 3)
    assert (inter.units, command.units) == (command.inputs, motor.inputs) == (11, 6)
    assert sum(part.synapses for part in (inter, command, motor)) == wiring.synapses
    assert np.count_nonzero(command.recurrent) > 0
    assert np.count_nonzero(inter.recurrent) == np.count_nonzero(motor.recurrent) == 0
    for part in (inter, command, motor):
        assert (part.sensory != 0).any(1).all(), "a neuron without input"


def test_the_seed_draws_the_wiring():
    a, b, c = (Wiring.auto(D, 20, 3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a.sensory, b.sensory)
    assert (a.recurrent != c.recurrent).any()


def test_a_wiring_of_one_layer_is_its_only_part():
    wiring = Wiring.from_ncps(ncps.wirings.Random(9, 4, 0.5), D)
    assert wiring.split() == (wiring,)


class Picky(ncps.wirings.Wiring):  # type: ignore[misc]
    def build(self, input_shape):
        super().build(input_shape)
        self.add_sensory_synapse(0, input_shape, 1)


class Feedback(ncps.wirings.AutoNCP):  # type: ignore[misc]
    def build(self, input_shape):
        super().build(input_shape)
        self.add_synapse(0, self.units - 1, 1)


def test_a_synapse_that_no_layer_can_have_is_not_lost():
    with pytest.raises(NeuroctlError, match="a synapse of this wiring skips a layer or leads back"):
        Wiring.from_ncps(Feedback(16, 3), D).split()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Wiring.from_ncps("AutoNCP", D), "a wiring must come from ncps.wirings; got str"),
        (lambda: Wiring.auto(D, 5, 3), r"units >= motors \+ 3; got 3 motors, 5 units"),
        (lambda: Wiring.auto(D, 5, 0), "motors must be an integer >= 1, got 0"),
        (lambda: Wiring.auto(D, -5, 1), "units must be an integer >= 1, got -5"),
        (lambda: Wiring.auto(D, _any(16.0), 3), "units must be an integer >= 1, got 16.0"),
        (lambda: Wiring.auto(D, 16, True), "motors must be an integer >= 1, got True"),
        (lambda: Wiring.auto(D, 16, 3, seed=-1), "seed of an NCP must be an integer from 0 to 4294967295, got -1"),
        (lambda: Wiring.auto(D, 16, 3, seed=2**32), "seed of an NCP must be .* got 4294967296"),
        (lambda: Wiring.auto(D, 16, 3, float("nan")), "sparsity of an NCP must be .*; got nan"),
        (lambda: Wiring.auto(D, 16, 3, _any("half")), "sparsity of an NCP must be .*; got 'half'"),
        (lambda: Wiring.auto(D, 16, 3, 10**400), "sparsity of an NCP must be .*; got 1000"),
        (lambda: Wiring.auto(D, 10**10, 3), "an NCP of 10000000000 units cannot be made"),
        (lambda: Wiring.auto(D, 10**400, 3), "an NCP of 1000.* units cannot be made"),
        (lambda: Wiring.auto(10**18, 16, 3), "this wiring cannot be built for 10{18} inputs"),
        (lambda: Wiring.auto(True, 16, 3), "input_size must be an integer >= 1, got True"),
        (lambda: small(motors=1.0), "motors must be an integer from 1 to 3, got 1.0"),
        (lambda: small(motors=float("nan")), "motors must be an integer from 1 to 3, got nan"),
        (lambda: small(layers=((0.0, 1.0, 2.0),)), "a neuron must be an integer from 0 to 2, got 0.0"),
        (lambda: small(layers=(0, 1, 2)), "layers must be tuples of neurons .*; got \\(0, 1, 2\\)"),
        (lambda: small(layers=((0, 1, 3),)), "a neuron must be an integer from 0 to 2, got 3"),
        (lambda: small(recurrent=np.full((3, 3), np.nan)), "wiring.recurrent must be a matrix of -1, 0 and 1"),
        (lambda: small(recurrent=np.eye(3) * 1j), "wiring.recurrent must be a matrix of -1, 0 and 1"),
        (lambda: small(recurrent=[[1, 0], [1]]), "wiring.recurrent is ragged"),
        (lambda: Wiring.auto(D, 16, 3, 0.0), r"sparsity of an NCP must be in \[0.1, 1\); got 0.0"),
        (lambda: Wiring.auto(0, 16, 3), "input_size must be an integer >= 1, got 0"),
        (lambda: Wiring.from_ncps(Picky(4), 6), "this wiring cannot be built for 6 inputs: Cannot add synapse"),
        (lambda: small(sensory=np.ones(3)), r"wiring.sensory must be a matrix of -1, 0 and 1; got shape \(3,\)"),
        (lambda: small(recurrent=0.5 * np.eye(3)), "wiring.recurrent must be a matrix of -1, 0 and 1"),
        (lambda: small(sensory=np.ones((2, 2))), r"must be \[H, D\] and .* \[H, H\]; got \[2, 2\] and \[3, 3\]"),
        (lambda: small(motors=4), "motors must be an integer from 1 to 3, got 4"),
        (lambda: small(layers=((0, 1),)), "every one of the 3 neurons must be in one layer"),
        (lambda: small(layers=((0, 1), (2,))).split(), "the last layer must begin with the 1 motor neurons"),
    ],
)
def test_what_is_no_wiring_is_refused_in_one_line(make, message):
    with pytest.raises(NeuroctlError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


def test_a_wiring_built_for_other_inputs_is_refused():
    theirs = ncps.wirings.AutoNCP(16, 3)
    theirs.build(4)
    with pytest.raises(NeuroctlError, match="the wiring was built for 4 inputs; this cell has 6"):
        Wiring.from_ncps(theirs, D)
