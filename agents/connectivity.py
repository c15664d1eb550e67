"""Low-rank sparse recurrent connectivity: W = (W1 W2) * M, after Tumma et al., arXiv 2310.03915."""

from collections.abc import Collection, Sequence
from typing import Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroctl.checks import checked_integer, is_number, shown
from neuroctl.errors import NeuroctlError, UnknownNameError
from neuroctl.streams import stream

from .wiring import Wiring

INITS = ("orthogonal", "glorot")


class LowRankSparse(nn.Module):
    """A recurrent weight matrix of bounded rank under a fixed random mask.

    `W = (W1 W2) * M` with W1 `[n, r]`, W2 `[r, n]`, and a mask M in {0, 1} `[n, n]` drawn once, i.i.d. with
    Pr[M_ij = 0] = sparsity, and never trained. The rank is that of the product before masking: any
    0 < sparsity < 1 makes W itself of full rank. There is no 1 / (1 - sparsity) rescale: sparsity is meant to
    shrink the spectrum, rho(W) ~ ||W||_F / sqrt(n).

    `rank = n` stores one matrix, W1 `[n, n]`, and no W2; with `sparsity = 0` that is an ordinary dense matrix.

    Initialisation:
        - `"orthogonal"`: W1 = Q1[:, :r], W2 = Q2[:r, :] with independent Haar-distributed Q1 and Q2 (one Q when
          r = n). All singular values are 1. The truncated SVD of an orthogonal matrix, which has the same law,
          is not used: its singular values are all equal, so that "the first r" depends on rounding.
        - `"glorot"`: W0 with N(0, 1/n) entries (Glorot and Bengio 2010, fan-in = fan-out = n), W0 = U S V^T,
          W1 = U_r S_r^(1/2), W2 = S_r^(1/2) V_r^T: spectral initialisation (Khodak et al. 2021,
          arXiv 2105.01029).

    Everything random comes from streams keyed by `seed`, never from a global generator. Masks of one seed are
    nested: a higher sparsity removes further entries.

    Attributes:
        n: number of units.
        rank: r, 1 to n.
        sparsity: expected fraction of zeros in the mask, in [0, 1).
        init: `"orthogonal"` or `"glorot"`.
        seed: key of the random streams.
        W1: `[n, r]`.
        W2: `[r, n]`; None when r = n.
        mask: `[n, n]`, a buffer.
    """

    W1: nn.Parameter
    W2: nn.Parameter | None
    mask: Tensor

    def __init__(self, n: int, rank: int, sparsity: float, init: str = "orthogonal", seed: int = 0) -> None:
        """Draw the mask and the factors.

        Raises:
            NeuroctlError: a value outside its range.
        """
        super().__init__()
        n = checked_integer("n", n, 1)
        rank, seed = checked_integer("rank", rank, 1, n), checked_integer("seed", seed, 0)
        if not (is_number(sparsity) and 0 <= sparsity < 1):
            raise NeuroctlError(f"sparsity must be in [0, 1), the fraction of zeros; got {shown(sparsity)}")
        if init not in INITS:
            raise UnknownNameError("init", init, INITS)
        self.n, self.rank, self.sparsity, self.init, self.seed = n, rank, float(sparsity), init, seed
        W1, W2 = _factors(n, rank, init, stream(seed, "connectivity/factors"))
        self.W1 = nn.Parameter(_tensor(W1))
        self.register_parameter("W2", None if W2 is None else nn.Parameter(_tensor(W2)))
        self.register_buffer("mask", _tensor(stream(seed, "connectivity/mask").random((n, n)) >= sparsity))

    def weight(self) -> Tensor:
        """W `[n, n]`, differentiable with respect to the factors."""
        return _masked_product(self.W1, self.W2, self.mask)

    @property
    def effective_parameters(self) -> int:
        """min(2 n r, nonzeros of the mask): what the matrix can express, whatever its storage."""
        return min(2 * self.n * self.rank, int(self.mask.count_nonzero()))

    @property
    def stored_parameters(self) -> int:
        """Trainable numbers that are stored: 2 n r, or n^2 when r = n."""
        return self.W1.numel() + (0 if self.W2 is None else self.W2.numel())

    def sibling(self, name: str) -> Self:
        """An independent matrix of the same n, rank, sparsity and init; its seed is keyed by (seed, name)."""
        seed = int(stream(self.seed, f"connectivity/sibling/{name}").integers(2**31))
        return type(self)(self.n, self.rank, self.sparsity, self.init, seed)

    def extra_repr(self) -> str:
        """The arguments of the constructor."""
        return f"n={self.n}, rank={self.rank}, sparsity={self.sparsity}, init={self.init!r}, seed={self.seed}"


