"""Files say which software and processor made them, and what of it differs here."""

import platform
from importlib.metadata import version

import pytest

import neuroctl
from neuroctl.versions import PACKAGES, cpu_model, differences, versions


def test_everything_that_decides_the_bits_is_named() -> None:
    found = versions()
    assert set(found) == {*PACKAGES, "python", "platform", "cpu"}
    assert found["numpy"] == version("numpy") and found["python"] == platform.python_version()
    assert found["neuroctl"] == neuroctl.__version__
    assert found["cpu"] == cpu_model() != ""


def test_a_package_that_is_missing_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuroctl.versions.PACKAGES", (*PACKAGES, "no-such-package"))
    assert versions()["no-such-package"] == "not installed"


def test_only_what_differs_is_listed() -> None:
    here = versions()
    assert differences(here) == []
    old = {**here, "mujoco": "3.3.0", "cpu": "Z80"}
    assert sorted(differences(old)) == [f"cpu Z80 (here {here['cpu']})", f"mujoco 3.3.0 (here {here['mujoco']})"]
    assert differences({"a_package_nobody_knows_here": "1"}) == []
