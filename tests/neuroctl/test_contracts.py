"""What the contracts themselves do."""

from typing import Any

import numpy as np

from neuroctl.contracts import map_observation


def test_every_array_of_an_observation_is_mapped_and_the_structure_stays() -> None:
    obs: dict[str, Any] = {"a": np.arange(3), "b": {"c": np.ones((2, 2))}}
    twice = map_observation(lambda part: 2 * part, obs)
    assert twice.keys() == obs.keys() and twice["b"].keys() == {"c"}
    assert twice["a"].tolist() == [0, 2, 4] and twice["b"]["c"].tolist() == [[2, 2], [2, 2]]
    assert obs["a"].tolist() == [0, 1, 2], "what was given is not changed"
    assert map_observation(np.sum, np.arange(4)) == 6
