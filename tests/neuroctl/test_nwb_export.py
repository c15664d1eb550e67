"""What an NWB file holds, read back and checked by pynwb itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neuroctl
from neuroctl import nwb_export
from neuroctl.errors import NeuroctlError
from neuroctl.launch.cli import main
from neuroctl.nwb_export import export_nwb

from .test_neural import record_spikes, run_of

pytest.importorskip("pynwb", reason="needs the extra nwb (pynwb)")


def read(path: Path) -> Any:
    from pynwb import NWBHDF5IO, validate

    with NWBHDF5IO(path, "r") as io:
        assert not validate(io=io)
    return NWBHDF5IO(path, "r")


def test_units_of_a_cell_are_a_series_beside_what_was_seen_and_done(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", "cfc")
    recording = neuroctl.record(run.path, tmp_path / "d", episodes=2, neural=True)
    with read(export_nwb(tmp_path / "d", 1, tmp_path / "new" / "e.nwb")) as io:
        file, episode = io.read(), recording.episode(1)
        for name, values in (("observation", episode.obs), ("action", episode.action), ("reward", episode.reward)):
            there = file.acquisition[name]
            np.testing.assert_array_equal(there.data[:], values)
            assert there.rate == 50.0 and there.starting_time == (0.02 if name == "reward" else 0.0)
        np.testing.assert_array_equal(file.processing["neural"]["units"].data[:], episode.neural["units"])
        assert file.units is None and file.identifier == recording.index[1]["sha256"]


def test_spikes_are_units_with_times_and_weights_a_series(tmp_path: Path) -> None:
    _, recording = record_spikes(tmp_path, 150)
    with read(export_nwb(tmp_path / "d", 0, tmp_path / "e.nwb")) as io:
        file, episode = io.read(), recording.episode(0)
        table = file.units
        assert len(table) == sum(values.shape[1] for values in episode.neural.values())
        assert table.resolution == 0.02
        for row in range(len(table)):
            counts = episode.neural[table["population"][row]][:, table["neuron"][row]]
            steps = np.floor(table["spike_times"][row] / 0.02).astype(int)
            np.testing.assert_array_equal(np.bincount(steps, minlength=150), counts)
        [name] = episode.synapses
        weights = file.processing["neural"][f"weights of {name.replace('/', '_')}"]
        np.testing.assert_array_equal(weights.data[:], episode.synapses[name])
        np.testing.assert_allclose(weights.timestamps[:], [2.0, 3.0])  # after 100 and 150 steps


def test_without_the_inside_there_is_behaviour_alone(tmp_path: Path) -> None:
    kwargs = {"observation": "retina", "max_steps": 5}
    neuroctl.record("expert", tmp_path / "d", episodes=1, env_id="neuroctl/BallReach-v0", env_kwargs=kwargs)
    assert main(["export", str(tmp_path / "d"), "--nwb", str(tmp_path / "e.nwb")]) == 0
    with read(tmp_path / "e.nwb") as io:
        file = io.read()
        assert file.acquisition["observation"].data.shape == (6, 16, 16) and not file.processing


def test_mistakes_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NeuroctlError, match="NWB files end in .nwb, not e.h5"):
        export_nwb(tmp_path / "d", 0, tmp_path / "e.h5")
    monkeypatch.setattr(nwb_export, "find_spec", lambda name: None)
    with pytest.raises(NeuroctlError, match=r"NWB files need the package pynwb: pip install 'neuroctl\[nwb\]'"):
        export_nwb(tmp_path / "d", 0, tmp_path / "e.nwb")
