"""Other packages register their robots and agents through entry points; a broken one takes nothing down."""

import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

RunPython = Callable[..., "CompletedProcess[str]"]

SHOW = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import neuroctl, gymnasium
for warning in caught:
    print("WARNING", warning.category.__name__, warning.message)
for name in ("toys/Point-v0", "neuroctl/LaneFollow-v0"):
    print(name, name in gymnasium.registry)
print(neuroctl.registry.agents.names(), neuroctl.registry.presets.names())
"""


def test_an_installed_plugin_is_found(run_python: RunPython) -> None:
    result = run_python("-c", SHOW)
    assert result.returncode == 0, result.stderr
    assert "WARNING" not in result.stdout
    assert "toys/Point-v0 True" in result.stdout and "'toy-linear'" in result.stdout


def test_a_plugin_that_fails_is_named_in_a_warning_and_the_others_load(
    run_python: RunPython, plugin_path: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(plugin_path, tmp_path / "site")
    for name, body in {"rusty": "raise RuntimeError('no robot today')", "gone": None, "exits": "1 / 0"}.items():
        if body is not None:
            (folder / f"{name}_plugin.py").write_text(body)
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[neuroctl.plugins]\n{name} = {name}_plugin\n")
    result = run_python("-c", SHOW, path=folder)
    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if line.startswith("WARNING")]
    assert len(lines) == 3 and all("RuntimeWarning" in line for line in lines)
    text = "\n".join(lines)
    assert "'rusty' (rusty_plugin) failed to load: RuntimeError: no robot today" in text
    assert "'gone' (gone_plugin) failed to load: ModuleNotFoundError" in text
    assert "'exits' (exits_plugin) failed to load: ZeroDivisionError" in text
    assert "toys/Point-v0 True" in result.stdout and "neuroctl/LaneFollow-v0 True" in result.stdout
