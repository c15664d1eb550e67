"""Networks of spiking neurons, feed-forward or recurrent, with static and plastic projections; B independent agents.

network = SpikingNetwork(
inputs={"camera": 256, "explore": 1},
populations={"motor": Population(8, NeuronParameters(dead_time_ms=5.0))},
projections=[
Projection("camera", "motor", rule=partial(SynapticSampling, parameters=..., initial=(1.0, 0.5))),
Projection("explore", "motor", weight=2.0),
],
output="motor",
)
spikes_out = network.step(spikes_in, reward)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from neuroctl.checks import checked_integer
from neuroctl.errors import NeuroctlError, UnknownNameError
from neuroctl.streams import checked_seed, derive_seed

from .learning_checks import check_counted_down, check_learnable, checked_reward, checked_until
from .member_rows import check_mapping
from .network_kernels import Memory, Wiring, run_network
from .neuron_kernels import MOST_SPIKES
from .neurons import NeuronState, PoissonDoubleExpNeurons, check_arrays, checked_counts
from .plasticity import PlasticityRule, State, as_array, checked_dtype, checked_real
from .projections import RECEPTORS, Population, Projection, draw_synapses, draw_weights, make_rule
from .topology import INPUT, as_bytes, check_topology, checked_populations, end_of, projections_by_name, ranges_of

MOST_STEPS = 1000
"""Steps that are simulated at a time: bounds the memory for random numbers."""

ROUNDING = 1e-5
"""Of weights that a rule sums in another order, on another machine."""

Floats = NDArray[np.floating]


class Seen(NamedTuple):
    """What the rules are shown of steps that were simulated.

    Attributes:
        counts: spikes of the inputs, filled up to whole words `[T, B, 8 V]`.
        before: spikes of the neurons in the step before `[B, N]`.
        spikes: of the neurons `[T, B, N]`.
        bap: back-propagating trace `[T, B, N]`.
    """

    counts: NDArray[np.uint8]
    before: NDArray[np.uint8]
    spikes: NDArray[np.uint8]
    bap: Floats


class SpikingNetwork:
    """Steps populations of stochastic neurons and lets the synapses between them learn.

    In step k, the weights that arrive are added to the postsynaptic potentials of the neurons, and these fire or not,
    see `PoissonDoubleExpNeurons`. A spike of step k is a row k of the input, or a neuron that fired in step k - 1; it
    is sent with the weight that holds in step k, and arrives in step k + delay - 1. So the potential in the neuron is
    that of the learning rule, which sees the spike in step k, later by exactly the delay.

    Agents share settings and differ in random numbers alone, which come from streams keyed by (seed, purpose, b):
    neurons, static weights, existing synapses, and what a rule draws. They do not depend on B, nor does a result on
    how steps are divided into calls: the bits are the same.

    Args:
        inputs: number of input channels, a group called `"input"`, or several groups by name; they follow each other
            in `spikes_in`.
        populations: by name.
        projections: any number between them.
        output: the population that `step` returns.
        batch_size: B.
        dt_ms: length of a step.
        seed: root of all random streams.
        dtype: of weights, potentials and traces, float32 or float64.

    Raises:
        NeuroctlError: a value out of range, or parts that do not fit together.

    Attributes:
        neurons: of each population: state to read and to set.
        rules: of each plastic projection, by its name `"source->target"`, with `#2` where it is not the first of that
            name: learning rate, temperature and statistics. After a change of their parameters by hand call
            `refresh_weights`.
        activity: spikes `[T, B, N]` of each population in the last call of `step` or `run`.
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
    ) -> None:
        self.batch_size = checked_integer("batch_size", batch_size, 1)
        self.dt_ms = checked_real("dt_ms", dt_ms, 0.0, above=True)
        self.dtype = checked_dtype(dtype)
        self._seed = checked_seed(seed)
        self._inputs = ranges_of({INPUT: inputs} if not isinstance(inputs, Mapping) else inputs, "inputs")
        self._populations, self._projections = checked_populations(populations), projections_by_name(projections)
        self._ranges = ranges_of({name: p.size for name, p in populations.items()}, "populations")
        both = sorted(self._inputs.keys() & self._ranges.keys())
        if both:
            raise NeuroctlError(f"{both[0]!r} names inputs and a population; names must differ")
        self._output = self._range("output", output, self._ranges)
        self.num_inputs, self.num_neurons = end_of(self._inputs), end_of(self._ranges)
        self.num_outputs = self._populations[output].size
        self._make_neurons()
        self._make_projections()
        self._seen = self._nothing()
        self.activity = self._by_population(self._seen.spikes)

    def _make_neurons(self) -> None:
        state = NeuronState.zeros(self.batch_size, self.num_neurons, self.dtype)
        self.neurons: dict[str, PoissonDoubleExpNeurons] = {}
        for name, population in self._populations.items():
            self.neurons[name] = PoissonDoubleExpNeurons(
                population.size,
                population.parameters,
                batch_size=self.batch_size,
                dt_ms=self.dt_ms,
                seed=self._seed,
                dtype=self.dtype,
                name=name,
            )
            self.neurons[name].keep_state_in(state.part(*self._ranges[name]))
        delays = [projection.delay_steps(self.dt_ms) for projection in self._projections.values()]
        self._memory = Memory(
            state.psp,
            state.v,
            state.current,
            state.threshold,
            state.refractory,
            np.zeros((self.batch_size, max(delays, default=1), len(RECEPTORS), self.num_neurons), self.dtype),
            np.zeros((self.batch_size, self.num_neurons), np.uint8),
        )
        self._slot = 0

    def _make_projections(self) -> None:
        self.rules: dict[str, PlasticityRule] = {}
        self._blocks: dict[str, slice] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        rows, weights, end = [], [], 0
        for key, projection in self._projections.items():
            source = self._range(f"source of {key}", projection.source, self._inputs | self._ranges)
            target = self._range(f"target of {key}", projection.target, self._ranges)
            sizes = (source[1] - source[0], target[1] - target[0])
            block = self._make_synapses(key, projection, sizes).reshape(self.batch_size, -1)
            offset = 0 if projection.source in self._inputs else 8 * self._num_words
            ahead = projection.delay_steps(self.dt_ms) - 1
            receptor = RECEPTORS.index(projection.receptor)
            rows.append([source[0] + offset, source[1] + offset, target[0], sizes[1], receptor, ahead, end])
            weights.append(block)
            self._sizes[key], self._blocks[key] = sizes, slice(end, end + block.shape[1])
            end += block.shape[1]
        empty = np.zeros((self.batch_size, 0))
        self._weights = np.ascontiguousarray(np.concatenate([empty, *weights], axis=1), self.dtype)
        parameters = [self._populations[name].parameters for name in self._ranges]
        self._wiring = Wiring(
            np.array(list(self._ranges.values()), np.int64),
            np.array([p.potential(self.dt_ms) for p in parameters], self.dtype),
            np.array([p.firing(self.dt_ms) for p in parameters], np.float64),
            np.array(rows, np.int64).reshape(len(rows), 7),
        )

    def _make_synapses(self, key: str, projection: Projection, sizes: tuple[int, int]) -> Floats:
        """The weights `[B, num_pre, num_post]` of a projection; its rule, if it has one, is made."""
        exists = draw_synapses(projection, key, sizes, self.batch_size, self._seed)
        if projection.rule is None:
            weights = draw_weights(projection, key, sizes, self.batch_size, self._seed)
            return weights if exists is None else np.where(exists, weights, 0.0)
        self.rules[key] = make_rule(
            projection,
            sizes,
            batch_size=self.batch_size,
            dt_ms=self.dt_ms,
            seed=derive_seed(self._seed, f"rule/{key}"),
            dtype=self.dtype,
            synapses_per_pair=projection.synapses_per_pair,
            exists=exists,
        )
        return self.rules[key].weight

    @property
    def _num_words(self) -> int:
        return -(-self.num_inputs // 8)

    def weight(self, projection: str) -> Floats:
        """What a spike transmits now `[B, num_pre, num_post]`, a copy.

        Raises:
            UnknownNameError: no such projection; names are those of `rules`.
        """
        if projection not in self._blocks:
            raise UnknownNameError("projection", projection, self._blocks)
        block = self._weights[:, self._blocks[projection]]
        return block.reshape(self.batch_size, *self._sizes[projection]).copy()

    def refresh_weights(self) -> None:
        """Take over the weights of all rules, after their parameters were changed by hand."""
        for key in self.rules:
            self._take_weights(key)

    def _take_weights(self, key: str) -> None:
        self._weights[:, self._blocks[key]] = self.rules[key].weight.reshape(self.batch_size, -1)

    def step(self, spikes_in: ArrayLike, reward: ArrayLike | None = None) -> NDArray[np.uint8]:
        """Simulate T steps, and learn from them.

        Args:
            spikes_in: number of spikes of each input in each step `[T, B, inputs]`, at most 255.
            reward: the reward signal in each step `[T, B]`; a network without plastic synapses needs none.

        Returns:
            Number of spikes of the output population `[T, B, N]`.

        Raises:
            NeuroctlError: shapes that do not fit, spikes that are no whole numbers, or a missing reward; nothing has
                changed.
            NonFiniteError: a reward that is NaN or infinite; nothing has changed.
        """
        counts = self._checked_counts(spikes_in)
        rewards = checked_reward(reward, (len(counts), self.batch_size), self.rules)
        parts, done = [np.empty((0, self.batch_size, self.num_neurons), np.uint8)], 0
        while done < len(counts):
            number = min(len(counts) - done, self.steps_until_update)
            now = slice(done, done + number)
            self._run(counts[now])
            parts.append(self._seen.spikes)
            self._learn(rewards[now])
            done += number
        spikes = np.concatenate(parts)
        self.activity = self._by_population(spikes)
        return spikes[:, :, slice(*self._output)].copy()

    @property
    def steps_until_update(self) -> int:
        """Steps after which weights change next; `MOST_STEPS` in a network without plastic synapses."""
        return min((checked_until(key, rule) for key, rule in self.rules.items()), default=MOST_STEPS)

    def run(self, spikes_in: ArrayLike) -> NDArray[np.uint8]:
        """Simulate T steps as `step` does, without learning; `learn` may follow and makes up for it.

        Raises:
            NeuroctlError: shapes that do not fit, or spikes that are no whole numbers; nothing has changed.
        """
        self._run(self._checked_counts(spikes_in))
        self.activity = self._by_population(self._seen.spikes)
        return self._seen.spikes[:, :, slice(*self._output)].copy()

    def learn(self, reward: ArrayLike) -> None:
        """Learn from the steps of the last `run`; what was run before and not learned from is lost to the rules.

        Args:
            reward: the reward signal in each of these steps `[T, B]`.

        Raises:
            NeuroctlError: another shape, nothing was run, or weights change before the end of these steps.
            NonFiniteError: a reward that is NaN or infinite; nothing has changed.
        """
        steps = len(self._seen.spikes)
        check_learnable(steps, self.steps_until_update)
        self._learn(checked_reward(reward, (steps, self.batch_size), self.rules))
        self._seen = self._nothing()

    def _run(self, counts: NDArray[np.uint8]) -> None:
        """Simulate the steps of `counts`, and remember what the rules will be shown."""
        steps = len(counts)
        before = self._memory.spikes.copy()
        spikes = np.empty((steps, self.batch_size, self.num_neurons), np.uint8)
        bap = np.empty(spikes.shape, self.dtype)
        for start in range(0, steps, MOST_STEPS):
            self._simulate(counts, start, min(steps - start, MOST_STEPS), spikes, bap)
        self._seen = Seen(counts, before, spikes, bap)

    def _nothing(self) -> Seen:
        none = np.zeros((0, self.batch_size, self.num_neurons), np.uint8)
        return Seen(none, none, none, none.astype(self.dtype))

    def _by_population(self, spikes: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
        return {name: spikes[:, :, lo:hi] for name, (lo, hi) in self._ranges.items()}

    def _simulate(
        self, counts: NDArray[np.uint8], start: int, number: int, spikes: NDArray[np.uint8], bap: Floats
    ) -> None:
        """Run the kernel for `number` steps from step `start` of this call."""
        uniforms = np.empty((self.batch_size, number * self.num_neurons))
        for name, (lo, hi) in self._ranges.items():
            self.neurons[name].draw(uniforms[:, number * lo : number * hi])
        run_network(
            self._wiring,
            self._memory,
            self._weights,
            self._slot,
            start,
            number,
            counts,
            counts.view(np.uint64),
            uniforms,
            spikes,
            bap,
        )
        self._slot = (self._slot + number) % self._memory.arrivals.shape[1]

    def _learn(self, rewards: Floats) -> None:
        """Show what was seen to every rule, and take over weights that have changed."""
        for key, rule in self.rules.items():
            until = checked_until(key, rule)
            lo, hi = self._ranges[self._projections[key].target]
            spikes_pre = self._spikes_pre(self._projections[key].source)
            rule.advance(spikes_pre, self._seen.bap[:, :, lo:hi], rewards, spikes_post=self._seen.spikes[:, :, lo:hi])
            if until <= len(rewards):
                self._take_weights(key)
            else:
                check_counted_down(key, rule, until, len(rewards))

    def _spikes_pre(self, source: str) -> NDArray[np.uint8]:
        """The spikes of a source in the steps that were seen, as its synapses see them."""
        if source in self._inputs:
            lo, hi = self._inputs[source]
            return self._seen.counts[:, :, lo:hi]
        lo, hi = self._ranges[source]
        return np.concatenate([self._seen.before[None, :, lo:hi], self._seen.spikes[:-1, :, lo:hi]])

    def _checked_counts(self, spikes_in: ArrayLike) -> NDArray[np.uint8]:
        """Spikes of the inputs, filled up to whole words."""
        steps = len(np.atleast_1d(as_array("spikes_in", spikes_in)))
        given = checked_counts("spikes_in", spikes_in, (steps, self.batch_size, self.num_inputs), MOST_SPIKES)
        counts = np.zeros((steps, self.batch_size, 8 * self._num_words), np.uint8)
        counts[:, :, : self.num_inputs] = given
        return counts

    def state_dict(self) -> State:
        """The complete state as copies: neurons, spikes on their way, weights, rules and random streams."""
        return {
            "topology": as_bytes(self._topology()),
            "slot": self._slot,
            "arrivals": self._memory.arrivals.copy(),
            "spikes": self._memory.spikes.copy(),
            "weights": self._weights.copy(),
            "neurons": {name: neurons.state_dict() for name, neurons in self.neurons.items()},
            "rules": {key: rule.state_dict() for key, rule in self.rules.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises:
            NeuroctlError: it is of a network of another form, or damaged; nothing has changed.
        """
        self._check_parts(state)
        check_topology(state.get("topology"), self._topology())
        before = self.state_dict()
        try:
            self._take_state(state)
            self._check_weights()
        except NeuroctlError:
            self._take_state(before)
            raise

    def adopt(self, state: Mapping[str, Any], members: Sequence[int]) -> None:
        """Begin with what agents of a network had learned: the synapses as its rules adopt them, adaptive thresholds.

        Spikes on their way, potentials and random streams stay this network's own.

        Args:
            state: what `state_dict` of a network of the same form returned, of any number of agents.
            members: of its agents, one for each agent here, `[B]`.

        Raises:
            NeuroctlError: another form, a damaged state, or members that it does not have; nothing has changed.
        """
        self._check_parts(state)
        check_topology(state.get("topology"), self._topology(), first=1)
        before = self.state_dict()
        try:
            for name, neurons in self.neurons.items():
                neurons.adopt(state["neurons"][name], members)
            for key, rule in self.rules.items():
                rule.adopt(state["rules"][key], members)
        except NeuroctlError:
            self._take_state(before)
            raise
        self.refresh_weights()

    def _check_parts(self, state: Mapping[str, Any]) -> None:
        check_mapping("the network", state)
        for part, owners in (("neurons", self.neurons), ("rules", self.rules)):
            states = state.get(part)
            missing = [key for key in owners if not isinstance(states, Mapping) or key not in states]
            if missing:
                raise NeuroctlError(f"state of the network has no {part} {missing[0]!r}")

    def _take_state(self, state: Mapping[str, Any]) -> None:
        arrays = {"arrivals": self._memory.arrivals, "spikes": self._memory.spikes, "weights": self._weights}
        check_arrays("the network", state, arrays)
        self._slot = checked_integer("slot", state.get("slot"), 0, self._memory.arrivals.shape[1] - 1)
        for name, neurons in self.neurons.items():
            neurons.load_state_dict(state["neurons"][name])
        for key, rule in self.rules.items():
            rule.load_state_dict(state["rules"][key])
        for name, array in arrays.items():
            array[:] = state[name]
        self._seen = self._nothing()

    def _check_weights(self) -> None:
        """Refuse arrays of a state that was taken which no network leaves behind."""
        for name, array in (("weights", self._weights), ("arrivals", self._memory.arrivals)):
            if not np.isfinite(array).all():
                raise NeuroctlError(f"{name} in the state of the network must be finite")
        for key, projection in self._projections.items():
            weight = self.weight(key)
            if projection.receptor == "inh" and (weight > 0).any():
                raise NeuroctlError(f"weights of {key!r} in the state of the network must be <= 0: they are inhibitory")
            if key in self.rules and not np.allclose(weight, self.rules[key].weight, rtol=ROUNDING, atol=ROUNDING):
                raise NeuroctlError(
                    f"weights of {key!r} in the state of the network are not those of its rule; call refresh_weights "
                    "before a state is saved"
                )

    def _topology(self) -> list[str]:
        """The form of the network, a line for each part."""
        lines = [f"{self.batch_size} agents", f"steps of {self.dt_ms:g} ms, {self.dtype}"]
        lines += [f"{hi - lo} inputs {name!r}" for name, (lo, hi) in self._inputs.items()]
        lines += [f"{hi - lo} neurons {name!r}" for name, (lo, hi) in self._ranges.items()]
        for key, p in self._projections.items():
            kind = "static" if p.rule is None else f"plastic ({p.synapses_per_pair} per pair)"
            lines.append(f"{kind} projection {key!r} ({p.receptor}, delay {p.delay_ms:g} ms)")
        return lines

    def _range(self, what: str, name: str, known: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
        if name not in known:
            raise UnknownNameError(what, name, known)
        return known[name]
