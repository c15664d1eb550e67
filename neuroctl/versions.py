"""Which software and hardware made a file."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("neuroctl", "numpy", "torch", "mujoco", "gymnasium", "numba", "ray", "ale-py", "envpool")


@cache
def cpu_model() -> str:
    """The processor's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Versions of the packages that decide the bits of a result, of Python, and the processor."""
    found = {"python": platform.python_version(), "platform": platform.platform(), "cpu": cpu_model()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def differences(recorded: dict[str, str]) -> list[str]:
    """Lines such as `"mujoco 3.3.0 (here 4.0.0)"` for everything that differs from here."""
    here = versions()
    return [f"{name} {old} (here {here[name]})" for name, old in recorded.items() if here.get(name, old) != old]
