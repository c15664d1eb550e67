"""Names stand for things that are imported on demand; importing neuroctl and asking for help stay light."""

import inspect
import os.path
import pickle
import pkgutil
import types
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

import neuroctl
from neuroctl.errors import NeuroctlError, UnknownNameError
from neuroctl.registry import Registry

RunPython = Callable[..., "CompletedProcess[str]"]
PROGRAMS = {"list", "info", "train", "evaluate", "record", "replay", "report"}

LIGHT = """
import sys
import neuroctl
import neuroctl.launch.cli as cli
def check(what):
    heavy = sorted({"torch", "mujoco", "ray", "numba", "matplotlib", "tensorboard"} & set(sys.modules))
    assert not heavy, f"{what} imports {heavy}"
check("import neuroctl")
for arguments in (["--help"], ["--version"], ["list"], *([program, "--help"] for program in cli.PROGRAMS),
                  *(["train", preset, "--help"] for preset in neuroctl.registry.presets.names())):
    try:
        assert not cli.main(arguments), arguments
    except SystemExit as end:
        assert not end.code, arguments
    check(arguments)
print("done", *cli.PROGRAMS)
"""


def test_a_name_is_resolved_only_when_it_is_loaded() -> None:
    registry = Registry("thing")
    registry.register("late", "a_module_that_does_not_exist:Thing")
    registry.register("path", "os.path:join", "joins paths")
    assert registry.names() == ["late", "path"]
    assert registry.load("path") is os.path.join
    with pytest.raises(ModuleNotFoundError):
        registry.load("late")


def test_a_taken_name_is_refused_and_the_same_registration_is_not() -> None:
    registry = Registry("shift")
    registry.register("noise", "one:Noise", "white")
    registry.register("noise", "one:Noise", "white")
    with pytest.raises(NeuroctlError, match=r"shift 'noise' is already registered for 'one:Noise'"):
        registry.register("noise", "two:Noise")
    assert registry.entries["noise"].target == "one:Noise"


def test_an_unknown_name_is_answered_with_the_nearest_and_all_others() -> None:
    registry = Registry("shift", {})
    for name in ("gaussian-noise", "friction"):
        registry.register(name, "m:C")
    with pytest.raises(UnknownNameError) as caught:
        registry.load("gausian-noise")
    expected = "unknown shift 'gausian-noise'; did you mean 'gaussian-noise'? known: friction, gaussian-noise"
    assert str(caught.value) == expected
    with pytest.raises(UnknownNameError, match=r"unknown shift 'zzz'; known: friction"):
        registry.load("zzz")
    with pytest.raises(UnknownNameError, match=r"unknown agent 'x'; known: none"):
        Registry("agent").load("x")


def test_errors_cross_process_boundaries_unchanged() -> None:
    error = UnknownNameError("shift", "fog", ["frog"])
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is UnknownNameError and str(copy) == str(error)


def test_no_public_name_is_also_a_submodule() -> None:
    modules = {module.name for module in pkgutil.iter_modules(neuroctl.__path__)}
    lazy = {name for name in neuroctl.__all__ if not isinstance(getattr(neuroctl, name), types.ModuleType)}
    assert not lazy & modules
    assert all(inspect.isfunction(getattr(neuroctl, n)) for n in ("train", "evaluate", "record", "replay", "load"))


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = neuroctl.trian


def test_importing_neuroctl_and_help_of_every_program_are_light(run_python: RunPython) -> None:
    result = run_python("-W", "error", "-c", LIGHT)
    assert result.returncode == 0, result.stderr
    assert set(result.stdout.splitlines()[-1].split()[1:]) >= PROGRAMS


def test_of_many_names_the_nearest_are_listed() -> None:
    error = UnknownNameError("game", "gme7", [f"game{k}" for k in range(100)])
    assert str(error).startswith(
        "unknown game 'gme7'; did you mean 'game7'? the nearest of 100 that are known: game7, "
    )
    assert str(error).count(",") == 4
    assert "known: game0, game1" in str(UnknownNameError("game", "x", [f"game{k}" for k in range(50)]))
