from pathlib import Path

import pytest
from matplotlib.image import imread

from neuroctl import registry
from neuroctl.errors import NeuroctlError
from neuroctl.launch import gallery

ROOT = Path(__file__).parents[2]


def test_the_gallery_draws_every_shift(tmp_path):
    assert gallery.main(["--results", str(tmp_path / "new"), "--seconds", "0.4"]) == 0
    picture = imread(tmp_path / "new" / "shifts.png")
    assert picture.shape[:2] == imread(ROOT / "docs/results/shifts.png").shape[:2]
    ours = {name for name, entry in registry.shifts.entries.items() if entry.target.startswith("neuroctl.envs")}
    drawn = [*gallery.PICTURES, *gallery.HUES, *gallery.FILMS, *gallery.STATES, *gallery.COUNTS]
    drawn += [*gallery.DRIVES, *gallery.ROLLS, "held-out"]
    assert len(drawn) == len(set(drawn)) and set(drawn) == ours


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "0.01"])
def test_a_time_without_a_control_step_is_refused(seconds, tmp_path):
    with pytest.raises(NeuroctlError, match="seconds must be at least 0.02, a control step, and finite, got "):
        gallery.main(["--results", str(tmp_path / "new"), "--seconds", seconds])
    assert not (tmp_path / "new").exists()


def test_the_document_lists_every_shift_and_its_levels():
    text = (ROOT / "docs/shifts.md").read_text()
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]
    listed = {row[0].strip("`"): row[2] for row in table}
    ours = [name for name, entry in registry.shifts.entries.items() if entry.target.startswith("neuroctl.envs")]
    assert list(listed) == ours
    for name, levels in listed.items():
        assert levels == ", ".join(f"{level:g}" for level in registry.shifts.load(name).levels[1:])
