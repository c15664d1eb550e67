"""Cells on top of each other."""

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from neuroctl.errors import NeuroctlError

from .cell import Cell, State


class Stacked(Cell):
    """Cells in a row, of any kinds and sizes: each sees the output that the one below has in the same step.

    The state is a tuple, one state for each cell. `hidden_size` is the number of all units; the output is that of
    the last cell.

    Attributes:
        cells: from the input upwards.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        """Stack `cells`.

        Raises:
            NeuroctlError: none is given, one is no cell, or the sizes of neighbours do not fit.
        """
        if not isinstance(cells, Iterable):
            raise NeuroctlError(f"Stacked takes a list of cells; got {type(cells).__name__}")
        cells = list(cells)
        for cell in cells:
            if not isinstance(cell, Cell):
                raise NeuroctlError(f"Stacked takes cells; got {type(cell).__name__}")
        if not cells:
            raise NeuroctlError("Stacked needs at least one cell")
        for k, (below, above) in enumerate(zip(cells, cells[1:], strict=False)):
            if below.output_size != above.input_size:
                raise NeuroctlError(
                    f"cell {k} has output_size {below.output_size}, but cell {k + 1} has input_size {above.input_size}"
                )
        super().__init__(cells[0].input_size, sum(cell.hidden_size for cell in cells))
        self.cells = nn.ModuleList(cells)
        self.motors = cells[-1].motors
        self._output_size = cells[-1].output_size

    @property
    def output_size(self) -> int:
        """That of the last cell."""
        return self._output_size

    @property
    def like(self) -> Tensor:
        """That of the first cell."""
        return self._layers[0].like

    @property
    def _layers(self) -> list[Cell]:
        return list(self.cells)  # type: ignore[arg-type]

    def initial_state(self, batch_size: int) -> tuple[State, ...]:
        """The initial state of each cell."""
        return tuple(cell.initial_state(batch_size) for cell in self._layers)

    def remember(self, steps: int) -> None:
        """Every cell remembers; see `Cell.remember`."""
        for cell in self._layers:
            cell.remember(steps)

    def step(
        self, x: Tensor, state: State, first: Tensor | None = None, timespan: Tensor | None = None
    ) -> tuple[Tensor, tuple[State, ...]]:
        """One step of every cell; see `Cell.step`."""
        states = []
        for cell, before in zip(self._layers, self._checked(state), strict=True):
            x, after = cell.step(x, before, first, timespan)
            states.append(after)
        return x, tuple(states)

    def unroll(
        self,
        x: Tensor,
        state: State | None = None,
        first: Tensor | None = None,
        timespans: Tensor | None = None,
    ) -> tuple[Tensor, tuple[State, ...]]:
        """A sequence, the whole of it cell by cell; see `Cell.unroll`."""
        states = []
        befores = [None] * len(self.cells) if state is None else self._checked(state)
        for cell, before in zip(self._layers, befores, strict=True):
            x, after = cell.unroll(x, before, first, timespans)
            states.append(after)
        return x, tuple(states)

    def recurrent_weights(self) -> dict[str, Tensor]:
        """Those of each cell, by its number and their name."""
        return {f"{k}.{name}": w for k, cell in enumerate(self._layers) for name, w in cell.recurrent_weights().items()}

    def _checked(self, state: State) -> Sequence[State]:
        if not isinstance(state, (tuple, list)) or len(state) != len(self.cells):
            raise NeuroctlError(f"the state of {len(self.cells)} stacked cells is a tuple of as many states")
        states: Sequence[State] = state
        return states
