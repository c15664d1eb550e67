"""Policies as ONNX: one step of one graph, for machines without Python or PyTorch."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from neuroctl.errors import NeuroctlError
from neuroctl.policy import State, map_state

from .policies import CellPolicy

OPSET = 18
"""Version of the ONNX operators; onnxruntime >= 1.14 has them."""


def export_onnx(policy: nn.Module, observation_space: gym.Space[Any], path: str | Path) -> Path:
    """Write one step of a policy as an ONNX file; `OnnxController` runs it.

    Inputs are `obs [B, ...]` in the dtype of the space, `first [B]` (bool; where true, the state is reset before it
    is used) and the tensors of the state `state_0`, `state_1`, ... `[B, ...]`, zeros before the first step. Outputs
    are `action`, the mode of the action distribution `[B, ...]`, and `next_state_0`, ... B is free. The metadata
    `observation_low` and `observation_high` say between which values observations lie.

    Args:
        policy: a `CellPolicy`.
        observation_space: of one observation.
        path: the file; its folder is made if there is none.

    Returns:
        The file.

    Raises:
        NeuroctlError: the packages of the extra `onnx` are missing, or the policy is of another kind.
    """
    for package in ("onnx", "onnxscript"):
        if find_spec(package) is None:
            raise NeuroctlError(f"ONNX export needs the package {package}: pip install 'neuroctl[onnx]'")
    if not isinstance(policy, CellPolicy):
        raise NeuroctlError(f"ONNX export takes a policy of encoder, cell and readout; got {type(policy).__name__}")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    step = _Step(copy.deepcopy(policy).cpu().eval())
    obs = torch.from_numpy(np.zeros((2, *(observation_space.shape or ())), observation_space.dtype))
    states = _flat(policy.initial_state(2))
    batch = torch.export.Dim("batch")
    names = [f"state_{k}" for k in range(len(states))]
    with _quiet():
        program = torch.onnx.export(
            step,
            (obs, torch.ones(2, dtype=torch.bool), *states),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=["obs", "first", *names],
            output_names=["action", *(f"next_{name}" for name in names)],
            dynamic_shapes=({0: batch}, {0: batch}, tuple({0: batch} for _ in states)),
        )
    assert program is not None
    low, high = bounds(observation_space)
    program.model.metadata_props.update(observation_low=repr(low), observation_high=repr(high))
    program.save(path, external_data=False)
    return path


def bounds(space: gym.Space[Any]) -> tuple[float, float]:
    """The least and the greatest value in a space; infinite where it has no bounds."""
    if not isinstance(space, gym.spaces.Box):
        return -np.inf, np.inf
    return float(space.low.min()), float(space.high.max())


class _Step(nn.Module):
    """One step with the state as separate tensors, down to the action."""

    def __init__(self, policy: CellPolicy) -> None:
        super().__init__()
        self.policy = policy
        self.eval()

    def forward(self, obs: Tensor, first: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Action and next state."""
        tensors = iter(states)
        state = map_state(lambda _: next(tensors), self.policy.initial_state(1))
        output, state = self.policy.step(obs, state, first)
        return self.policy.head.mode(output), *_flat(state)


def _flat(state: State) -> list[Tensor]:
    tensors: list[Tensor] = []
    map_state(tensors.append, state)
    return tensors


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what PyTorch's exporter says about itself: that torchvision is missing, and its own deprecations."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
