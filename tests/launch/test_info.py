"""`neuroctl info`: what a bug report needs."""

from neuroctl.launch.cli import main
from neuroctl.versions import versions


def test_versions_and_capabilities_are_printed(capsys):
    assert main(["info"]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines[1:]}
    assert versions().items() <= shown.items()
    assert int(shown["cores"]) >= 1
    assert shown["gpus"] and shown["opengl"].startswith(("yes", "no ("))
