"""A recorded episode as a file of Neurodata Without Borders (extra: nwb), which tools for neural data read.

Spikes were recorded as counts in control steps. They are written as such, and as a table of units whose spike times are
the middles of the steps, with the length of a step as their resolution.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .episode_series import control_dt_s, series
from .errors import NeuroctlError
from .recording import Episode, Recording
from .storage import written_beside

STEP_S = 1.0
"""Length of a step where the environment does not say, so that times are steps."""


def export_nwb(dataset: str | Path, number: int, path: str | Path) -> Path:
    """Write an episode as `.nwb`: observations, actions and rewards, and what was recorded of the inside.

    Args:
        dataset: folder of the recording.
        number: of the episode.
        path: the file.

    Raises:
        NeuroctlError: pynwb is missing, there is no such episode, or the file has another ending.
    """
    if find_spec("pynwb") is None:
        raise NeuroctlError("NWB files need the package pynwb: pip install 'neuroctl[nwb]'")
    from pynwb import NWBHDF5IO

    target = Path(path)
    if target.suffix != ".nwb":
        raise NeuroctlError(f"NWB files end in .nwb, not {target.name}")
    recording = Recording(dataset)
    episode = recording.episode(number)
    dt_s = control_dt_s(recording) or STEP_S
    file = _described(recording, number)
    _add_behaviour(file, episode, dt_s)
    _add_inside(file, episode, dt_s, recording.info.state_every)
    target.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(target) as temporary, NWBHDF5IO(temporary, "w") as io:
        io.write(file)
    return target


def _described(recording: Recording, number: int) -> Any:
    """A file without data; its time is that at which the recording was begun."""
    from pynwb import NWBFile

    info = recording.info
    begun = (recording.path / "dataset.json").stat().st_mtime
    return NWBFile(
        session_description=f"{info.env_id} {info.env_kwargs}, shifts {list(info.shifts)}, played by {info.agent}",
        identifier=f"{recording.index[number]['sha256']}",
        session_start_time=datetime.fromtimestamp(begun, UTC),
        source_script=f"neuroctl {info.versions.get('neuroctl', '')}",
        source_script_file_name="neuroctl export",
        session_id=f"episode {number}",
    )


def _add_behaviour(file: Any, episode: Episode, dt_s: float) -> None:
    """Observations and actions as they were acquired; the reward comes at the end of its step."""
    from pynwb import TimeSeries

    parts = [*series("observation", episode.obs), ("action", episode.action), ("reward", episode.reward)]
    for name, values in parts:
        start = dt_s if name == "reward" else 0.0
        name = name.replace("/", "_")
        file.add_acquisition(TimeSeries(name=name, data=values, unit="n.a.", rate=1 / dt_s, starting_time=start))


def _add_inside(file: Any, episode: Episode, dt_s: float, state_every: int) -> None:
    """Activity, weights, and a table of units where the activity is counts of spikes."""
    from pynwb import TimeSeries

    if not episode.neural:
        return
    module = file.create_processing_module("neural", "what went on inside the controller, in every control step")
    for name, values in episode.neural.items():
        spikes = values.dtype.kind in "ui"
        unit = "spikes per step" if spikes else "n.a."
        module.add(TimeSeries(name=name, data=values, unit=unit, rate=1 / dt_s, starting_time=0.0))
        if spikes:
            _add_units(file, name, values, dt_s)
    for name, weights in episode.synapses.items():
        steps = np.minimum(np.arange(1, len(weights) + 1) * state_every, len(episode))
        name = f"weights of {name.replace('/', '_')}"
        module.add(TimeSeries(name=name, data=weights, unit="n.a.", timestamps=steps * dt_s))


def _add_units(file: Any, population: str, counts: NDArray[Any], dt_s: float) -> None:
    """A unit for each neuron `[T, N]`."""
    if file.units is None:
        file.add_unit_column("population", "to which the neuron belongs")
        file.add_unit_column("neuron", "its number in the population")
    middles = (np.arange(len(counts)) + 0.5) * dt_s
    whole = [[0.0, len(counts) * dt_s]]
    for neuron, column in enumerate(counts.T):
        times = np.repeat(middles, column.astype(int))
        file.add_unit(spike_times=times, obs_intervals=whole, population=population, neuron=neuron)
    file.units.resolution = dt_s
