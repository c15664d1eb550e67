"""What all programs share: options, one line for a user's mistake, exit codes, tables."""

import errno
import io
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

import pytest

from neuroctl import launch
from neuroctl.errors import NeuroctlError
from neuroctl.launch.cli import PROGRAMS
from neuroctl.launch.program import parse, run, table


@dataclass(frozen=True)
class Inner:
    rank: int = 3
    """Rank."""

    def __post_init__(self):
        if self.rank < 1:
            raise NeuroctlError(f"rank must be >= 1, got {self.rank}")


@dataclass(frozen=True)
class Options:
    """Do something."""

    name: str
    """A name."""
    inner: Inner = Inner()
    """Inner options."""
    kind: Literal["a", "b"] = "a"
    """Kind."""
    loud: bool = False
    """Shout."""


def test_options_are_typed_and_nested():
    options = parse(Options, ["--name", "x", "--inner.rank", "5", "--kind", "b", "--loud"], "do")
    assert options == Options("x", Inner(5), "b", True)


def test_options_start_from_a_default():
    assert parse(Options, ["--kind", "b"], "do", Options("x", Inner(7))) == Options("x", Inner(7), "b")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--name"),
        (["--name", "x", "--nmae", "y"], "Unrecognized options: --nmae, y"),
        (["--name", "x", "--inner.rank", "many"], "--inner.rank: invalid literal for int.*'many'"),
        (["--name", "x", "--inner.rank", "0"], "rank must be >= 1, got 0"),
        (["--name", "x", "--kind", "c"], "invalid choice 'c' for argument '--kind'.*'a', 'b'"),
        (["--name"], "Missing value for argument '--name'"),
    ],
)
def test_a_mistake_in_the_options_is_one_line_that_says_where_help_is(arguments, message, capsys):
    with pytest.raises(NeuroctlError, match=message) as error:
        parse(Options, arguments, "do")
    assert str(error.value).endswith("; see neuroctl do --help")
    assert "\n" not in str(error.value) and "│" not in str(error.value) and "─" not in str(error.value)
    assert capsys.readouterr() == ("", "")


def test_a_script_is_called_as_one(capsys):
    with pytest.raises(NeuroctlError, match=r"; see python launch/do\.py --help$"):
        parse(Options, ["--nmae", "y"], "launch/do.py")
    with pytest.raises(SystemExit):
        parse(Options, ["--help"], "launch/do.py")
    assert "usage: python launch/do.py" in capsys.readouterr().out


def test_every_program_says_how_it_is_called(capsys):
    for path in sorted(Path(launch.__file__).parent.glob("*.py")):
        if "parse(Arguments" in path.read_text() and path.stem not in ("train", "sweep"):  # they ask for a preset first
            with pytest.raises(SystemExit):
                import_module(f"neuroctl.launch.{path.stem}").main(["--help"])
            call = f"neuroctl {path.stem}" if path.stem in PROGRAMS else f"python launch/{path.name}"
            assert f"usage: {call} " in capsys.readouterr().out


@pytest.mark.parametrize("columns", ["40", "200"])
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_the_line_is_the_same_in_any_terminal(columns, encoding, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    with pytest.raises(NeuroctlError) as error:
        parse(Options, ["--name", "x", "--inner.rank", "0"], "do")
    assert str(error.value) == "Error parsing inner: rank must be >= 1, got 0; see neuroctl do --help"


def test_help_shows_the_docstrings_and_exits_with_0(capsys):
    with pytest.raises(SystemExit) as end:
        parse(Options, ["--help"], "do")
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "usage: neuroctl do" in out and "Shout." in out and "--no-loud" not in out


def raising(error):
    def main(argv):
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (NeuroctlError("two\n  lines"), 2, "error: two lines"),
        (OSError(errno.ENOSPC, "full", "/x/y"), 2, "error: no space left on the device for /x/y; what was saved stays"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 2, "error: Permission denied: /x"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/x"), 2, "error: Not a directory: /x"),
        (KeyboardInterrupt(), 130, "interrupted; what was saved stays, the same command goes on where it can"),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_an_exit_code(error, code, line, capsys):
    assert run(raising(error)) == code
    assert capsys.readouterr() == ("", f"{line}\n")


def test_a_reader_that_has_seen_enough_is_no_error(capsys):
    assert run(raising(BrokenPipeError())) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("error", [RuntimeError("bug"), TypeError("bug"), OSError(errno.EIO, "bug")])
def test_a_bug_is_not_hidden(error):
    with pytest.raises(type(error)):
        run(raising(error))


def test_a_warning_is_one_line(capsys):
    import warnings

    def main(argv):
        warnings.showwarning("half is damaged", RuntimeWarning, "file.py", 3)
        return 0

    before = warnings.showwarning
    try:
        assert run(main) == 0
    finally:
        warnings.showwarning = before
    assert capsys.readouterr().err == "warning: half is damaged\n"


def test_arguments_and_exit_code_are_passed_on():
    assert run(lambda argv: len(argv or ()), ["a", "b", "c"]) == 3


def test_columns_of_a_table_are_aligned():
    assert table([("a", 1), ("bbb", None)], ("x", "long")) == "x    long\na    1\nbbb  None"
