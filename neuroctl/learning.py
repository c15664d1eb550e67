"""Recording an agent that goes on learning, and repeating what it learned.

Such an agent is recorded in one row, one episode after the other. The state that it begins an episode with (its whole
`state_dict`, recurrent state and random streams included) is stored beside the episode, so that the updates of any
episode can be repeated alone, and a recording that was killed goes on with the bits of an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .contracts import Agent, map_observation
from .loop import ClosedLoop
from .progress import Progress
from .recorder import Recorder
from .recording import Episode, Recording
from .vector import Vector

if TYPE_CHECKING:
    from .rollouts import Shard


def record_learning(
    agent: Agent, env: Vector, recording: Recording, shards: Sequence[Shard], progress: Progress
) -> None:
    """Record the one episode of each shard; each begins with what the agent had learned at the end of the last."""
    if not recording.has_learning_state(0):
        agent.learning = True
        agent.begin(1, shards[0].seed)
        recording.add_learning_state(0, agent.state_dict())
    for number, shard in enumerate(shards):
        sound = recording.is_sound(number)
        if not (sound and recording.has_learning_state(number + 1)):
            recorder = Recorder(recording, [None if sound else number], shard.seeds, neural=recording.info.neural)
            ClosedLoop(env, agent, [recorder]).run_episodes(
                shard.seeds, shard.seed, learning=recording.learning_state(number)
            )
            recording.add_learning_state(number + 1, agent.state_dict())
        progress.advance(1)


def repeat_learning(agent: Agent, episode: Episode, state: dict[str, Any], seed: int) -> NDArray[Any]:
    """The actions `[T, ...]` of an agent that begins with `state` and learns from a recorded episode.

    `observe` is given what was recorded; of the environment's info, only the final observation.

    Args:
        agent: of the kind that was recorded.
        episode: the recorded one.
        state: its `state_dict` at the start.
        seed: root seed of the agent's streams in that episode.
    """
    agent.learning = True
    agent.begin(1, seed)
    agent.load_state_dict(state)
    actions = []
    for step in range(len(episode)):
        last = np.array([step == len(episode) - 1])
        obs, next_obs = (map_observation(itemgetter(slice(t, t + 1)), episode.obs) for t in (step, step + 1))
        actions.append(agent.act(obs, np.array([step == 0]))[0])
        info = {"final_obs": next_obs, "_final_obs": last} if last[0] else {}
        if last[0]:
            next_obs = map_observation(itemgetter(np.newaxis), episode.after)
        reward = episode.reward[step : step + 1]
        agent.observe(next_obs, reward, last & episode.terminated, last & episode.truncated, info)
        agent.update()
    return np.stack(actions)
