"""Which synapses exist: neural circuit policies (NCP; Lechner et al. 2020) as immutable matrices of polarities."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import checked_integer, is_number, shown
from neuroctl.errors import NeuroctlError

if TYPE_CHECKING:
    import ncps.wirings

Polarities = NDArray[np.integer[Any]]
"""`[to, from]`, kept as int8: +1 excitatory, -1 inhibitory, 0 no synapse."""


@dataclass(frozen=True, eq=False)
class Wiring:
    """The synapses onto H neurons, from D inputs and from each other.

    Cells take it as `wiring=`: a synapse that is absent here has no weight in any of their maps. It is a value: the
    arrays are read-only copies, and any number of cells may share it.

    Attributes:
        sensory: `[H, D]`, from inputs to neurons.
        recurrent: `[H, H]`, from neurons to neurons.
        motors: number of motor neurons; they are the first ones.
        layers: the neurons of each layer, in the order in which a signal passes through them.
    """

    sensory: Polarities
    recurrent: Polarities
    motors: int
    layers: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        """Copy, freeze and check.

        Raises:
            NeuroctlError: shapes that do not fit, values other than -1, 0, 1, neurons that are in no layer or in two.
        """
        for name in ("sensory", "recurrent"):
            try:
                given = np.asarray(getattr(self, name))
            except ValueError:
                raise NeuroctlError(f"wiring.{name} is ragged: its rows have different lengths") from None
            if given.ndim != 2 or given.dtype.kind not in "iufb" or not np.isin(given, (-1, 0, 1)).all():
                raise NeuroctlError(f"wiring.{name} must be a matrix of -1, 0 and 1; got shape {given.shape}")
            matrix = np.array(given, dtype=np.int8)
            matrix.setflags(write=False)
            object.__setattr__(self, name, matrix)
        units = len(self.recurrent)
        if self.recurrent.shape != (units, units) or len(self.sensory) != units or self.sensory.size == 0:
            raise NeuroctlError(
                f"wiring.sensory must be [H, D] and wiring.recurrent [H, H]; got {list(self.sensory.shape)} and "
                f"{list(self.recurrent.shape)}"
            )
        object.__setattr__(self, "motors", checked_integer("motors", self.motors, 1, units))
        object.__setattr__(self, "layers", _checked_layers(self.layers, units))

    @property
    def inputs(self) -> int:
        """D."""
        return int(self.sensory.shape[1])

    @property
    def units(self) -> int:
        """H."""
        return len(self.recurrent)

    @property
    def synapses(self) -> int:
        """Number of synapses, sensory ones included."""
        return int(np.count_nonzero(self.sensory) + np.count_nonzero(self.recurrent))

    @classmethod
    def from_ncps(cls, wiring: ncps.wirings.Wiring, input_size: int) -> Self:
        """The synapses of an ncps wiring. The object given is left as it is, so that it can be used again.

        An ncps wiring draws its synapses in `build`, and draws more each time it is built. Here a copy is built, once;
        one that was built before is taken as it is.

        Args:
            wiring: from `ncps.wirings` (`AutoNCP`, `NCP`, `Random`, `FullyConnected`, or a subclass).
            input_size: D.

        Raises:
            NeuroctlError: it is no ncps wiring, was built for another number of inputs, or cannot be built.
        """
        import ncps.wirings

        if not isinstance(wiring, ncps.wirings.Wiring):
            raise NeuroctlError(f"a wiring must come from ncps.wirings; got {type(wiring).__name__}")
        input_size = checked_integer("input_size", input_size, 1)
        theirs: Any = copy.deepcopy(wiring)
        if not theirs.is_built():
            try:
                theirs.build(input_size)
            except (ValueError, MemoryError, OverflowError) as error:
                raise NeuroctlError(f"this wiring cannot be built for {shown(input_size)} inputs: {error}") from None
        if theirs.input_dim != input_size:
            raise NeuroctlError(f"the wiring was built for {theirs.input_dim} inputs; this cell has {input_size}")
        layers = tuple(tuple(theirs.get_neurons_of_layer(k)) for k in range(theirs.num_layers))
        motors = theirs.units if theirs.output_dim is None else theirs.output_dim
        return cls(theirs.sensory_adjacency_matrix.T, theirs.adjacency_matrix.T, motors, layers)

    @classmethod
    def auto(cls, input_size: int, units: int, motors: int, sparsity: float = 0.5, seed: int = 0) -> Self:
        """The NCP that `ncps.wirings.AutoNCP` makes from a number of neurons and of motor neurons among them.

        Args:
            input_size: D.
            units: H, at least `motors + 3`.
            motors: motor neurons.
            sparsity: 0.1 to 1 (exclusive), the fraction of synapses that is left out between layers.
            seed: of the draw, less than 2**32.

        Raises:
            NeuroctlError: a value outside its range.
        """
        import ncps.wirings

        units, motors = checked_integer("units", units, 1), checked_integer("motors", motors, 1)
        seed = checked_integer("seed of an NCP", seed, 0, 2**32 - 1)
        if units < motors + 3:
            raise NeuroctlError(f"an NCP needs motors >= 1 and units >= motors + 3; got {motors} motors, {units} units")
        if not is_number(sparsity) or not 0.1 <= sparsity < 1:
            raise NeuroctlError(f"the sparsity of an NCP must be in [0.1, 1); got {shown(sparsity)}")
        try:
            theirs = ncps.wirings.AutoNCP(units, motors, sparsity, seed)
        except (ValueError, MemoryError, OverflowError) as error:
            raise NeuroctlError(f"an NCP of {shown(units)} units cannot be made: {error}") from None
        return cls.from_ncps(theirs, input_size)

    def split(self) -> tuple[Self, ...]:
        """One wiring per layer, whose inputs are the neurons of the layer before.

        Raises:
            NeuroctlError: a synapse skips a layer or leads back to an earlier one, or the last layer does not begin
                with the motor neurons.
        """
        if len(self.layers) == 1:
            return (self,)
        if self.layers[-1][: self.motors] != tuple(range(self.motors)):
            raise NeuroctlError(f"the last layer must begin with the {self.motors} motor neurons: {self.layers[-1]}")
        parts, sources = [], np.arange(self.inputs)
        matrix = self.sensory
        for layer in map(np.array, self.layers):
            parts.append((matrix[np.ix_(layer, sources)], self.recurrent[np.ix_(layer, layer)]))
            matrix, sources = self.recurrent, layer
        if sum(np.count_nonzero(part) for pair in parts for part in pair) != self.synapses:
            raise NeuroctlError("a synapse of this wiring skips a layer or leads back; only a cell of one layer has it")
        motors = [len(layer) for layer in self.layers[:-1]] + [self.motors]
        layers = [(tuple(range(len(layer))),) for layer in self.layers]
        return tuple(type(self)(*part, m, k) for part, m, k in zip(parts, motors, layers, strict=True))


def checked_wiring(wiring: Any) -> Wiring:
    """`wiring`, if it is one of ours.

    Raises:
        NeuroctlError: it is anything else.
    """
    if not isinstance(wiring, Wiring):
        raise NeuroctlError(f"wiring must be a Wiring; got {type(wiring).__name__}; see Wiring.from_ncps")
    return wiring


def _checked_layers(layers: Any, units: int) -> tuple[tuple[int, ...], ...]:
    """The layers, which hold each neuron once."""
    try:
        checked = tuple(tuple(checked_integer("a neuron", n, 0, units - 1) for n in layer) for layer in layers)
    except TypeError:
        raise NeuroctlError(f"layers must be tuples of neurons such as ((2, 3), (0, 1)); got {shown(layers)}") from None
    if sorted(neuron for layer in checked for neuron in layer) != list(range(units)):
        raise NeuroctlError(f"every one of the {units} neurons must be in one layer; got {shown(layers)}")
    return checked
