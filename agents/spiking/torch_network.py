"""One layer of spiking neurons with synapses that learn by synaptic sampling, on a torch device.

It is for many agents side by side, on a GPU: `SpikingNetwork` is the form for one core, and for networks of any shape.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, DTypeLike, NDArray
from torch import Tensor

from neuroctl.errors import NeuroctlError
from neuroctl.streams import derive_seed

from .learning_checks import check_learnable, checked_reward
from .member_rows import check_mapping
from .network import MOST_STEPS, SpikingNetwork
from .neuron_kernels import MOST_SPIKES
from .neurons import checked_counts
from .plasticity import PlasticityRule, State, as_array
from .projections import RECEPTORS, Population, Projection
from .topology import projections_by_name
from .torch_neurons import TorchNeurons
from .torch_numbers import torch_dtype
from .torch_synapses import TorchSynapticSampling


class TorchSpikingNetwork:
    """A `SpikingNetwork` of one population that has inputs only, with the same equations, arguments and form of state.

    Spikes go from groups of inputs to the population, with a delay of one step; projections are static, or learn by
    synaptic sampling, and there may be several from one group. It begins as the `SpikingNetwork` of the same arguments
    does, weights included. Afterwards random numbers are its own: the same seed, sizes, calls and kind of device give
    the same bits, but an agent depends on how many are beside it, see `TorchNumbers`.

    What was learned goes over to a `SpikingNetwork`, and back, by `adopt`.

    Args:
        inputs: as of `SpikingNetwork`.
        populations: one, by name.
        projections: from groups of inputs to it.
        output: its name.
        batch_size: B, agents.
        dt_ms: length of a step.
        seed: root of all random numbers.
        dtype: of weights, potentials and traces, float32 or float64.
        device: `"cuda"`, `"cuda:1"`, ..., or `"cpu"`, which is there to check the others with.

    Raises:
        NeuroctlError: a network of another shape, or what `SpikingNetwork` refuses.

    Attributes:
        neurons: of the population, by name.
        rules: of each plastic projection, by its name.
        activity: spikes `[T, B, N]` of the population, by name, in the last call of `step` or `run`.
    """

    def __init__(
        self,
        inputs: int | Mapping[str, int],
        populations: Mapping[str, Population],
        projections: Sequence[Projection],
        output: str,
        *,
        batch_size: int = 1,
        dt_ms: float = 1.0,
        seed: int = 0,
        dtype: DTypeLike = np.float32,
        device: str = "cpu",
    ) -> None:
        options: Any = {"batch_size": batch_size, "dt_ms": dt_ms, "seed": seed, "dtype": dtype}
        self._host = host = SpikingNetwork(inputs, populations, projections, output, **options)
        self._device, self._kind = torch.device(device), torch_dtype(host.dtype)
        self._output = output
        self.batch_size, self.dt_ms, self.dtype = host.batch_size, host.dt_ms, host.dtype
        self.num_inputs, self.num_outputs = host.num_inputs, host.num_outputs
        sizes = inputs if isinstance(inputs, Mapping) else {"input": inputs}
        _check_shape(sizes, populations, projections, self.dt_ms)
        ends = dict(zip(sizes, np.cumsum(list(sizes.values())).tolist(), strict=True))
        self._sources = {name: slice(end - sizes[name], end) for name, end in ends.items()}
        self._projections = projections_by_name(projections)
        self.neurons = {name: TorchNeurons(part, self._device, seed) for name, part in host.neurons.items()}
        self.rules: dict[str, PlasticityRule] = {}
        self._synapses: dict[str, TorchSynapticSampling] = {}
        for name, rule in host.rules.items():
            synapses = TorchSynapticSampling(rule, self._device, derive_seed(seed, f"rule/{name}"))
            self._synapses[name] = self.rules[name] = synapses
        self._together: dict[tuple[str, str], list[str]] = {}
        for name, projection in self._projections.items():
            self._together.setdefault((projection.source, projection.receptor), []).append(name)
        shape = (self.batch_size, self.num_inputs, len(RECEPTORS), self.num_outputs)
        self._weights = torch.zeros(shape, dtype=self._kind, device=self._device)
        self._take_weights()
        self._forget()
        self.activity = {output: np.zeros((0, self.batch_size, self.num_outputs), np.uint8)}

    def weight(self, projection: str) -> NDArray[np.floating]:
        """What a spike transmits now `[B, num_pre, num_post]`, a copy.

        Raises:
            UnknownNameError: no such projection.
        """
        return self._synapses[projection].weight if projection in self._synapses else self._host.weight(projection)

    def refresh_weights(self) -> None:
        """Take over the weights of all rules, after their parameters were changed by hand."""
        self._add_up(self._synapses)

    def _take_weights(self) -> None:
        """Take over all weights: from the rules, and static ones from the host."""
        static = self._projections.keys() - self._synapses.keys()
        self._static = {name: torch.from_numpy(self._host.weight(name)).to(self._device) for name in static}
        self._add_up(self._projections)

    def _add_up(self, changed: Collection[str]) -> None:
        """Set what a spike transmits through projections with changed weights, and through those beside them."""
        for (source, receptor), names in self._together.items():
            if any(name in changed for name in names):
                block = self._weights[:, self._sources[source], RECEPTORS.index(receptor)]
                parts = [self._synapses[n].transmitted if n in self._synapses else self._static[n] for n in names]
                block.copy_(sum(parts[1:], start=parts[0]))

    @property
    def steps_until_update(self) -> int:
        """Steps after which weights change next; 1000 in a network without plastic synapses."""
        return min((rule.steps_until_update for rule in self.rules.values()), default=MOST_STEPS)

    def step(self, spikes_in: ArrayLike | Tensor, reward: ArrayLike | None = None) -> NDArray[np.uint8]:
        """Simulate T steps, and learn from them, see `SpikingNetwork.step`."""
        counts = self._checked_counts(spikes_in)
        rewards = checked_reward(reward, (len(counts), self.batch_size), self.rules)
        parts, done = [np.empty((0, self.batch_size, self.num_outputs), np.uint8)], 0
        while done < len(counts):
            now = slice(done, min(len(counts), done + self.steps_until_update))
            parts.append(self._run(counts[now]))
            self._learn(rewards[now])
            done = now.stop
        return self._shown(np.concatenate(parts))

    def run(self, spikes_in: ArrayLike | Tensor) -> NDArray[np.uint8]:
        """Simulate T steps as `step` does, without learning; `learn` may follow and makes up for it.

        Args:
            spikes_in: number of spikes of each input in each step `[T, B, inputs]`, an array, or a uint8 tensor on the
                device.

        Returns:
            Number of spikes of the population `[T, B, N]`.

        Raises:
            NeuroctlError: shapes that do not fit, or spikes that are no whole numbers; nothing has changed.
        """
        return self._shown(self._run(self._checked_counts(spikes_in)))

    def learn(self, reward: ArrayLike) -> None:
        """Learn from the steps of the last `run`, see `SpikingNetwork.learn`."""
        steps = len(self._seen[0])
        check_learnable(steps, self.steps_until_update)
        self._learn(checked_reward(reward, (steps, self.batch_size), self.rules))
        self._forget()

    def _run(self, counts: Tensor) -> NDArray[np.uint8]:
        """Simulate the steps of `counts`, and remember what the rules will be shown."""
        B, T = self.batch_size, len(counts)
        given = counts.transpose(0, 1).to(self._kind)
        arrivals = torch.bmm(given, self._weights.flatten(2)).view(B, T, len(RECEPTORS), self.num_outputs)
        spikes, bap = self.neurons[self._output].advance(arrivals)
        self._seen = (counts, bap)
        array: NDArray[np.uint8] = spikes.cpu().numpy()
        return array

    def _learn(self, rewards: NDArray[np.floating]) -> None:
        """Show what was seen to every rule, and take over weights that have changed."""
        counts, bap = self._seen
        signal = torch.tensor(rewards, device=self._device)
        changed = [name for name, synapses in self._synapses.items() if synapses.steps_until_update <= len(counts)]
        for name, synapses in self._synapses.items():
            synapses.learn(counts[:, :, self._sources[self._projections[name].source]], bap, signal)
        if changed:
            self._add_up(changed)

    def _forget(self) -> None:
        none = torch.empty((0, self.batch_size, self.num_outputs), device=self._device)
        self._seen = (none, none)

    def _shown(self, spikes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.activity = {self._output: spikes}
        return spikes.copy()

    def _checked_counts(self, spikes_in: ArrayLike | Tensor) -> Tensor:
        if not isinstance(spikes_in, Tensor):
            steps = len(np.atleast_1d(as_array("spikes_in", spikes_in)))
            shape = (steps, self.batch_size, self.num_inputs)
            return torch.tensor(checked_counts("spikes_in", spikes_in, shape, MOST_SPIKES), device=self._device)
        needed = (len(spikes_in), self.batch_size, self.num_inputs)
        if spikes_in.shape != needed or spikes_in.dtype != torch.uint8 or spikes_in.device.type != self._device.type:
            raise NeuroctlError(
                f"spikes_in must be uint8 of shape {needed} on {self._device}, got {spikes_in.dtype} of shape "
                f"{tuple(spikes_in.shape)} on {spikes_in.device}"
            )
        return spikes_in

    def state_dict(self) -> State:
        """The complete state, in the form of `SpikingNetwork`, with the states of the generators."""
        neurons = {name: part.state_dict() for name, part in self.neurons.items()}
        rules = {name: rule.state_dict() for name, rule in self.rules.items()}
        self._give(neurons, rules)
        return {**self._host.state_dict(), "neurons": neurons, "rules": rules}

    def _give(self, neurons: Mapping[str, State], rules: Mapping[str, State]) -> None:
        """Copy the state to the network on the host."""
        for name, rule in self._host.rules.items():
            rule.load_state_dict(rules[name])
        for name, part in self._host.neurons.items():
            part.load_state_dict(neurons[name])
        self._host.refresh_weights()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on bit for bit from what `state_dict` returned.

        Raises:
            NeuroctlError: it is of another network or another kind of device, or damaged; nothing has changed.
        """
        check_mapping("the network", state)
        parts = [("neurons", name, part.numbers) for name, part in self.neurons.items()]
        parts += [("rules", name, synapses.numbers) for name, synapses in self._synapses.items()]
        found = [(numbers, numbers.restored(name, _part(state, kind, name))) for kind, name, numbers in parts]
        self._host.load_state_dict(state)
        self._take()
        for numbers, generator in found:
            numbers.take(generator)

    def adopt(self, state: Mapping[str, Any], members: Sequence[int]) -> None:
        """Begin with what agents of a network had learned, see `SpikingNetwork.adopt`.

        Args:
            state: of a network of the same form, a `SpikingNetwork` or one on any device.
            members: of its agents, one for each agent here, `[B]`.

        Raises:
            NeuroctlError: another form, a damaged state, or members that it does not have; nothing has changed.
        """
        self.state_dict()  # leaves what these agents are on the host
        self._host.adopt(state, members)
        self._take()

    def _take(self) -> None:
        """Take over the state of the network on the host."""
        for neurons in self.neurons.values():
            neurons.take()
        for synapses in self._synapses.values():
            synapses.take()
        self._take_weights()
        self._forget()


def _part(state: Mapping[str, Any], kind: str, name: str) -> Mapping[str, Any]:
    """The state of one of the neurons or rules; empty where there is none."""
    parts = state.get(kind)
    part = parts.get(name) if isinstance(parts, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _check_shape(
    inputs: Mapping[str, int],
    populations: Mapping[str, Population],
    projections: Sequence[Projection],
    dt_ms: float,
) -> None:
    """Refuse what is no single layer."""
    if len(populations) != 1:
        raise NeuroctlError(f"a network on a torch device has one population, got {', '.join(populations)}")
    for projection in projections:
        if projection.source not in inputs:
            raise projection.mistake(f"a network on a torch device has projections from inputs only: {list(inputs)}")
        if projection.delay_steps(dt_ms) != 1:
            raise projection.mistake(f"delay_ms must be {dt_ms:g} on a torch device, got {projection.delay_ms:g}")
