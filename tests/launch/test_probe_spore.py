from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl.agents.spiking import SynapticSampling, SynapticSamplingParameters
from neuroctl.errors import NeuroctlError
from neuroctl.launch import presets, probe_spore
from neuroctl.launch.probe_spore import Arguments, disturbed_expert, explained, fitted, main


def test_a_linear_relation_is_found_and_explains_nearly_everything() -> None:
    rng = np.random.default_rng(0)
    counts, weights = rng.standard_normal((200, 4, 6)), rng.standard_normal(6)
    wanted = counts @ weights
    np.testing.assert_allclose(fitted(counts, wanted), weights, rtol=0.02, atol=0.02)
    assert explained(counts, wanted) > 0.999
    assert explained(counts, rng.standard_normal((200, 4))) < 0.05


def test_the_expert_wants_other_commands_than_those_that_disturb_it() -> None:
    counts, wanted = disturbed_expert(presets.spore_lane(), Arguments(agents=2, blocks=3))
    assert counts.shape == (750, 2, 64)
    assert wanted.shape == (750, 2)
    assert set(np.unique(wanted)) <= {-2, -1, 0, 1, 2}
    assert len(np.unique(wanted)) > 2
    again = disturbed_expert(presets.spore_lane(), Arguments(agents=2, blocks=3))
    np.testing.assert_array_equal(again[0], counts)


def test_weights_are_put_in_with_their_sign_on_each_side() -> None:
    rule: Any = SynapticSampling(3, 4, parameters=SynapticSamplingParameters(), batch_size=2, seed=1)
    rule.theta = np.full((2, 3, 4), 2.0)
    before = rule.weight
    probe_spore._put_in(rule, np.array([0.5, -0.5, 0.0]), np.array([1.0, 1.0, -1.0, -1.0]))
    change = rule.weight - before
    half = probe_spore.STRENGTH / 2 * 0.5
    np.testing.assert_allclose(change[0, 0], [half, half, -half, -half], rtol=1e-5)
    np.testing.assert_allclose(change[0, 1], [-half, -half, half, half], rtol=1e-5)
    np.testing.assert_allclose(change[:, 2], 0, atol=1e-6)


def test_both_tables_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_spore, "BLOCK_S", 2.0)
    monkeypatch.setattr(probe_spore, "SENSORS", ("env.event_model=log",))
    monkeypatch.setattr(probe_spore, "SETTINGS", ("", "readout_ms=100.0"))
    assert main(["--agents", "2", "--blocks", "3", "--results", str(tmp_path)]) == 0
    lines = (tmp_path / "spore_probe.md").read_text().splitlines()
    (sensor,) = [line for line in lines if line.startswith("| event_model=log |")]
    assert 0 < float(sensor.split("|")[2]) < 10_000
    rows = [line for line in lines if line.startswith(("| as said |", "| readout_ms=100.0 |"))]
    assert len(rows) == 2
    assert np.isfinite([float(cell.split()[0]) for row in rows for cell in row.split("|")[2:5]]).all()
    value, low, high = (float(word.strip("()")) for word in rows[0].split("|")[2].split() if word != "to")
    assert low <= value <= high


@pytest.mark.parametrize("arguments", [["--agents", "1"], ["--blocks", "2"], ["--agents", "-1"]])
def test_too_few_agents_or_blocks_are_refused(arguments: list[str], tmp_path: Path) -> None:
    least = 2 if "--agents" in arguments else 3
    with pytest.raises(NeuroctlError, match=f"is {arguments[1]}; allowed: from {least} on"):
        main([*arguments, "--results", str(tmp_path)])
