"""`SynapticSampling` on a torch device: a stretch of steps is two batched matrix products for all synapses.

Between two updates the weights are constant and every trace is linear, see `synaptic_kernels`. With the potentials
Y[k, i] of T steps, and dopa_k the reward times the length of a step,

- e_T = a_e^T e_0 + w (Y^T X), X[k, j] = a_e^(T-1-k) bap_k[j]
- g_T = a_g^T g_0 + a_e c_0 e_0 + w (Y^T X), X[k, j] = c_k bap_k[j], c_k = sum_{l >= k} a_g^(T-1-l) a_e^(l-k) dopa_l
- the direct gradient likewise, with c_k = sum_{l >= k} a_e^(l-k) q_l

Nothing is done for each synapse in each step; the potentials, one for each presynaptic neuron, are a loop over steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from neuroctl.errors import NeuroctlError
from neuroctl.streams import derive_seed

from .member_rows import check_mapping
from .plasticity import PlasticityRule, State, checked_interval
from .synaptic_sampling import BUFFERS, SynapticSampling
from .torch_numbers import TorchNumbers, as_array, torch_dtype

Floats = NDArray[np.floating]
MOST_STEPS = 32
"""Steps that are learned from at a time: bounds the memory for the potentials of all of them."""


class TorchSynapticSampling(PlasticityRule):
    """The synapses of a `SynapticSampling`, with its equations, its order and the form of its state.

    It differs in rounding, also where time is cut into calls in another way, and in its random numbers, see
    `TorchNumbers`.

    Args:
        rule: what the synapses begin as, theta included. It holds what is copied from and to the device, and does not
            learn.
        device: where they live.
        seed: root of their random numbers.

    Raises:
        NeuroctlError: another rule, or one that behaves as NEST's module does.

    Attributes:
        numbers: what they draw from.
        parameters: of the rule.
    """

    def __init__(self, rule: PlasticityRule, device: torch.device, seed: int) -> None:
        if not isinstance(rule, SynapticSampling) or rule.compat:
            kind = f"{type(rule).__name__}{' with compat' if isinstance(rule, SynapticSampling) else ''}"
            raise NeuroctlError(f"only synaptic sampling without compat learns on a torch device, got {kind}")
        super().__init__(
            rule.num_pre,
            rule.num_post,
            batch_size=rule.batch_size,
            dt_ms=rule.dt_ms,
            learning_rate=rule.learning_rate,
            temperature=rule.temperature,
        )
        self._host, self._device, self._kind = rule, device, torch_dtype(rule.dtype)
        self.parameters = p = rule.parameters
        self.numbers = TorchNumbers(derive_seed(seed, "torch/synapses"), device)
        self._interval = checked_interval("weight_update_interval", p.weight_update_interval, self.dt_ms)
        self._decay_e, self._decay_g = (math.exp(-self.dt_ms / tau) for tau in (p.episode_length, p.integration_time))
        self._scale = p.psp_tau_fall / (p.psp_tau_fall - p.psp_tau_rise)
        decays = [math.exp(-self.dt_ms / tau) for tau in (p.psp_tau_fall, p.psp_tau_rise)]
        self._decay_psp = torch.tensor(decays, dtype=self._kind, device=device)[:, None, None]
        self._mean, self._precision = (
            torch.tensor(np.atleast_2d(prior), device=device)[:, None] for prior in (p.prior_mean, p.prior_precision)
        )
        self._sums_of_rewards: dict[int, Tensor] = {}
        self.take()

    def take(self) -> None:
        """Take over the state of the synapses on the host."""
        state = self._host.state_dict()
        self.learning_rate, self.temperature = self._host.learning_rate, self._host.temperature

        def tensor(name: str) -> Tensor:
            return torch.tensor(state[name], device=self._device)

        self._exists, self._turnover = tensor("exists"), tensor("turnover")
        self._settled = self._interval - self._host.steps_until_update
        self._theta, self._w, self._e, self._g = (tensor(f"synapses/{name}") for name in ("theta", "weight", "e", "g"))
        potentials = torch.stack([tensor(f"synapses/{name}")[:, :, 0, 0] for name in ("fall", "rise")])
        self._psp = potentials.to(self._kind)
        if len(state["steps/spikes"]):
            self._advance(*(tensor(f"steps/{name}") for name in BUFFERS))

    @property
    def transmitted(self) -> Tensor:
        """What a spike transmits now `[B, num_pre, num_post]`, on the device."""
        return self._w.sum(2)

    @property
    def weight(self) -> Floats:
        """What a spike transmits now `[B, num_pre, num_post]`: summed over parallel synapses, a copy."""
        return as_array(self.transmitted)

    @property
    def greatest_weight(self) -> float:
        """What no weight ever exceeds."""
        return self._host.greatest_weight

    @property
    def theta(self) -> NDArray[np.float64]:
        """Synaptic parameters; a copy. Setting them sets the weights; then call the network's `refresh_weights`."""
        return self._outward(self._theta)

    @theta.setter
    def theta(self, value: ArrayLike) -> None:
        self._give()
        self._host.theta = value
        self.take()

    @property
    def eligibility(self) -> Floats:
        """Eligibility traces e; a copy."""
        return self._outward(self._e)

    @property
    def gradient(self) -> Floats:
        """Estimates g of the gradient; a copy."""
        return self._outward(self._g)

    @property
    def steps_until_update(self) -> int:
        """Steps after which weights change next, 1 to U / h."""
        return self._interval - self._settled

    def advance(
        self, spikes_pre: ArrayLike, bap: ArrayLike, reward: ArrayLike, *, spikes_post: ArrayLike | None = None
    ) -> None:
        """Learn from T steps, see `PlasticityRule`."""
        spikes, trace, rewards = self.checked_steps(spikes_pre, bap, reward)
        self.learn(
            torch.tensor(spikes, device=self._device),
            torch.tensor(trace, device=self._device, dtype=self._kind),
            torch.tensor(rewards, device=self._device, dtype=torch.float64),
        )

    def learn(self, spikes_pre: Tensor, bap: Tensor, reward: Tensor) -> None:
        """Learn from T steps whose arrays are on the device, the reward in float64; they are not checked."""
        rewards = reward * self.dt_ms
        direct = rewards * (self.learning_rate * self.parameters.direct_gradient_rate)
        start = 0
        while start < len(spikes_pre):
            taken = slice(start, start + min(len(spikes_pre) - start, self.steps_until_update, MOST_STEPS))
            self._advance(spikes_pre[taken], bap[taken], rewards[taken], direct[taken])
            start = taken.stop
            self._settled += taken.stop - taken.start
            if self._settled == self._interval:
                self._update()
                self._settled = 0

    def _advance(self, spikes: Tensor, bap: Tensor, rewards: Tensor, direct: Tensor) -> None:
        """Advance all traces by the T steps of a stretch in which weights do not change."""
        T, B, Q = bap.shape
        sums_of_rewards = self._sums(T)
        c = [sums_of_rewards[0, :, -1:].expand(T, B), sums_of_rewards[1] @ rewards]
        if self.parameters.direct_gradient_rate > 0:
            c.append(sums_of_rewards[0] @ direct)
        x = (self._scale * torch.stack(c, -1)[..., None] * bap[:, :, None]).to(self._kind)  # [T, B, kinds, Q]
        y = self._potentials(spikes).permute(1, 2, 0)
        products = torch.bmm(y, x.flatten(2).transpose(0, 1)).view(B, self.num_pre, 1, len(c), Q)
        to_e, to_g = products[..., 0, :], products[..., 1, :]
        from_e = [(self._decay_e * weights[0])[:, None, None, None] for weights in c]
        if len(c) > 2:
            self._theta += from_e[2] * self._e + self._w * products[..., 2, :]
        self._g.mul_(self._decay_g**T).addcmul_(from_e[1].to(self._kind), self._e).addcmul_(self._w, to_g)
        self._e.mul_(self._decay_e**T).addcmul_(self._w, to_e)

    def _potentials(self, spikes: Tensor) -> Tensor:
        """The f - d of each presynaptic neuron in each of the steps `[T, B, P]`."""
        y = torch.empty(spikes.shape, dtype=self._kind, device=self._device)
        for k in range(len(spikes)):
            self._psp.add_(spikes[k]).mul_(self._decay_psp)
            torch.sub(self._psp[0], self._psp[1], out=y[k])
            self._psp.mul_(self._psp[0] >= self.parameters.psp_cutoff_amplitude)
        return y

    def _sums(self, T: int) -> Tensor:
        """What turns T rewards into the c of their steps `[2, T, T]`: of the direct gradient, and of g."""
        if T not in self._sums_of_rewards:
            k, last = np.arange(T)[:, None], np.arange(T)
            direct = np.where(last >= k, self._decay_e ** np.maximum(last - k, 0), 0.0)
            both = np.stack([direct, direct * self._decay_g ** (T - 1 - last)])
            self._sums_of_rewards[T] = torch.tensor(both, device=self._device)
        return self._sums_of_rewards[T]

    def _update(self) -> None:
        """The update at the end of an interval; random numbers are drawn only where there is noise."""
        p, rate = self.parameters, self.learning_rate * self._interval * self.dt_ms
        if p.gradient_noise > 0 and rate > 0:
            noisy = self._exists if p.simulate_retracted_synapses else self._w != 0
            self._g += math.sqrt(2 * p.gradient_noise * rate) * self._normals() * noisy
        push = (p.gradient_scale * self._g.double()).clamp_(-p.max_param_change, p.max_param_change)
        moved = self._theta + rate * (self._precision * (self._mean - self._theta) + push)
        if self.temperature > 0 and rate > 0:
            moved.add_(self._normals(), alpha=math.sqrt(2 * self.temperature * rate))
        self._theta = torch.where(self._exists, moved.clamp_(p.min_param, p.max_param), self._theta)
        self._map_weights()

    def _map_weights(self) -> None:
        """Weights from theta; what retracts loses its traces unless they are kept."""
        p, was_active = self.parameters, self._w != 0
        active = self._exists & (self._theta >= 0)
        changes = torch.stack([was_active & ~active, active & ~was_active]).sum((2, 3, 4))
        self._turnover += changes.T
        growth = p.weight_scale * torch.exp(self._theta - p.parameter_mapping_offset)
        self._w = torch.where(active, growth, 0.0).to(self._kind)
        if not p.simulate_retracted_synapses:
            self._e *= active
            self._g *= active

    def _normals(self) -> Tensor:
        return self.numbers.normals(self._theta.shape, self._kind)

    def statistics(self) -> dict[str, NDArray[np.float64]]:
        """Figures `[B]` of the synapses that exist, those of `SynapticSampling`."""
        active, dims = self._w != 0, (1, 2, 3)
        drive = (self.parameters.gradient_scale * self._g.double()).abs_()
        number = active.sum(dims)
        figures = {
            "active": number / self._exists.sum(dims).clamp_(min=1).double(),
            "clipped": (active & (drive > self.parameters.max_param_change)).sum(dims) / number.clamp(min=1).double(),
            "drive": (drive * active).sum(dims) / number.clamp(min=1),
        }
        return {name: as_array(values) for name, values in figures.items()}

    def counts(self) -> dict[str, NDArray[np.int64]]:
        """How often synapses retracted, and formed, since they were made `[B]`; not by setting theta."""
        return {"retractions": as_array(self._turnover[:, 0]), "formations": as_array(self._turnover[:, 1])}

    @property
    def num_active(self) -> NDArray[np.int64]:
        """Synapses that are not retracted `[B]`; parallel ones count each."""
        return as_array((self._w != 0).sum((1, 2, 3)))

    def state_dict(self) -> State:
        """The complete state, in the form of `SynapticSampling`, with the state of the generator."""
        psp = self._psp.double()[:, :, :, None, None]
        own = {"theta": self._theta, "weight": self._w, "e": self._e, "g": self._g, "fall": psp[0], "rise": psp[1]}
        host = self._host.state_dict()
        return {
            **host,
            "exists": as_array(self._exists),
            "settled": self._settled,
            "learning_rate": np.array(self.learning_rate),
            "temperature": np.array(self.temperature),
            "turnover": as_array(self._turnover),
            **{f"synapses/{name}": as_array(tensor) for name, tensor in own.items()},
            **{f"steps/{name}": host[f"steps/{name}"][:0] for name in BUFFERS},
            "generator": self.numbers.state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises:
            NeuroctlError: it is of other synapses or another kind of device, or damaged; nothing has changed.
        """
        check_mapping("the synapses", state)
        generator = self.numbers.restored("the synapses", state)
        self._host.load_state_dict(state)
        self.take()
        self.numbers.take(generator)

    def adopt(self, state: Mapping[str, Any], members: Sequence[int]) -> None:
        """Begin with theta and g of agents of another such rule, on whatever device it learned."""
        self._give()
        self._host.adopt(state, members)
        self.take()

    def _give(self) -> None:
        """Copy the state to the synapses on the host."""
        self._host.load_state_dict(self.state_dict())

    def _outward(self, tensor: Tensor) -> NDArray[Any]:
        return as_array(tensor[:, :, 0] if tensor.shape[2] == 1 else tensor.movedim(2, 3))
