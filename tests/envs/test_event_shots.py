import numpy as np
import pytest

from neuroctl.envs.event_shots import LATEST_S, draw_ahead, due_shots, shots_ahead
from neuroctl.streams import stream

DT = 0.02


def film(frames, rate, pixels, rows=1, seed=0):
    """The shots of each frame, drawn as the event camera draws them."""
    streams = [stream(seed + b, "events") for b in range(rows)]
    ahead, clock = np.zeros((rows, 3, shots_ahead(rate * DT * pixels))), np.zeros(rows)
    shots = []
    for _ in range(frames):
        for b in np.flatnonzero(ahead[:, 0, -1] <= clock + DT):
            draw_ahead(streams[b], ahead[b], clock[b], rate, pixels)
        shots.append(due_shots(ahead, clock, DT, pixels))
        clock += DT
    return shots


@pytest.mark.parametrize(("rate", "pixels", "frames"), [(4.0, 50, 3000), (0.2, 50, 30_000), (50.0, 400, 40)])
def test_shots_are_a_poisson_process(rate, pixels, frames):
    """Counts have mean and variance rate x time x pixels; places and times are uniform; half are ON."""
    shots = film(frames, rate, pixels, rows=3)
    counts = np.concatenate([np.diff(one.first) for one in shots])
    mean = rate * DT * pixels
    assert counts.mean() == pytest.approx(mean, abs=5 * np.sqrt(mean / len(counts)))
    assert counts.var() == pytest.approx(mean, rel=0.15 if len(counts) > 1000 else 0.6)
    lagged = np.corrcoef(np.diff([one.first for one in shots], axis=1)[:, 0][:-1], counts[::3][1:])[0, 1]
    assert lagged == pytest.approx(0, abs=5 / np.sqrt(frames))
    place, time, sign = (np.concatenate([one[k] for one in shots]) for k in (1, 2, 3))
    assert len(place) == counts.sum()
    per_pixel = np.bincount(place, minlength=pixels)
    spread = ((per_pixel - per_pixel.mean()) ** 2 / per_pixel.mean()).sum()
    assert spread == pytest.approx(pixels - 1, abs=5 * np.sqrt(2 * pixels))
    assert time.min() > 0
    assert time.max() <= DT
    quarters = np.histogram(time, 4, (0, DT))[0]
    assert quarters == pytest.approx(len(time) / 4, abs=5 * np.sqrt(len(time) / 4))
    assert set(sign) == {-1, 1}
    assert sign.mean() == pytest.approx(0, abs=5 / np.sqrt(len(sign)))


def test_shots_of_a_row_come_from_its_own_stream():
    for together, alone in zip(film(60, 3.0, 40, rows=4), film(60, 3.0, 40, seed=2), strict=True):
        row = slice(*together.first[2:4])
        assert all(np.array_equal(a[row], b) for a, b in zip(together[1:], alone[1:], strict=True))


def test_shots_are_in_order_and_those_of_a_pixel_by_time():
    shots = film(1, 200.0, 30)[0]
    assert np.array_equal(np.lexsort((shots.times_s, shots.pixels)), np.arange(len(shots.pixels)))
    assert np.bincount(shots.pixels).max() > 1


def test_what_was_not_yet_shown_is_kept_when_more_is_drawn():
    ahead = np.zeros((3, shots_ahead(0.0)))
    generator = stream(0, "events")
    draw_ahead(generator, ahead, 0.0, 1.0, 10)
    before = ahead.copy()
    draw_ahead(generator, ahead, before[0, 4], 1.0, 10)  # five are over
    assert np.array_equal(ahead[:, :-5], before[:, 5:])
    assert (np.diff(ahead[0]) > 0).all()
    assert before[0, 0] > 0


def test_a_rate_of_almost_nothing_never_comes():
    ahead = np.zeros((3, shots_ahead(0.0)))
    draw_ahead(stream(0, "events"), ahead, 0.0, 5e-324, 10)
    assert (ahead[0] == LATEST_S).all()


@pytest.mark.parametrize("value", [-1.0, 1e300, np.nan])
def test_a_pixel_that_is_none_becomes_one(value):
    """A memory may have been tampered with: no kernel may write elsewhere."""
    ahead = np.array([[[0.01], [value], [value]]])
    shots = due_shots(ahead, np.zeros(1), DT, 10)
    assert shots.pixels.tolist() in ([0], [9])
    assert abs(shots.signs[0]) == 1
    assert due_shots(np.full((1, 3, 2), np.nan), np.zeros(1), DT, 10).first.tolist() == [0, 0]
