"""The expert's opinion of every observation: what DAgger learns from."""

from typing import Any

from gymnasium.vector import VectorEnv, VectorWrapper

from .vector import expert_action

Vector = VectorEnv[Any, Any, Any]


class ExpertLabels(VectorWrapper[Any, Any, Any, Any, Any]):
    """Puts the scripted controller's action for the observation an agent sees into `info["expert_action"]`.

    `info` belongs to the observation that comes with it: the label of the observation an action is chosen from stands
    in the info of the reset or step before.
    """

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Reset and label the first observations."""
        obs, info = self.env.reset(**kwargs)
        return obs, {**info, "expert_action": expert_action(self.env)}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step and label the returned observations."""
        obs, reward, terminated, truncated, info = self.env.step(actions)
        return obs, reward, terminated, truncated, {**info, "expert_action": expert_action(self.env)}
