"""A recording as a Minari dataset (extra: export)."""

from __future__ import annotations

import copy
import re
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from .errors import NeuroctlError
from .progress import NoProgress, Progress
from .recording import Recording
from .vector import make_env

NAME = re.compile(r"([\w-]+/)*[\w-]+-v\d+")


def export_minari(dataset: str | Path, name: str, *, progress: Progress | None = None) -> str:
    """Write all episodes of a recording as the Minari dataset `name`; returns what Minari calls it.

    It lies where Minari keeps its datasets: the folder in the variable MINARI_DATASETS_PATH, or `~/.minari/datasets`.
    Observations are the policy's side, so those under the recording's shifts. Images are stored without loss.

    Args:
        dataset: folder of the recording.
        name: such as `lane/expert-v0`.
        progress: told of each episode.

    Raises:
        NeuroctlError: minari is missing, the name is none, it is taken, or the recording holds no episodes.
    """
    if find_spec("minari") is None or find_spec("h5py") is None:
        raise NeuroctlError("Minari datasets need the package minari[hdf5]: pip install 'neuroctl[export]'")
    import minari
    from minari.data_collector import EpisodeBuffer

    if not NAME.fullmatch(name):
        raise NeuroctlError(f"{name!r} is no name of a Minari dataset; allowed are such as lane/expert-v0")
    recording = Recording(dataset)
    if not recording.numbers():
        raise NeuroctlError(f"{dataset} holds no episodes")
    if name in minari.list_local_datasets():
        raise NeuroctlError(f"there is a Minari dataset {name} already; delete it with `minari delete {name}`")
    info, progress, buffers = recording.info, progress or NoProgress(), []
    for number in recording.numbers():
        episode = recording.episode(number)
        ends = np.zeros((2, len(episode)), np.bool_)
        ends[:, -1] = episode.terminated, episode.truncated
        buffers.append(
            EpisodeBuffer(
                id=number,
                seed=int(episode.info["seed"]),
                observations=episode.obs,
                actions=episode.action,
                rewards=episode.reward.tolist(),
                terminations=ends[0].tolist(),
                truncations=ends[1].tolist(),
            )
        )
        progress.advance()
    env = make_env(info.env_id, 1, info.env_kwargs, info.shifts)
    observation, action = env.single_observation_space, env.single_action_space
    env.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of authors and links that it was not told
        made: Any = minari.create_dataset_from_buffers(
            name,
            buffers,
            env=_spec(info.env_id, info.env_kwargs),
            observation_space=observation,
            action_space=action,
            algorithm_name=Path(info.agent).name,
            description=f"Recorded by neuroctl in {info.env_id} with {info.env_kwargs}, shifts {list(info.shifts)}.",
            data_format="hdf5",
            jpeg_encoding=False,
        )
    return str(made.spec.dataset_id)


def _spec(env_id: str, options: dict[str, Any]) -> Any:
    """The environment as Gymnasium describes it, so that `recover_environment` makes it again; None of rows alone."""
    spec = copy.deepcopy(gym.spec(env_id))
    if spec.entry_point is None:
        return None
    spec.kwargs = {**spec.kwargs, **options}
    return spec
