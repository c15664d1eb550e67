"""A controller exported as ONNX, run by onnxruntime; needs neither PyTorch nor a simulator."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import checked_first, checked_path
from neuroctl.errors import NeuroctlError

DTYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(uint8)": np.uint8}


class OnnxController:
    """Acts like `neuroctl.load(run)`, from a file written by `export_onnx`.

    Attributes:
        observation_shape: of one observation.
        dtype: of observations.
        bounds: least and greatest value of observations.
    """

    def __init__(self, path: str | Path) -> None:
        """Open the file; one thread, so that its bits do not depend on the number of cores.

        Raises:
            NeuroctlError: onnxruntime is missing, or the file is not one of `export_onnx`.
        """
        if find_spec("onnxruntime") is None:
            raise NeuroctlError("running ONNX files needs the package onnxruntime: pip install 'neuroctl[onnx]'")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        if not checked_path("an ONNX file", path).is_file():
            raise NeuroctlError(f"no ONNX file at {path}")
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - onnxruntime's errors have no common class
            raise NeuroctlError(f"{path} is no ONNX file that can be run: {str(error).splitlines()[0]}") from None
        inputs = {value.name: value for value in self._session.get_inputs()}
        if not {"obs", "first"} <= inputs.keys() or inputs["obs"].type not in DTYPES:
            raise NeuroctlError(f"{path} is no exported controller: its inputs are {', '.join(inputs)}")
        metadata = self._session.get_modelmeta().custom_metadata_map
        if not {"observation_low", "observation_high"} <= metadata.keys():
            raise NeuroctlError(f"{path} does not say between which values observations lie: export it again")
        self.observation_shape = tuple(inputs["obs"].shape[1:])
        self.dtype = DTYPES[inputs["obs"].type]
        self.bounds = tuple(float(metadata[f"observation_{end}"]) for end in ("low", "high"))
        names = [f"state_{k}" for k in range(len(inputs) - 2)]
        self._shapes = {name: (tuple(inputs[name].shape[1:]), DTYPES[inputs[name].type]) for name in names}
        self._state: dict[str, NDArray[Any]] = {}
        self._width = 0

    def reset(self) -> None:
        """The next observation is the first of an episode."""
        self._width = 0

    def act(self, obs: NDArray[Any], first: bool | NDArray[np.bool_] = False) -> NDArray[Any]:
        """Action for one observation, or `[B, ...]` actions for `[B, ...]` observations.

        Args:
            obs: one observation, or a batch.
            first: an episode begins with this observation; `[B]` for a batch.

        Raises:
            NeuroctlError: the observation has another shape or other values than the controller was trained on, or
                `first` is no truth value, nor one for each observation.
        """
        batch = self._checked(obs)
        single = batch.shape == self.observation_shape
        batch = batch[None] if single else batch
        if batch.shape[1:] != self.observation_shape or len(batch) == 0:
            expected = self.observation_shape
            raise NeuroctlError(f"observation has shape {batch.shape}; expected {expected} or (B, *{expected})")
        mask = checked_first(first, len(batch))
        if len(batch) != self._width:
            self._width, mask = len(batch), checked_first(True, len(batch))
            self._state = {name: np.zeros((len(batch), *s), dtype) for name, (s, dtype) in self._shapes.items()}
        action, *states = self._session.run(None, {"obs": batch, "first": mask, **self._state})
        self._state = dict(zip(self._shapes, states, strict=True))
        result: NDArray[Any] = action[0] if single else action
        return result

    def _checked(self, obs: Any) -> NDArray[Any]:
        """The observation in the controller's dtype; nothing between it and a robot looks at the values again."""
        try:
            given = np.asarray(obs)
        except ValueError:
            raise NeuroctlError("the observation is ragged: its rows have different lengths") from None
        dtype = np.dtype(self.dtype)
        if given.dtype.kind not in "fiub":
            raise NeuroctlError(f"observation has dtype {given.dtype}; expected numbers such as {dtype}")
        with np.errstate(over="ignore", invalid="ignore"):
            converted = given.astype(dtype)
        if not np.isfinite(converted).all():
            raise NeuroctlError(f"the observation is not finite (NaN, infinity, or beyond {dtype})")
        if dtype.kind == "u" and not np.array_equal(converted, given):
            raise NeuroctlError(f"observation lies in [{given.min()}, {given.max()}]; expected integers from 0 to 255")
        low, high = self.bounds
        if converted.size and not (low <= converted.min() and converted.max() <= high):
            raise NeuroctlError(
                f"observation lies in [{given.min()}, {given.max()}]; trained on values in [{low:g}, {high:g}]"
            )
        return converted
