"""Progress: a bar on a terminal, plain lines elsewhere, on stderr alone."""

import io
import sys

import pytest

from neuroctl.progress import NoProgress, ShownProgress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_without_a_terminal_one_plain_line_tells_the_end(capsys):
    with ShownProgress("recording", 4, "episodes") as shown:
        for _ in range(4):
            shown.advance()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("recording: 4/4 episodes, ") and err.endswith("/s, 0 s left\n")
    assert err.count("\n") == 1


def test_without_a_terminal_long_work_tells_a_line_now_and_then_with_rate_and_time_left(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("neuroctl.progress.time.monotonic", lambda: now[0])
    with ShownProgress("training", 100, "steps") as shown:
        for _ in range(50):
            now[0] += 0.5
            shown.advance(1, "loss 0.1")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "training: 21/100 steps, 2.0/s, 40 s left loss 0.1"
    assert len(lines) == 3


def test_slow_work_tells_how_long_one_takes(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("neuroctl.progress.time.monotonic", lambda: now[0])
    with ShownProgress("study", 9, "cells") as shown:
        now[0] += 160.0
        shown.advance(2)
    assert capsys.readouterr().err.splitlines()[0] == "study: 2/9 cells, 80.0 s each, 560 s left"


def test_what_was_done_earlier_counts_as_done_and_not_for_the_rate(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("neuroctl.progress.time.monotonic", lambda: now[0])
    with ShownProgress("training", 100, "steps") as shown:
        shown.skip(40)
        for _ in range(21):
            now[0] += 0.5
            shown.advance()
    assert capsys.readouterr().err.splitlines()[0] == "training: 61/100 steps, 2.0/s, 20 s left"


def test_work_that_was_done_earlier_as_a_whole_has_no_rate(capsys):
    with ShownProgress("recording", 4, "episodes") as shown:
        shown.skip(4)
    assert capsys.readouterr().err == "recording: 4/4 episodes\n"


def test_work_that_fails_does_not_claim_an_end(capsys):
    with pytest.raises(RuntimeError), ShownProgress("training", 4, "steps") as shown:
        shown.advance()
        raise RuntimeError
    assert capsys.readouterr().err == ""


def test_on_a_terminal_there_is_a_bar_on_stderr(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with ShownProgress("training", 4, "steps") as shown:
        shown.advance(4, "loss 0.25")
    assert "4/4" in terminal.getvalue() and "steps" in terminal.getvalue() and "loss 0.25" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_a_bar_may_appear_inside_another_as_when_a_round_of_dagger_is_recorded(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with ShownProgress("training", 4, "steps") as outer:
        outer.skip(2)
        with ShownProgress("recording", 3, "episodes") as inner:
            inner.advance(3)
        outer.advance(2)
    assert "3/3" in terminal.getvalue() and "4/4" in terminal.getvalue()


def test_a_library_call_shows_nothing(capsys):
    NoProgress().advance(3, "note")
    NoProgress().skip(3)
    assert capsys.readouterr() == ("", "")