class RecurrentWeights(nn.Module):
    """The recurrent matrices of the K maps (gates, heads) of one cell, kept stacked as `[K n, n]`.

    Stacked so that one product serves all maps and nothing has to be gathered between steps: dense maps are one
    parameter, factorised maps one batched product of their factors. Nothing is cached either, because no cheap
    check sees every edit: fused optimisers, for one, do not advance a parameter's version counter.

    Attributes:
        maps: names of the K maps, in the order of the rows.
        factorised: those with low-rank sparse weights, in the order of `maps`; F of them.
        n: number of units.
        dense: `[(K - F) n, n]`, the other maps; None when all are factorised. The cell initialises it.
        W1: `[F, n, r]`, None when F = 0.
        W2: `[F, r, n]`, None when F = 0 or r = n.
        mask: `[F, n, n]`, a buffer; None when F = 0.
        synapses: `[n, n]`, a buffer of zeros and ones: the synapses that exist, in every map; None when all do.
    """

    dense: nn.Parameter | None
    W1: nn.Parameter | None
    W2: nn.Parameter | None
    mask: Tensor | None
    synapses: Tensor | None

    def __init__(
        self,
        maps: Sequence[str],
        n: int,
        recurrent: LowRankSparse | None = None,
        factorised: Sequence[str] | None = None,
        wiring: Wiring | None = None,
    ) -> None:
        """Draw one sibling of `recurrent` for each factorised map.

        Args:
            maps: names of the maps.
            n: number of units.
            recurrent: specification of the factorised maps; all maps are dense when None.
            factorised: maps that follow the specification; all of them when None.
            wiring: the synapses that exist, in all maps; all do when None.

        Raises:
            NeuroctlError: the specification or the wiring has another n, or `factorised` does not fit.
        """
        super().__init__()
        self.n, self.maps = n, tuple(maps)
        self.factorised = _factorised_maps(self.maps, recurrent, factorised)
        dense = len(self.maps) - len(self.factorised)
        self.register_parameter("dense", nn.Parameter(torch.empty(dense * n, n)) if dense else None)
        W1 = W2 = mask = None
        if recurrent is not None:
            if recurrent.n != n:
                raise NeuroctlError(f"recurrent.n must be hidden_size = {n}; got {recurrent.n}")
            siblings = [recurrent.sibling(name) for name in self.factorised]
            W1 = nn.Parameter(torch.stack([s.W1.detach() for s in siblings]))
            if recurrent.W2 is not None:
                W2 = nn.Parameter(torch.stack([s.W2.detach() for s in siblings if s.W2 is not None]))
            mask = torch.stack([s.mask for s in siblings])
        self.register_parameter("W1", W1)
        self.register_parameter("W2", W2)
        self.register_buffer("mask", mask)
        self.register_buffer("synapses", _synapses(wiring, n))

    def weight(self) -> Tensor:
        """The matrices of all maps `[K n, n]`, in the order of `maps`."""
        weight = self._stacked()
        if self.synapses is None:
            return weight
        return (weight.view(-1, self.n, self.n) * self.synapses).view(-1, self.n)

    def _stacked(self) -> Tensor:
        """The matrices before the wiring removes anything."""
        dense = self.dense
        if not self.factorised:
            return cast(Tensor, dense)
        product = _masked_product(cast(Tensor, self.W1), self.W2, cast(Tensor, self.mask))
        if dense is None:
            return product.view(-1, self.n)
        low_rank, full = iter(product.unbind(0)), iter(dense.view(-1, self.n, self.n).unbind(0))
        return torch.cat([next(low_rank if name in self.factorised else full) for name in self.maps])

    @torch.no_grad()
    def scale(self, gain: float) -> None:
        """Multiply the matrices of all maps by `gain`."""
        for factor in (self.dense, self.W1):
            if factor is not None:
                factor.mul_(gain)

    @torch.no_grad()
    def hold(self, name: str, most: int) -> Tensor:
        """Let units hand their state on in one map: their rows become those of the identity.

        Only units whose synapse onto themselves exists can, and of a factorised map no more than its rank.

        Args:
            name: of the map.
            most: number of units at most.

        Returns:
            The units, the first that can.

        Raises:
            UnknownNameError: there is no such map.
            NeuroctlError: `most` is below 1, or no unit can.
        """
        weight = self.map_weight(name)
        most = checked_integer("most", most, 1)
        own = weight.new_ones(self.n) if self.synapses is None else self.synapses.diagonal()
        if name in self.factorised:
            own = own * cast(Tensor, self.mask)[self.factorised.index(name)].diagonal()
            most = min(most, cast(Tensor, self.W1).shape[2])
        units = own.nonzero().flatten()[:most]
        if not len(units):
            raise NeuroctlError(f"no unit has a synapse onto itself in {name!r}: none can hand its state on")
        if name not in self.factorised:
            k = [other for other in self.maps if other not in self.factorised].index(name)
            rows = cast(Tensor, self.dense).view(-1, self.n, self.n)[k]
            rows[units] = 0.0
            rows[units, units] = 1.0
            return units
        k = self.factorised.index(name)
        W1 = cast(Tensor, self.W1)[k]
        W1[units] = 0.0
        if self.W2 is None:
            W1[units, units] = 1.0
            return units
        factors = torch.arange(len(units))
        W1[:, factors], self.W2[k, factors] = 0.0, 0.0
        W1[units, factors], self.W2[k, factors, units] = 1.0, 1.0
        return units

    def map_weight(self, name: str) -> Tensor:
        """The matrix `[n, n]` of one map.

        Raises:
            UnknownNameError: there is no such map.
        """
        if name not in self.maps:
            raise UnknownNameError("map", name, self.maps)
        return self.weight().view(-1, self.n, self.n)[self.maps.index(name)]

    @property
    def effective_parameters(self) -> int:
        """Sum over the maps of min(2 n r, synapses), the synapses being all n^2 of a dense map without a wiring."""
        exist = self.n * self.n if self.synapses is None else int(self.synapses.count_nonzero())
        count = exist * (len(self.maps) - len(self.factorised))
        if self.W1 is not None and self.mask is not None:
            mask = self.mask if self.synapses is None else self.mask * self.synapses
            nonzeros = mask.count_nonzero((1, 2))
            count += int(nonzeros.clamp(max=2 * self.n * self.W1.shape[2]).sum())
        return count

    @property
    def stored_parameters(self) -> int:
        """Trainable numbers that are stored."""
        return sum(p.numel() for p in self.parameters())


