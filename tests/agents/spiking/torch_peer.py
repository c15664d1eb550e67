"""What the forms on a torch device are compared with: devices that are here, and the compiled form's random numbers."""

import numpy as np
import torch

from neuroctl.agents.spiking.random_numbers import fill_normals, fill_uniforms

DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


class CompiledNumbers:
    """In place of `TorchNumbers`: what the compiled form draws from these streams `[B, 4]`, in its order."""

    def __init__(self, streams, device):
        self.streams, self.device = streams.copy(), device

    def uniforms(self, B, T, N):
        out = np.empty((B, T * N))
        fill_uniforms(self.streams, out)
        return torch.from_numpy(out.reshape(B, T, N)).to(self.device)

    def normals(self, shape, dtype):
        out = np.empty((shape[0], int(np.prod(shape[1:]))), np.float64 if dtype == torch.float64 else np.float32)
        fill_normals(self.streams, out)
        return torch.from_numpy(out.reshape(shape)).to(self.device)


def share_numbers(network, compiled, device):
    """Let the network draw what the compiled one will draw."""
    state = compiled.state_dict()
    for name, neurons in network.neurons.items():
        neurons.numbers = CompiledNumbers(state["neurons"][name]["streams"], device)
    for name, rule in network.rules.items():
        rule.numbers = CompiledNumbers(state["rules"][name]["streams"], device)
