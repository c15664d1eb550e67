"""A recurrent actor-critic: acts, keeps a rollout, and learns from it by a gradient rule of choice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroctl import contracts
from neuroctl.contracts import Info, Observation, RolloutAgent, Spaces
from neuroctl.errors import NeuroctlError, NonFiniteError
from neuroctl.interventions import Intervention
from neuroctl.policy import map_state
from neuroctl.streams import pack_generator, stream, unpack_generator

from .actor_critic_config import ActorCriticConfig
from .cells.cell import State
from .encoders import StateEncoder
from .heads import ContinuousHead
from .learners.gradient_rule import GradientRule
from .learners.returns import Targets, generalised_advantages, vtrace
from .learners.rules import make_rule
from .policies import make_policy
from .return_scale import STD_FLOOR, ReturnScale
from .rollout import FIELDS, Rollout


class ActorCriticAgent(RolloutAgent):
    """Policy and critic on one recurrent cell, trained on rollouts of B rows.

    The gradient of everything above the cell is exact, that of the cell is the gradient rule's, and that of the encoder
    below it sees back to the beginning of the rollout. The cell's state and what the rule carries go on from rollout to
    rollout and begin anew with an episode. With `gradient="rtrl"`, what is carried was formed with the parameters that
    acted ("stale"), as in Irie et al. (arXiv 2305.19044).

    A learning agent draws its actions; one that only acts takes the most probable ones.

    Args:
        config: its options.
        spaces: of the environment.
        seed: root seed of initial weights and actions.
        device: torch device.
        dataset: none; it learns in the loop.
    """

    def __init__(
        self, config: ActorCriticConfig, spaces: Spaces, *, seed: int, device: str = "cpu", dataset: Any = None
    ) -> None:
        self.config, self.seed, self.device = config, seed, torch.device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.policy = make_policy(config, spaces, seed)
            self.critic = nn.Linear(self.policy.cell.output_size, 1)
            if isinstance(self.policy.head, ContinuousHead):
                nn.init.constant_(self.policy.head.log_std, float(np.log(config.initial_std)))
        self.policy.to(self.device)
        self.critic.to(self.device)
        self._parameters = [*self.policy.parameters(), *self.critic.parameters()]
        self.optimiser: torch.optim.Optimizer = (
            torch.optim.Adam(self._parameters, lr=config.learning_rate, eps=1e-5, fused=True)
            if config.optimiser == "adam"
            else torch.optim.RMSprop(self._parameters, lr=config.learning_rate, alpha=0.99, eps=0.01)
        )
        self.updates = 0
        self._rewards = ReturnScale(config.discount)
        make_rule(config.gradient, self.policy.cell, 1)  # refuses what is not defined

    # -- acting ------------------------------------------------------------------------------------------------

    def begin(self, num_envs: int, seed: int) -> None:
        """Initial recurrent state, no rollout, nothing carried."""
        minibatches = self.config.minibatches
        if self.learning and minibatches is not None and minibatches > num_envs:
            raise NeuroctlError(f"agent.minibatches is {minibatches}; there are {num_envs} rows, at most as many parts")
        self._state = self._entering = self.policy.initial_state(num_envs)
        self._rollout, self._noise = Rollout(), stream(seed, "actions")
        self._rule: GradientRule = make_rule(self.config.gradient, self.policy.cell, num_envs)
        self._rewards.begin(num_envs)

    @torch.no_grad()
    def act(self, obs: Observation, first: NDArray[np.bool_]) -> NDArray[Any]:
        """Actions `[B, ...]`: drawn from the policy while it learns, else the most probable."""
        head = self.policy.head
        y, self._state = self.policy.cell.step(
            self.policy.encoder(self._tensor(obs)), self._state, torch.tensor(first, device=self.device)
        )
        self._units = y
        output = self.policy.readout(y)
        if not self.learning:
            return self._array(head.mode(output))
        drawn = head.draw(output, self._tensor(head.noise(len(first), self._noise)))
        self._rollout.add(
            obs=np.asarray(obs),
            first=first,
            drawn=self._array(drawn),
            log_prob=self._array(head.drawn_log_prob(output, drawn)),
            value=self._array(self.critic(y)[:, 0]),
        )
        return self._array(head.action(drawn))

    @torch.no_grad()
    def observe(
        self,
        next_obs: Observation,
        reward: NDArray[np.float64],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        info: Info,
    ) -> None:
        """Keep the step; where a time limit cut an episode, with the value of its last observation."""
        if not self.learning:
            return
        next_value, cut = np.zeros(len(reward), np.float32), truncated & ~terminated
        if cut.any():
            next_value[cut] = self._value(info["final_obs"], np.zeros_like(cut))[cut]
        self._next_obs, self._done = np.array(next_obs), terminated | truncated
        self._rollout.add(
            reward=reward,
            next_value=next_value,
            terminated=terminated,
            truncated=cut,
        )

    def _value(self, obs: Observation, first: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The critic's word on observations that follow the last step, `[B]`."""
        features = self.policy.encoder(self._tensor(np.asarray(obs)))
        y, _ = self.policy.cell.step(features, self._state, torch.tensor(first, device=self.device))
        return self._array(self.critic(y)[:, 0])

    def _shaped(self, reward: NDArray[np.float64], done: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Rewards `[T, B]` as they are learned from; `done` where an episode ended."""
        if self.config.rewards == "normalise":
            reward = np.stack([self._rewards.scaled(*step) for step in zip(reward, done, strict=True)])
        elif self.config.rewards == "clip":
            reward = np.clip(reward, -1, 1)
        return reward.astype(np.float32)

    def activity(self) -> dict[str, NDArray[Any]]:
        """The cell's units, `[B, H]`."""
        return {"units": self._array(self._units)}

    def intervene(self, intervention: Intervention) -> None:
        """See `Agent.intervene`; the cell's units are called `units`."""
        self.policy.intervene(intervention)

    def recurrent_weights(self) -> dict[str, NDArray[Any]]:
        """The cell's recurrent matrices; none for units that see their own past only."""
        return {name: self._array(weight) for name, weight in self.policy.cell.recurrent_weights().items()}

    # -- learning ----------------------------------------------------------------------------------------------

    def update(self) -> dict[str, float]:
        """Learn when the rollout is full; metrics, means over its updates."""
        if len(self._rollout) < self.config.rollout_length:
            return {}
        return self._update(self.take_rollout(), self._state)

    @property
    def rollout_length(self) -> int:
        """T."""
        return self.config.rollout_length

    @torch.no_grad()
    def take_rollout(self) -> contracts.Rollout:
        """See `RolloutAgent.take_rollout`.

        Its steps are by the names of `FIELDS`; after the last come an observation, whether that begins an episode
        (`first`), and the critic's word on it (`value`).
        """
        value = self._value(self._next_obs, self._done)
        taken = {"steps": self._rollout.arrays(), "after": {"obs": self._next_obs, "first": self._done, "value": value}}
        self._rollout.clear()
        return taken

    def learn(self, rollout: contracts.Rollout) -> dict[str, float]:
        """See `RolloutAgent.learn`.

        Recurrent states and sensitivities are the learner's own, formed from the observations with its parameters of
        then. V-trace corrects for older weights, with values of the critic of now; of PPO the ratio does, and its
        advantages are those of the weights that acted.
        """
        recomputed = self._recomputed(rollout)
        return self._update(recomputed if self.config.objective == "vtrace" else rollout, self._state)

    @torch.no_grad()
    def _recomputed(self, rollout: contracts.Rollout) -> contracts.Rollout:
        """The rollout with the values of the critic of now, on the states of now, which go on to its end."""
        steps, after = rollout["steps"], rollout["after"]
        features = self.policy.encoder(self._tensor(steps["obs"]))
        y, self._state = self.policy.cell.unroll(features, self._entering, self._tensor(steps["first"]))
        value = self._value(after["obs"], after["first"])
        return {
            "steps": {**steps, "value": self._array(self.critic(y)[..., 0])},
            "after": {**after, "value": value},
        }

    def _update(self, rollout: contracts.Rollout, last: State) -> dict[str, float]:
        """Learn from a rollout that ends in the states `last`."""
        taken = rollout["steps"]
        done = taken["terminated"] | taken["truncated"]
        steps = {name: self._tensor(taken[name]) for name in FIELDS if name != "reward"}
        steps["reward"] = self._tensor(self._shaped(taken["reward"], done))
        steps |= {"continues": self._tensor(~done), "next_value": self._next_values(steps, rollout["after"]["value"])}
        if self.config.objective == "ppo":
            steps |= self._generalised(steps)
        self._set_learning_rate()
        updates = [self._learn(steps, rows) for rows in self._parts(steps)]
        self._rule.advance()
        self.updates += 1
        self._entering = map_state(Tensor.detach, last)
        if isinstance(self.policy.encoder, StateEncoder):
            self.policy.encoder.normaliser.update(steps["obs"])
        return {name: float(np.mean([update[name] for update in updates])) for name in updates[0]}

    @torch.no_grad()
    def _next_values(self, steps: dict[str, Tensor], last_value: NDArray[np.float32]) -> Tensor:
        """The critic's word on the observation after each step: 0 after an end, see `Rollout`."""
        following = torch.cat((steps["value"][1:], self._tensor(last_value)[None]))
        cut = torch.where(steps["truncated"], steps["next_value"], torch.zeros_like(following))
        return torch.where(steps["terminated"] | steps["truncated"], cut, following)

    def _set_learning_rate(self) -> None:
        config = self.config
        left = 1.0 if config.anneal_updates is None else max(1 - self.updates / config.anneal_updates, 0.0)
        for group in self.optimiser.param_groups:
            group["lr"] = config.learning_rate * left

    def _parts(self, steps: dict[str, Tensor]) -> Iterator[Tensor | None]:
        """The rows of each update; None is all of them."""
        if self.config.objective == "vtrace":
            yield None
            return
        with torch.no_grad():
            self._rule.prepare(self.policy.encoder(steps["obs"]), self._entering, steps["first"])
        rows = steps["first"].shape[1]
        parts = min(int(self.config.of_ppo("minibatches")), rows)
        generator = stream(self.seed, "minibatches", self.updates)
        for _ in range(int(self.config.of_ppo("epochs"))):
            for part in np.array_split(generator.permutation(rows), parts):
                yield self._tensor(part)

    def _learn(self, steps: dict[str, Tensor], rows: Tensor | None) -> dict[str, float]:
        """One update."""
        entering = self._entering
        if rows is not None:
            chosen = rows
            steps = {name: values[:, chosen] for name, values in steps.items()}
            entering = map_state(lambda part: part[chosen], entering)
        features = self.policy.encoder(steps["obs"])
        y = self._rule.outputs(features, entering, steps["first"], rows)
        output, value = self.policy.readout(y), self.critic(y)[..., 0]
        log_prob = self.policy.head.drawn_log_prob(output, steps["drawn"])
        log_ratio = log_prob - steps["log_prob"]
        targets = self._targets(steps, log_ratio.detach())
        actor = self._actor_loss(targets.advantages, log_prob, log_ratio)
        critic = 0.5 * (targets.values - value).square().mean()
        entropy = self.policy.head.entropy(output).mean()
        loss = actor + self.config.value_cost * critic - self.config.entropy_cost * entropy
        if self.config.loss == "sum":
            loss = loss * log_prob.numel()
        if not loss.isfinite():
            raise NonFiniteError(f"the loss is {loss.item()} in update {self.updates}")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._rule.add_carried()
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self.config.gradient_clip)
        if not norm.isfinite():
            raise NonFiniteError(f"the norm of the gradient is {norm.item()} in update {self.updates}")
        self.optimiser.step()
        return {
            "actor_loss": actor.item(),
            "critic_loss": critic.item(),
            "entropy": entropy.item(),
            "gradient_norm": norm.item(),
            "change": log_ratio.detach().exp().sub(1).sub(log_ratio.detach()).mean().item(),
        }

    def _targets(self, steps: dict[str, Tensor], log_ratio: Tensor) -> Targets:
        if self.config.objective == "ppo":
            return Targets(steps["target"], steps["advantage"])
        given = steps["reward"], steps["value"], steps["next_value"], steps["continues"]
        return vtrace(log_ratio, *given, discount=self.config.discount)

    def _generalised(self, steps: dict[str, Tensor]) -> dict[str, Tensor]:
        """What PPO learns towards, the same in all updates of a rollout."""
        given = steps["reward"], steps["value"], steps["next_value"], steps["continues"]
        found = generalised_advantages(*given, discount=self.config.discount, trace=self.config.of_ppo("trace"))
        return {"target": found.values, "advantage": found.advantages}

    def _actor_loss(self, advantages: Tensor, log_prob: Tensor, log_ratio: Tensor) -> Tensor:
        if self.config.objective == "vtrace":
            return -(advantages * log_prob).mean()
        advantages = (advantages - advantages.mean()) / (advantages.std(correction=0) + STD_FLOOR)
        clip, ratio = self.config.of_ppo("ratio_clip"), log_ratio.exp()
        return -torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages).mean()

    def _tensor(self, array: Any) -> Tensor:
        return torch.as_tensor(array, device=self.device)

    @staticmethod
    def _array(tensor: Tensor) -> NDArray[Any]:
        array: NDArray[Any] = tensor.detach().cpu().numpy()
        return array

    # -- state -------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Policy, critic and optimiser; while it learns also the states of its rows, the rollout, what is carried."""
        state: dict[str, Any] = {
            "policy": {k: v.detach().clone() for k, v in self.policy.state_dict().items()},
            "critic": {k: v.detach().clone() for k, v in self.critic.state_dict().items()},
            "optimiser": self.optimiser.state_dict(),
            "updates": self.updates,
            "rewards": self._rewards.state_dict(),
        }
        if self.learning:
            state["rows"] = {
                "state": self._state,
                "entering": self._entering,
                "rollout": self._rollout.state_dict(),
                "noise": pack_generator(self._noise),
                "rule": self._rule.state_dict(),
            }
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned; the rows only in an agent that learns, after `begin`."""
        self.policy.load_state_dict(state["policy"])
        self.critic.load_state_dict(state["critic"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.updates = state["updates"]
        if not self.learning:
            return
        self._rewards.load_state_dict(state["rewards"])
        if "rows" not in state:
            raise NeuroctlError("the state is that of an agent that only acted; one that learns on needs its rows too")
        rows = state["rows"]
        self._state, self._entering = (
            map_state(lambda part: part.to(self.device), rows[k]) for k in ("state", "entering")
        )
        self._rollout.load_state_dict(rows["rollout"])
        self._noise = unpack_generator(rows["noise"])
        self._rule.load_state_dict(rows["rule"])

    def acting_weights(self) -> dict[str, Any]:
        """See `RolloutAgent.acting_weights`: policy with normaliser, and critic, on the CPU."""
        parts = {"policy": self.policy, "critic": self.critic}
        return {
            name: {k: v.detach().cpu().clone() for k, v in part.state_dict().items()} for name, part in parts.items()
        }

    def rows_state(self) -> dict[str, Any]:
        """See `RolloutAgent.rows_state`: recurrent states, and the stream of actions."""
        return {"state": self._state, "noise": pack_generator(self._noise)}

    def load_rows_state(self, state: Mapping[str, Any]) -> None:
        """Put back what `rows_state` returned, between rollouts."""
        self._state = map_state(lambda part: part.to(self.device), state["state"])
        self._noise = unpack_generator(state["noise"])
        self._rollout.clear()

    def load_policy(self, state: Mapping[str, Any]) -> None:
        """Start from the policy and critic of another agent."""
        self.policy.load_state_dict(state["policy"])
        self.critic.load_state_dict(state["critic"])
