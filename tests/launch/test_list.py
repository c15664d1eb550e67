"""`neuroctl list`: every registered name, with what it is."""

from neuroctl import registry
from neuroctl.launch.cli import main


def test_every_environment_preset_agent_and_shift_is_listed_with_its_summary(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  neuroctl/LaneFollow-v0" in lines
    assert any(line.startswith("  neuroctl/Atari-<Game>-v0 (extra: atari): Adventure, AirRaid,") for line in lines)
    assert any(line.startswith("  neuroctl/Procgen-<Game>-v0 (extra: procgen): BigFish, BossFight,") for line in lines)
    assert any(line.endswith("YarsRevenge, Zaxxon") for line in lines) and max(map(len, lines)) <= 120
    for names in (registry.presets, registry.agents, registry.cells, registry.shifts):
        for name, entry in names.entries.items():
            assert any(line.split()[:1] == [name] and line.endswith(entry.summary) for line in lines), name
