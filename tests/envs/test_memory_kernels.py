"""The compiled loops on episodes that can be worked out by hand."""

from typing import Any

import numpy as np
import pytest

from neuroctl.envs.memory_kernels import answer, figures, write_copy, write_non_match, write_parity


def room(rows: int, steps: int, inputs: int) -> Any:
    return np.zeros((rows, steps + 1, inputs), np.float32), np.full((rows, steps), -1, np.int8), np.zeros((rows, steps))


def test_a_trial_is_written_from_its_numbers() -> None:
    # delay 2 of 2..3; a match; sample 2 of 0..2; (no other); distractors 0, 1, and one too many
    match = [0.49, 0.1, 0.9, 0.0, 0.2, 0.5, 0.9]
    # delay 3; no match; sample 1; the other one is (1 + 1 + 1) mod 3; distractors 2, 2, 0
    non_match = [0.5, 0.5, 0.4, 0.6, 0.7, 0.9, 0.1]
    inputs, answers, worth = room(2, 10, 4)
    lengths = np.array([10, 10])
    drawn = np.array([[match, non_match]])
    write_non_match(np.array([1]), drawn, inputs, answers, worth, lengths, 2, 3, 3, True)
    assert lengths.tolist() == [10, 9] and not inputs[0].any() and not inputs[1, 9:].any()
    assert inputs[1, :9, :3].argmax(axis=1).tolist() == [2, 0, 1, 2, 1, 2, 2, 0, 0]
    assert inputs[1, :9, 3].tolist() == [1, 0, 0, 1, 1, 0, 0, 0, 1]
    assert answers[1].tolist() == [-1, -1, -1, 0, -1, -1, -1, -1, 1, -1]
    assert worth[1].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("drawn", "bits", "odd"), [([0.1, 0.7, 0.2], [1, -1, 1], 0), ([0.5, 0.6, 0.4], [-1, -1, 1], 1)]
)
def test_parity_by_hand(drawn: list[float], bits: list[int], odd: int) -> None:
    inputs, answers, worth = room(1, 4, 2)
    write_parity(np.array([0]), np.array([drawn]), inputs, answers, worth)
    assert inputs[0].tolist() == [*([bit, 0] for bit in bits), [0, 1], [0, 0]]
    assert answers.tolist() == [[-1, -1, -1, odd]] and worth.tolist() == [[0, 0, 0, 1]]


def test_a_lopsided_pattern_weighs_its_rare_value_more() -> None:
    inputs, answers, worth = room(1, 9, 3)
    write_copy(np.array([0]), np.array([[0.9, 0.1, 0.8, 0.7]]), inputs, answers, worth, 1)
    assert inputs[0, :4, 0].tolist() == [-1, 1, -1, -1]
    assert answers[0].tolist() == [-1] * 5 + [0, 1, 0, 0]
    assert worth[0].tolist() == [0] * 5 + [1 / 6, 1 / 2, 1 / 6, 1 / 6]


def test_answers_are_counted_and_scored() -> None:
    answers, worth = np.array([[1, -1, 0]] * 3, np.int8), np.array([[0.5, 0.0, 0.25]] * 3)
    steps, lengths = np.array([0, 1, 2]), np.array([3, 3, 3])
    asked, right = np.zeros((3, 2), np.int64), np.zeros((3, 2), np.int64)
    reward, over = np.zeros(3), np.ones(3, np.bool_)
    answer(np.array([1, 1, 1]), steps, answers, worth, lengths, asked, right, reward, over)
    assert reward.tolist() == [0.5, 0, -0.25] and over.tolist() == [False, False, True]
    assert asked.tolist() == [[0, 1], [0, 0], [1, 0]] and right.tolist() == [[0, 1], [0, 0], [0, 0]]


def test_figures_by_hand() -> None:
    asked, right = np.array([[4, 1], [0, 2], [0, 0], [2, 1]]), np.array([[1, 1], [0, 2], [0, 0], [2, 0]])
    steps, lengths = np.array([9, 9, 0, 9]), np.array([9, 10, 9, 9])
    counts, accuracy, success = figures(np.array([0, 1, 2, 3]), steps, lengths, asked, right)
    assert counts.tolist() == [[5, 2, 0, 3], [2, 2, 0, 2], [1, 2, 0, 1], [1, 2, 0, 0]]
    assert accuracy.tolist() == [(1 / 4 + 1) / 2, 1, 0, 1 / 2]
    assert success.tolist() == [False] * 4
    assert figures(np.array([1]), steps + 1, lengths, asked, right)[2].tolist() == [True]
