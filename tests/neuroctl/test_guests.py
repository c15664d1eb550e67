"""Controllers from elsewhere act in the loop: functions, objects, classes, modules and ONNX files."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl.errors import NeuroctlError
from neuroctl.evaluation import evaluate, evaluate_players
from neuroctl.guests import Guest, guest
from neuroctl.rollouts import Player
from tests.neuroctl.toys import POINT

MODULE = """
import numpy as np

def push(obs):
    return np.clip(-obs[:, :2], -1, 1).astype(np.float32)

class Pusher:
    def __init__(self):
        self.begun = 0
    def reset(self):
        self.begun += 1
    def act(self, obs, first):
        assert self.begun == 1 and first.shape == (len(obs),)
        return push(obs)

class Needy:
    def __init__(self, what):
        pass

nothing = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "my_controllers.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("my_controllers", None)


def returns(player: Player | None) -> Any:
    assert player is not None
    return evaluate_players([player], POINT, {}, episodes=20).returns


def test_a_controller_acts_in_whatever_form_it_comes(module: Any) -> None:
    import my_controllers as mine  # type: ignore[import-not-found]

    wanted = evaluate("expert", env_id=POINT, episodes=20).returns  # which does the same
    for source in ("my_controllers:push", "my_controllers:Pusher", mine.push, mine.Pusher):
        np.testing.assert_allclose(returns(guest(source)), wanted, rtol=1e-6)
    once = mine.Pusher()
    np.testing.assert_allclose(
        evaluate_players([Guest("one", controller=once)], POINT, {}, episodes=5).returns, wanted[:5]
    )
    assert once.begun == 1


def test_its_identity_is_that_of_the_file_that_holds_it(module: Any, tmp_path: Path) -> None:
    made = guest("my_controllers:push")
    other = guest("my_controllers:Pusher")
    assert made is not None and other is not None
    assert made.policy_hash() == other.policy_hash() != ""
    assert Guest("push", controller=np.tanh).policy_hash() == ""


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("my_controllers:push_harder", "module 'my_controllers' has nothing called 'push_harder'"),
        ("no_such_module:push", "no module 'no_such_module' can be imported"),
        ("nowhere.onnx", "no ONNX file at nowhere.onnx"),
    ],
)
def test_what_is_not_there_is_named(module: Any, source: str, message: str) -> None:
    with pytest.raises(NeuroctlError, match=message):
        guest(source)


def test_what_cannot_act_is_named(module: Any) -> None:
    with pytest.raises(NeuroctlError, match=r"my_controllers:nothing has no method act\(obs, first\), nor can it"):
        returns(guest("my_controllers:nothing"))
    with pytest.raises(NeuroctlError, match="my_controllers:Needy must be a class that is made without arguments"):
        returns(guest("my_controllers:Needy"))


def test_other_names_are_none() -> None:
    assert guest("runs/a") is None and guest("expert") is None and guest(Path("C:/runs")) is None
