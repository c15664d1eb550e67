"""A recording as a Minari dataset (extra: export)."""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from .errors import NeuroctlError
from .progress import NoProgress, Progress
from .recording import Episode, Recording
from .vector import make_env

STORE = "MINARI_DATASETS_PATH"
"""Variable with the folder where Minari keeps its datasets."""


def export_minari(dataset: str | Path, name: str, *, progress: Progress | None = None) -> str:
    """Write all episodes of a recording as the Minari dataset `name`; returns what Minari calls it.

    It lies where Minari keeps its datasets: the folder in the variable MINARI_DATASETS_PATH, or `~/.minari/datasets`.
    Observations are the policy's side, so those under the recording's shifts. Images are stored without loss.

    Args:
        dataset: folder of the recording.
        name: such as `lane/expert-v0`.
        progress: told of each episode.

    Raises:
        NeuroctlError: minari is missing, the name is none, it is taken, or the recording is damaged or holds no
            episodes.
    """
    if find_spec("minari") is None or find_spec("h5py") is None:
        raise NeuroctlError("Minari datasets need the package minari[hdf5]: pip install 'neuroctl[export]'")
    import minari
    from minari.dataset.minari_dataset import parse_dataset_id

    try:
        parse_dataset_id(name)
    except (ValueError, TypeError):  # the latter without a version
        raise NeuroctlError(
            f"{name!r} is no name of a Minari dataset; allowed are such as lane/expert-v0, each part with 2 characters "
            "or more"
        ) from None
    recording = Recording(dataset)
    if recording.damaged_lines:
        raise NeuroctlError(f"{recording.damaged_lines[0]}; its episode would be missing")
    if not recording.numbers():
        raise NeuroctlError(f"{dataset} holds no episodes")
    if name in minari.list_local_datasets():
        raise NeuroctlError(f"there is a Minari dataset {name} already; delete it with `minari delete {name}`")
    info, progress, buffers = recording.info, progress or NoProgress(), []
    for position, number in enumerate(recording.numbers()):
        buffers.append(_buffer(recording.episode(number), position))
        progress.advance()
    env = make_env(info.env_id, 1, info.env_kwargs, info.shifts)
    options: dict[str, Any] = {
        "env": _spec(info.env_id, info.env_kwargs),
        "observation_space": env.single_observation_space,
        "action_space": env.single_action_space,
        "algorithm_name": Path(info.agent).name,
        "description": f"Recorded by neuroctl in {info.env_id} with {info.env_kwargs}, shifts {list(info.shifts)}.",
        "data_format": "hdf5",
        "jpeg_encoding": False,
    }
    env.close()
    _create(name, buffers, options)
    return name


def _buffer(episode: Episode, position: int) -> Any:
    """An episode as Minari takes it."""
    from minari.data_collector import EpisodeBuffer

    ends = np.zeros((2, len(episode)), np.bool_)
    ends[:, -1] = episode.terminated, episode.truncated
    return EpisodeBuffer(
        id=position,
        seed=int(episode.info["seed"]),
        observations=episode.obs,
        actions=episode.action,
        rewards=episode.reward.tolist(),
        terminations=ends[0].tolist(),
        truncations=ends[1].tolist(),
    )


def _create(name: str, buffers: list[Any], options: dict[str, Any]) -> None:
    """Make the dataset in a hidden store within Minari's, and move it: after a kill it is there whole, or not."""
    import minari
    from minari.namespace import create_namespace, list_local_namespaces
    from minari.storage.datasets_root_dir import get_dataset_path

    store, before = get_dataset_path(), os.environ.get(STORE)
    hidden = Path(tempfile.mkdtemp(prefix=".neuroctl-", dir=store))
    try:
        os.environ[STORE] = str(hidden)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of authors and links that it was not told
            minari.create_dataset_from_buffers(name, buffers, **options)
        os.environ[STORE] = str(store)
        namespace = name.rpartition("/")[0]
        if namespace and namespace not in list_local_namespaces():
            create_namespace(namespace)
        (hidden / name).replace(store / name)
    finally:
        if before is None:
            os.environ.pop(STORE, None)
        else:
            os.environ[STORE] = before
        shutil.rmtree(hidden, ignore_errors=True)


def _spec(env_id: str, options: dict[str, Any]) -> Any:
    """The environment as Gymnasium describes it, so that `recover_environment` makes it again; None of rows alone."""
    spec = copy.deepcopy(gym.spec(env_id))
    if spec.entry_point is None:
        return None
    spec.kwargs = {**spec.kwargs, **options}
    return spec