def _masked_product(W1: Tensor, W2: Tensor | None, mask: Tensor) -> Tensor:
    # Factors cannot be applied one after the other: the mask acts on their product.
    return W1 * mask if W2 is None else (W1 @ W2).mul_(mask)


def _synapses(wiring: Wiring | None, n: int) -> Tensor | None:
    if wiring is None:
        return None
    if wiring.units != n:
        raise NeuroctlError(f"the wiring has {wiring.units} neurons; hidden_size is {n}")
    return _tensor(wiring.recurrent != 0)


def _factors(
    n: int, rank: int, init: str, random: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    if init == "orthogonal":
        Q1 = _frame(n, rank, random)
        return (Q1, None) if rank == n else (Q1, _frame(n, rank, random).T)
    W0 = random.standard_normal((n, n)) / np.sqrt(n)
    if rank == n:
        return W0, None
    U, S, Vt = np.linalg.svd(W0)
    root = np.sqrt(S[:rank])
    return U[:, :rank] * root, root[:, None] * Vt[:rank]


def _frame(n: int, rank: int, random: np.random.Generator) -> NDArray[np.float64]:
    """The first columns `[n, rank]` of a Haar-distributed orthogonal matrix."""
    Q, R = np.linalg.qr(random.standard_normal((n, rank)))
    # Without the signs of R's diagonal the law is not Haar (Mezzadri 2007).
    return np.asarray(Q * np.sign(np.diag(R)))


def _tensor(values: NDArray[np.generic]) -> Tensor:
    return torch.tensor(values, dtype=torch.get_default_dtype())


def _factorised_maps(
    maps: tuple[str, ...], recurrent: LowRankSparse | None, factorised: Sequence[str] | None
) -> tuple[str, ...]:
    named = isinstance(factorised, Collection) and not isinstance(factorised, str)
    if factorised is not None and not (named and all(isinstance(name, str) for name in factorised)):
        raise NeuroctlError(f"factorised must be a list of maps such as {list(maps[:1])}; got {shown(factorised)}")
    if recurrent is None:
        if factorised is not None:
            raise NeuroctlError(f"factorised={list(factorised)} needs recurrent=LowRankSparse(...)")
        return ()
    if not isinstance(recurrent, LowRankSparse):
        raise NeuroctlError(f"recurrent must be a LowRankSparse or None; got {type(recurrent).__name__}")
    chosen = maps if factorised is None else tuple(factorised)
    for name in chosen:
        if name not in maps:
            raise UnknownNameError("map", name, maps)
    if not chosen:
        raise NeuroctlError(f"factorised is empty, recurrent would do nothing; allowed: any of {', '.join(maps)}")
    return tuple(name for name in maps if name in chosen)
