"""What all programs share: options from a dataclass, a user's mistake as one line and exit code 2."""

from __future__ import annotations

import contextlib
import errno
import io
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tyro

from neuroctl.errors import NeuroctlError
from neuroctl.progress import ShownProgress

Options = TypeVar("Options")


def parse(options: type[Options], argv: Sequence[str] | None, prog: str, default: Options | None = None) -> Options:
    """Options from the command line; the docstring under each field is its help text.

    Args:
        options: dataclass.
        argv: the command line; that of the process when None.
        prog: word after `neuroctl`, or the file that is given to `python`.
        default: values of the options that are left out.

    Raises:
        NeuroctlError: an option that does not exist or a value that does not fit.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    settings: dict[str, Any] = {} if default is None else {"default": default}
    complaint = io.StringIO()
    command = f"python {prog}" if prog.endswith(".py") else f"neuroctl {prog}"
    try:
        with contextlib.redirect_stderr(complaint):
            chosen: Options = tyro.cli(
                options, prog=command, args=arguments, config=(tyro.conf.FlagCreatePairsOff,), **settings
            )
            return chosen
    except SystemExit as end:
        if end.code in (None, 0):  # --help
            raise
        raise NeuroctlError(f"{_message(complaint.getvalue())}; see {command} --help") from None


def _message(box: str) -> str:
    """The message in tyro's box, whose parts (title, message, hints) stand between rules, as one line."""
    parts: list[list[str]] = [[]]
    for line in box.splitlines():
        text = line.strip("│ ")
        if text and not text.strip("╭╮╰╯─- ") or text.startswith("╭"):  # a rule
            parts.append([])
        else:
            parts[-1].append(text)
    if len(parts) > 1:
        del parts[0]
    return " ".join(" ".join(parts[0]).split()).rstrip(".")


FILE_ERRORS = {
    getattr(errno, name)
    for name in ("EACCES", "EPERM", "ENOENT", "ENOTDIR", "EISDIR", "EROFS", "EFBIG", "EDQUOT", "ENAMETOOLONG", "EEXIST")
}
"""What a user can mend about a file; other operating-system errors are bugs and keep their traceback."""


def run(main: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Call a program; the exit code. A user's mistake prints one line on stderr."""
    warnings.showwarning = _show_warning
    try:
        return main(argv)
    except NeuroctlError as error:
        return _fail(str(error))
    except BrokenPipeError:  # the reader of a pipe has seen enough
        return 0
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return _fail(f"no space left on the device for {error.filename or 'the output'}; what was saved stays")
        if error.errno in FILE_ERRORS:
            return _fail(f"{error.strerror}: {error.filename or 'the output'}")
        raise
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what was saved stays, the same command goes on where it can\n")
        return 130


def _fail(message: str) -> int:
    sys.stderr.write(f"error: {' '.join(message.split())}\n")
    return 2


def _show_warning(message: Any, *details: Any, **more: Any) -> None:
    sys.stderr.write(f"warning: {message}\n")


def shown(label: str, total: int, unit: str) -> ShownProgress:
    """A progress display for the user."""
    return ShownProgress(label, total, unit)


def table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    """Aligned plain-text columns."""
    cells = [list(header), *[[str(c) for c in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)
