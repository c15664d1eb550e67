"""Cells whose units see their own past only, so that exact gradients can be carried forward cheaply."""

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor

from .cell import Cell, State


@dataclass(frozen=True)
class Influence:
    """How the state c of an element-wise cell depended on its past and on its parameters, over a chunk.

    With theta an effective parameter of unit n (one that c depends on directly), in every step and row

        dc_t[n] / dtheta = keep_t[n] dc_{t-1}[n] / dtheta + source_t[n]

    where the source is `matrices[name]_t[n] x_t[d]` for entry [n, d] of a matrix, and `vectors[name]_t[n]` for entry
    [n] of a vector. States and all of these may be complex.

    Attributes:
        keep: `[T, B, N]`, 0 where the state was reset before the step.
        x: inputs `[T, B, D]`.
        matrices: `[T, B, N]` for each effective matrix `[N, D]`.
        vectors: `[T, B, N]` for each effective vector `[N]`.
    """

    keep: Tensor
    x: Tensor
    matrices: dict[str, Tensor]
    vectors: dict[str, Tensor]


class ElementwiseCell(Cell):
    """A cell where c_t[n] depends on c_{t-1}[n], the inputs and the parameters of unit n, and on no other unit.

    What follows c (an output gate, say) may mix units: it has no memory.
    """

    @abstractmethod
    def unroll_with_influence(
        self, x: Tensor, state: State | None = None, first: Tensor | None = None
    ) -> tuple[Tensor, State, Influence]:
        """`unroll`, and the influence of its steps, without a graph, at the parameters of now."""

    def state_gradient(self, gradient: Tensor) -> Tensor:
        """Gradient dL/dc `[B, N]` from the gradient of the state; for complex c dL/d Re c + i dL/d Im c."""
        return gradient

    @abstractmethod
    def parameter_gradients(self, effective: dict[str, Tensor]) -> dict[str, Tensor]:
        """Gradients of parameters by name, from those of the effective ones named in `Influence`."""
