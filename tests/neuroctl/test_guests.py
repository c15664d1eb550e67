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

class Lonely:
    def act(self, obs):
        return push(obs)

def pair(obs, first):
    return push(obs)

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


def test_nobody_knows_what_python_code_reads_but_an_onnx_file_is_what_it_is(module: Any, tmp_path: Path) -> None:
    made = guest("my_controllers:push")
    assert made is not None and made.policy_hash() == ""
    assert Guest("push", controller=np.tanh).policy_hash() == ""
    assert Guest("a.onnx", identity="abc").policy_hash() == "abc"


def test_modules_are_also_looked_for_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "near_by.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    made = guest("near_by:push")
    assert made is not None and made.folder == str(tmp_path)
    sys.modules.pop("near_by")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("my_controllers:push_harder", "module 'my_controllers' has nothing called 'push_harder'"),
        ("no_such_module:push", "module 'no_such_module' cannot be imported"),
        ("my_controllers:nothing", r"my_controllers:nothing has no method act.obs, first., nor can it"),
        ("my_controllers:Needy", "my_controllers:Needy must be a class that is made without arguments"),
        ("my_controllers:Lonely", "the method act of my_controllers:Lonely must take observations and `first`"),
        ("my_controllers:pair", "my_controllers:pair must be a function of observations alone"),
        (None, "NoneType has no method act"),
        (np.zeros(3), "ndarray has no method act"),
        ("nowhere.onnx", "no ONNX file at nowhere.onnx"),
    ],
)
def test_what_is_not_there_or_cannot_act_is_named(module: Any, source: Any, message: str) -> None:
    with pytest.raises(NeuroctlError, match=message):
        guest(source)


def test_an_error_within_a_module_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_module.py").write_text("import numpy as np\nnp.nosuchthing\ndef act(obs):\n    return obs\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(NeuroctlError, match="module 'broken_module' cannot be imported .*nosuchthing"):
        guest("broken_module:act")


def test_a_controller_may_be_empty() -> None:
    class Empty(list[int]):
        def act(self, obs: Any, first: Any) -> Any:
            return np.clip(-obs[:, :2], -1, 1)

    wanted = evaluate("expert", env_id=POINT, episodes=20).returns
    np.testing.assert_allclose(returns(guest(Empty())), wanted, rtol=1e-6)


def test_other_names_are_none() -> None:
    assert guest("runs/a") is None and guest("expert") is None and guest(Path("C:/runs")) is None
