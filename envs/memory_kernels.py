"""Compiled loops of the memory tasks: they write the episodes that were drawn, and take the answers.

An episode of row `rows[i]` is written from its numbers `drawn[i]`, uniform in [0, 1); `inputs`, `answers` and `worth`
hold what `neuroctl.envs.memory_vector.MemoryVector` says and have their first values there: zeros, -1 and zeros.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def write_non_match(rows, drawn, inputs, answers, worth, lengths, shortest, longest, symbols, distractors):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Trials of delayed non-match to sample, one after the other.

    Args:
        rows: see the head of this module, as for `answers` and `worth`.
        drawn: `[len(rows), trials, 4 + longest]`.
        inputs: S + 1, the last one marks.
        answers: 1 for a non-match.
        worth: always 1.
        lengths: steps of the episodes `[B]`, overwritten.
        shortest: shortest delay in steps.
        longest: longest delay in steps.
        symbols: S.
        distractors: whether delays show symbols.
    """
    for i, b in enumerate(rows):
        t = 0
        for numbers in drawn[i]:
            delay = shortest + int(numbers[0] * (longest - shortest + 1))
            sample = int(numbers[2] * symbols)
            matches = numbers[1] < 0.5
            test = sample if matches else (sample + 1 + int(numbers[3] * (symbols - 1))) % symbols
            inputs[b, t, sample] = inputs[b, t, symbols] = 1
            if distractors:
                for k in range(delay):
                    inputs[b, t + 1 + k, int(numbers[4 + k] * symbols)] = 1
            t += delay + 1
            inputs[b, t, test] = inputs[b, t, symbols] = 1
            answers[b, t], worth[b, t] = 0 if matches else 1, 1
            t += 1
        lengths[b] = t


@njit(cache=True, nogil=True)
def write_parity(rows, drawn, inputs, answers, worth):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """N bits, then the query; `drawn` is `[len(rows), N]`."""
    for i, b in enumerate(rows):
        bits = drawn.shape[1]
        odd = 0
        for t in range(bits):
            one = drawn[i, t] < 0.5
            inputs[b, t, 0] = 1 if one else -1
            odd ^= one
        inputs[b, bits, 1] = 1
        answers[b, bits], worth[b, bits] = odd, 1


@njit(cache=True, nogil=True)
def write_copy(rows, drawn, inputs, answers, worth, delay):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """L bits, a delay, and L questions; `drawn` is `[len(rows), L]`."""
    for i, b in enumerate(rows):
        length = drawn.shape[1]
        ones = 0
        for t in range(length):
            one = 1 if drawn[i, t] < 0.5 else 0
            ones += one
            inputs[b, t, 0], inputs[b, t, 1] = 2 * one - 1, 1
            inputs[b, length + delay + t, 2] = 1
            answers[b, length + delay + t] = one
        values = 2 if 0 < ones < length else 1
        for t in range(length + delay, 2 * length + delay):
            worth[b, t] = 1 / (values * (ones if answers[b, t] == 1 else length - ones))


@njit(cache=True, nogil=True)
def answer(action, steps, answers, worth, lengths, asked, right, reward, over):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Take the actions `[B]`.

    Args:
        action: of the step, `[B]`.
        steps: of the episodes so far `[B]`.
        answers: right ones `[B, T]`, -1 where nothing is asked.
        worth: rewards of these `[B, T]`.
        lengths: steps of the episodes altogether `[B]`.
        asked: how often each was the right answer `[B, 2]`, brought up to date.
        right: how often it was given then `[B, 2]`, brought up to date.
        reward: `[B]`, overwritten where something is asked.
        over: `[B]`, overwritten: the episode ends with this step.
    """
    for b in range(len(action)):
        t = steps[b]
        over[b] = t + 1 >= lengths[b]
        if t >= answers.shape[1] or answers[b, t] < 0:
            continue
        correct = action[b] == answers[b, t]
        asked[b, answers[b, t]] += 1
        right[b, answers[b, t]] += correct
        reward[b] = worth[b, t] if correct else -worth[b, t]


@njit(cache=True, nogil=True)
def figures(rows, steps, lengths, asked, right):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """What is said of `rows`: counts int64 `[4, n]`, balanced accuracy `[n]`, success bool `[n]`.

    The counts are of questions, right answers, questions with the right answer 1, and right answers to these. The
    balanced accuracy is the mean over the right answers that there were, 0 and 1, of the share that was given. Success
    is an episode that is over, with right answers alone.

    Args:
        rows: `[n]`.
        steps: of the episodes so far `[B]`.
        lengths: of the episodes altogether `[B]`.
        asked: how often each was the right answer `[B, 2]`.
        right: how often it was given then `[B, 2]`.
    """
    counts = np.empty((4, len(rows)), np.int64)
    accuracy, success = np.zeros(len(rows)), np.empty(len(rows), np.bool_)
    for i, b in enumerate(rows):
        counts[0, i], counts[1, i] = asked[b, 0] + asked[b, 1], right[b, 0] + right[b, 1]
        counts[2, i], counts[3, i] = asked[b, 1], right[b, 1]
        kinds = 0
        for value in range(2):
            if asked[b, value]:
                kinds += 1
                accuracy[i] += right[b, value] / asked[b, value]
        accuracy[i] /= max(kinds, 1)
        success[i] = steps[b] >= lengths[b] and counts[0, i] == counts[1, i]
    return counts, accuracy, success
