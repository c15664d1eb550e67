"""Low-rank sparse matrices obey the spectral laws that their rank and sparsity promise, and nothing drawn is global.

The laws are statements about random matrices. They are compared with means over eight seeds; predictions are analytic.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from neuroctl.agents.connectivity import LowRankSparse, RecurrentWeights
from neuroctl.agents.wiring import Wiring
from neuroctl.errors import NeuroctlError

N = 64
SEEDS = range(8)


def draw(rank: int, sparsity: float, init: str, n: int = N, seeds: range = SEEDS) -> list[Tensor]:
    return [LowRankSparse(n, rank, sparsity, init, seed).double().weight().detach() for seed in seeds]


def mean(function: Callable[[Tensor], float], matrices: list[Tensor]) -> float:
    return float(np.mean([function(W) for W in matrices]))


def norm(W: Tensor) -> float:
    return float(torch.linalg.matrix_norm(W, 2))


def moduli(W: Tensor) -> Tensor:
    descending: Tensor = torch.linalg.eigvals(W).abs().sort(descending=True).values
    return descending


def radius(W: Tensor) -> float:
    return float(moduli(W)[0])


def frobenius2(W: Tensor) -> float:
    return float(W.square().sum())


def participation(W: Tensor) -> float:
    s2 = torch.linalg.svdvals(W).square()
    return float(s2.sum() ** 2 / s2.square().sum())


def spectral_radii(rank: int, init: str, sparsities: tuple[float, ...]) -> list[float]:
    return [mean(radius, draw(rank, s, init)) for s in sparsities]


@pytest.mark.parametrize("init", ["orthogonal", "glorot"])
@pytest.mark.parametrize(("rank", "sparsity"), [(1, 0.5), (8, 0.2), (16, 0.8), (64, 0.5)])
def test_t1_masking_keeps_the_share_1_minus_s_of_the_squared_frobenius_norm(init, rank, sparsity):
    kept = mean(frobenius2, draw(rank, sparsity, init)) / mean(frobenius2, draw(rank, 0.0, init))
    assert kept == pytest.approx(1 - sparsity, rel=0.1)


@pytest.mark.parametrize("rank", [1, 5, 16, 64])
def test_t1_squared_frobenius_norm_of_an_orthogonal_product_is_its_rank(rank):
    assert mean(frobenius2, draw(rank, 0.0, "orthogonal")) == pytest.approx(rank, rel=1e-5)


@pytest.mark.parametrize("init", ["orthogonal", "glorot"])
@pytest.mark.parametrize(("rank", "sparsity"), [(16, 0.0), (16, 0.5), (32, 0.8), (64, 0.5), (64, 0.9)])
def test_t2_spectral_radius_is_frobenius_norm_over_sqrt_n(init, rank, sparsity):
    unmasked = draw(rank, 0.0, init)
    predicted = math.sqrt((1 - sparsity) * mean(frobenius2, unmasked) / N)
    assert mean(radius, draw(rank, sparsity, init)) == pytest.approx(predicted, rel=0.2)


@pytest.mark.parametrize("init", ["orthogonal", "glorot"])
def test_t2_spectral_radius_falls_with_sparsity_and_rises_with_rank(init):
    falling = spectral_radii(16, init, (0.0, 0.2, 0.5, 0.8))
    rising = [mean(radius, draw(rank, 0.5, init)) for rank in (4, 16, 32, 64)]
    assert falling == sorted(falling, reverse=True) and len(set(falling)) == 4
    assert rising == sorted(rising) and len(set(rising)) == 4


@pytest.mark.parametrize("rank", [1, 5, 16, 64])
def test_t3_rank_does_not_change_the_spectral_norm_without_mask(rank):
    assert mean(norm, draw(rank, 0.0, "orthogonal")) == pytest.approx(1.0, abs=1e-5)
    assert mean(norm, draw(rank, 0.0, "glorot")) == pytest.approx(mean(norm, draw(N, 0.0, "glorot")), rel=1e-5)
    assert mean(norm, draw(rank, 0.0, "glorot")) == pytest.approx(1.92, rel=0.05)


def test_t4_spectral_norm_of_a_full_rank_glorot_matrix_is_2_sqrt_1_minus_s():
    for sparsity in (0.0, 0.2, 0.5, 0.8, 0.9):
        measured = mean(norm, draw(256, sparsity, "glorot", n=256, seeds=range(5)))
        assert measured == pytest.approx(2 * math.sqrt(1 - sparsity), rel=0.05)


@pytest.mark.parametrize("rank", [1, 5, 16, 32, 64])
def test_t4_spectral_norm_of_a_glorot_matrix_falls_with_sparsity_at_every_rank(rank):
    norms = [mean(norm, draw(rank, s, "glorot")) for s in (0.0, 0.2, 0.5, 0.8, 0.9)]
    assert norms == sorted(norms, reverse=True) and len(set(norms)) == 5


@pytest.mark.parametrize(("sparsity", "tolerance"), [(0.2, 0.03), (0.5, 0.05), (0.8, 0.15)])
@pytest.mark.parametrize("rank", [1, 8])
def test_t5_spectral_norm_at_small_rank_follows_the_spike_law(rank, sparsity, tolerance):
    n = 512
    unmasked = draw(rank, 0.0, "orthogonal", n=n, seeds=range(5))
    theta = (1 - sparsity) * mean(norm, unmasked)
    sigma = math.sqrt(sparsity * (1 - sparsity) * mean(frobenius2, unmasked) / n)
    predicted = (theta**2 + sigma**2) / theta if theta > sigma else 2 * sigma
    measured = mean(norm, draw(rank, sparsity, "orthogonal", n=n, seeds=range(5)))
    assert measured == pytest.approx(predicted, rel=tolerance)


def test_t6_trap_sparsity_first_raises_the_spectral_norm_of_a_high_rank_orthogonal_matrix():
    full = [mean(norm, draw(N, s, "orthogonal")) for s in (0.0, 0.2, 0.5, 0.8, 0.9)]
    half = [mean(norm, draw(N // 2, s, "orthogonal")) for s in (0.0, 0.2, 0.5, 0.8, 0.9)]
    assert full[1] > 1.2 and full[1] > full[2] > full[3] > full[4]
    assert half == pytest.approx([1.00, 1.12, 0.97, 0.66, 0.49], rel=0.06)


@pytest.mark.parametrize("rank", [4, 16])
def test_t6_spectral_norm_of_a_low_rank_orthogonal_product_does_fall_with_sparsity(rank):
    norms = [mean(norm, draw(rank, s, "orthogonal")) for s in (0.0, 0.2, 0.5, 0.8, 0.9)]
    assert norms == sorted(norms, reverse=True) and len(set(norms)) == 5


def test_t7_masking_flattens_the_singular_values_at_low_rank_and_sharpens_them_at_full_rank():
    low = [mean(participation, draw(5, s, "orthogonal")) for s in (0.0, 0.2, 0.5, 0.8)]
    full = [mean(participation, draw(N, s, "orthogonal")) for s in (0.0, 0.2, 0.5, 0.8)]
    assert low == pytest.approx([5, 7, 12, 20], rel=0.12)
    assert full == pytest.approx([64, 47, 36, 31], rel=0.1)
    assert mean(participation, draw(N, 0.0, "glorot")) == pytest.approx(32, rel=0.1)


def test_t8_sparsity_makes_the_eigenvalue_moduli_more_uniform_at_low_rank():
    def flatness(W: Tensor) -> float:
        return float(moduli(W)[4] / moduli(W)[0])

    ratios = [mean(flatness, draw(5, s, "orthogonal", seeds=range(20))) for s in (0.0, 0.2, 0.5, 0.8)]
    assert ratios == sorted(ratios)
    assert ratios == pytest.approx([0.29, 0.68, 0.82, 0.88], abs=0.1)


def test_t9_glorot_is_the_spectral_initialisation_not_a_product_of_glorot_factors():
    random = np.random.default_rng(0)
    rank, scale = 16, math.sqrt(2 / (N + 16))
    products = [random.normal(0, scale, (N, rank)) @ random.normal(0, scale, (rank, N)) for _ in SEEDS]
    assert mean(norm, [torch.from_numpy(W) for W in products]) > 1.15 * mean(norm, draw(rank, 0.0, "glorot"))


def test_t9_independent_orthogonal_factors_have_norm_1_and_radius_sqrt_r_over_n():
    assert mean(norm, draw(16, 0.0, "orthogonal")) == pytest.approx(1.0, abs=1e-5)
    assert mean(radius, draw(16, 0.0, "orthogonal")) == pytest.approx(0.5, rel=0.2)
    assert all(W.abs().sum(0).min() > 0.1 for W in draw(16, 0.0, "orthogonal"))  # no silent unit


def test_the_product_has_the_rank_and_the_masked_product_does_not():
    bare, masked = draw(5, 0.0, "glorot")[0], draw(5, 0.5, "glorot")[0]
    assert torch.linalg.matrix_rank(bare, rtol=1e-5) == 5
    assert torch.linalg.matrix_rank(masked, rtol=1e-5) > 60


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.9])
def test_the_fraction_of_zeros_is_the_sparsity(sparsity):
    zeros = 1 - LowRankSparse(256, 4, sparsity).mask.mean()
    assert zeros == pytest.approx(sparsity, abs=0.01)


def test_full_rank_without_mask_is_one_dense_parameter():
    dense = LowRankSparse(N, N, 0.0)
    assert [name for name, _ in dense.named_parameters()] == ["W1"]
    assert torch.equal(dense.weight(), dense.W1)
    assert dense.stored_parameters == dense.effective_parameters == N * N


def test_effective_parameters_are_the_smaller_of_factors_and_nonzeros():
    low, sparse = LowRankSparse(N, 4, 0.5), LowRankSparse(N, 32, 0.9)
    assert low.effective_parameters == low.stored_parameters == 2 * N * 4
    assert sparse.effective_parameters == int(sparse.weight().count_nonzero()) < sparse.stored_parameters
    assert sparse.stored_parameters == 2 * N * 32 == sum(p.numel() for p in sparse.parameters())


@pytest.mark.parametrize("init", ["orthogonal", "glorot"])
def test_a_seed_fixes_every_draw_and_another_seed_changes_them(init):
    a, b, c = (LowRankSparse(N, 8, 0.5, init, seed) for seed in (3, 3, 4))
    assert torch.equal(a.weight(), b.weight())
    assert not torch.equal(a.mask, c.mask) and not torch.equal(a.W1, c.W1)


def test_the_global_generators_are_neither_read_nor_advanced():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    a = LowRankSparse(N, 8, 0.5, "glorot")
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(a.weight(), LowRankSparse(N, 8, 0.5, "glorot").weight())


def test_masks_of_one_seed_are_nested():
    sparse, sparser = LowRankSparse(N, 8, 0.3).mask, LowRankSparse(N, 8, 0.7).mask
    assert bool((sparser <= sparse).all()) and sparser.sum() < sparse.sum()


def test_siblings_are_independent_draws_of_the_same_law_keyed_by_name():
    spec = LowRankSparse(N, 8, 0.5, "glorot", seed=5)
    a, b = spec.sibling("ff1"), spec.sibling("ff2")
    assert (a.n, a.rank, a.sparsity, a.init) == (spec.n, spec.rank, spec.sparsity, spec.init)
    assert len({spec.seed, a.seed, b.seed}) == 3
    assert torch.equal(a.weight(), LowRankSparse(N, 8, 0.5, "glorot", seed=5).sibling("ff1").weight())
    pair = torch.stack((a.weight().flatten(), b.weight().flatten())).detach()
    assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.1


def test_training_moves_the_factors_and_never_the_mask():
    matrix = LowRankSparse(16, 4, 0.5)
    mask, zeros = matrix.mask.clone(), matrix.weight() == 0
    optimiser = torch.optim.SGD(matrix.parameters(), lr=0.1)
    old = matrix.weight().detach()
    (matrix.weight() - 1).square().sum().backward()
    optimiser.step()
    assert not torch.equal(old, matrix.weight())
    assert torch.equal(matrix.mask, mask) and bool((matrix.weight()[zeros] == 0).all())
    assert "mask" in matrix.state_dict() and "mask" not in dict(matrix.named_parameters())


def test_stacked_weights_are_the_siblings_in_the_order_of_the_maps():
    spec = LowRankSparse(16, 4, 0.5, seed=2)
    weights = RecurrentWeights(("a", "b", "c"), 16, spec, ["c", "a"])
    assert weights.dense is not None
    torch.nn.init.ones_(weights.dense)
    for name in ("a", "c"):
        torch.testing.assert_close(weights.map_weight(name), spec.sibling(name).weight())
    assert bool((weights.map_weight("b") == 1).all())
    torch.testing.assert_close(weights.weight()[32:], weights.map_weight("c"))
    assert weights.stored_parameters == 16 * 16 + 2 * spec.stored_parameters
    singles = [spec.sibling(name).effective_parameters for name in ("a", "c")]
    assert weights.effective_parameters == 16 * 16 + sum(singles)


def test_a_wiring_removes_its_absent_synapses_from_every_map():
    exists = np.random.default_rng(0).random((16, 16)) < 0.3
    wiring = Wiring(np.ones((16, 2), int), exists.astype(int), 16, (tuple(range(16)),))
    spec = LowRankSparse(16, 2, 0.5)
    weights = RecurrentWeights(("a", "b"), 16, spec, ["a"], wiring)
    assert weights.dense is not None and weights.mask is not None
    torch.nn.init.ones_(weights.dense)
    assert torch.equal(weights.map_weight("b"), torch.tensor(exists).float())
    both = exists & (spec.sibling("a").mask.numpy() != 0)
    assert np.array_equal(weights.map_weight("a").detach().numpy() != 0, both)
    assert weights.effective_parameters == exists.sum() + min(both.sum(), 2 * 16 * 2)
    assert weights.stored_parameters == 16 * 16 + 2 * 16 * 2
    with pytest.raises(NeuroctlError, match="the wiring has 16 neurons; hidden_size is 8"):
        RecurrentWeights(("a",), 8, wiring=wiring)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((8, 2, "half"), r"^sparsity must be in \[0, 1\), the fraction of zeros; got 'half'$"),
        (("x", 2, 0.5), r"^n must be an integer >= 1, got 'x'$"),
        ((0, 1, 0.0), r"^n must be an integer >= 1, got 0$"),
        ((True, 1, 0.0), r"^n must be an integer >= 1, got True$"),
        ((8, 9, 0.0), r"^rank must be an integer from 1 to 8, got 9$"),
        ((8, 2.0, 0.0), r"^rank must be an integer from 1 to 8, got 2.0$"),
        ((8, 2, False), r"^sparsity must be in \[0, 1\), the fraction of zeros; got False$"),
        ((8, 2, 1.0), r"^sparsity must be in \[0, 1\), the fraction of zeros; got 1.0$"),
        ((8, 2, -0.1), r"^sparsity must be in \[0, 1\)"),
        ((8, 2, math.nan), r"^sparsity must be in \[0, 1\)"),
        ((8, 2, 0.5, "orthogonl"), r"^unknown init 'orthogonl'; did you mean 'orthogonal'\?"),
        ((8, 2, 0.5, "glorot", -1), r"^seed must be an integer >= 0, got -1$"),
    ],
)
def test_a_value_outside_its_range_is_named_with_what_is_allowed(arguments, message):
    with pytest.raises(NeuroctlError, match=message):
        LowRankSparse(*arguments)


@pytest.mark.parametrize(
    ("recurrent", "factorised", "message"),
    [
        (LowRankSparse(9, 2, 0.5), None, "recurrent.n must be hidden_size = 8; got 9"),
        (LowRankSparse(8, 2, 0.5), ["d"], "unknown map 'd'; known: a, b"),
        (LowRankSparse(8, 2, 0.5), [], "factorised is empty"),
        (None, ["a"], "needs recurrent=LowRankSparse"),
        (8, None, "recurrent must be a LowRankSparse or None; got int"),
        *(
            (spec, factorised, r"^factorised must be a list of maps such as \['a'\]; got ")
            for spec in (LowRankSparse(8, 2, 0.5), None)
            for factorised in (3, "a", [3], [["a"]])
        ),
    ],
)
def test_a_specification_that_does_not_fit_the_cell_is_refused(recurrent, factorised, message):
    with pytest.raises(NeuroctlError, match=message):
        RecurrentWeights(("a", "b"), 8, recurrent, factorised)
