import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from neuroctl.envs import track
from neuroctl.envs.ground import ASPHALT, LINE, VERGE, ground_grey
from neuroctl.envs.track import CURVATURE, LANE_OFFSET_M, SPACING_M, loop_track, random_track

TRACKS = [
    pytest.param(loop_track, id="loop"),
    *(pytest.param(lambda s=s: random_track(s), id=str(s)) for s in range(3)),
]
every_track = pytest.mark.parametrize("make", TRACKS)


def test_loop_has_the_published_lane_lengths():
    assert loop_track().lane_length() == pytest.approx(31.99, abs=0.005)
    assert loop_track().lane_length(0.25) == pytest.approx(28.85, abs=0.005)
    assert loop_track().length_m == pytest.approx(10 + 6.5 * np.pi)


@every_track
def test_samples_are_equally_spaced_and_the_road_closes(make):
    road = make()
    steps = np.diff(road.samples[:, :2], axis=0, append=road.samples[:1, :2])
    assert np.hypot(*steps.T) == pytest.approx(road.length_m / len(road.samples), rel=1e-3)
    assert road.length_m / len(road.samples) == pytest.approx(SPACING_M, rel=0.02)
    turned = np.sum(road.samples[:, CURVATURE]) * road.length_m / len(road.samples)
    assert abs(turned) == pytest.approx(2 * np.pi, rel=5e-3)


@every_track
def test_projection_inverts_the_pose(make):
    road, rng = make(), np.random.default_rng(0)
    s, d = rng.uniform(0, road.length_m, 1000), rng.uniform(-0.6, 0.6, 1000)
    poses = np.array([road.pose(*p) for p in zip(s, d, strict=True)])
    s2, d2, heading, _ = road.project(poses[:, :2])
    assert np.abs((s2 - s + 1) % road.length_m - 1).max() < 1e-4
    assert np.abs(d2 - d).max() < 1e-4
    assert np.abs((heading - poses[:, 2] + np.pi) % (2 * np.pi) - np.pi).max() < 1e-3


def test_projection_on_an_arc_is_exact():
    """Around (7.5, 2.5) the centre line is a circle of 2 m."""
    angle = np.linspace(-1.5, 1.5, 400)
    for radius in (1.6, 2.0, 2.25, 2.9):
        points = np.array([7.5, 2.5]) + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        s, d, heading, curvature = loop_track().project(points)
        assert np.abs(d - (2 - radius)).max() < 1e-9
        assert np.abs(s - (5 + 2 * (angle + np.pi / 2))).max() < 1e-6
        assert np.abs(heading - (angle + np.pi / 2)).max() < 1e-6
        assert curvature == pytest.approx(0.5)


def test_projection_of_points_far_from_the_road():
    s, d, _, _ = loop_track().project(np.array([[5.0, -3.0], [100.0, 0.5]]))
    assert s[0] == pytest.approx(2.5)
    assert d[0] == pytest.approx(-3.5)
    assert np.isfinite(s[1])


def test_random_roads_are_drivable():
    lefts = rights = 0
    for seed in range(60):
        road = random_track(seed)
        curvature = road.samples[:, CURVATURE]
        lane = curvature / (1 - LANE_OFFSET_M * curvature)
        assert np.abs(lane).max() <= 1 / 1.2
        assert curvature.min() < 0 < curvature.max()
        lefts, rights = lefts + (curvature.mean() > 0), rights + (curvature.mean() < 0)
    assert lefts > 10
    assert rights > 10


def test_random_road_is_the_same_in_another_process():
    code = "import hashlib; from neuroctl.envs.track import random_track as r; "
    code += "print(hashlib.sha256(b''.join(r(s).samples.tobytes() for s in range(4))).hexdigest())"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    assert runs[0].stdout == runs[1].stdout
    assert not np.array_equal(random_track(0).samples[:100], random_track(1).samples[:100])


def test_built_roads_take_little_memory():
    random_track.cache_clear()
    tracemalloc.start()
    for seed in range(100, 200):
        random_track(seed)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 20e6


def test_ground_shows_lines_and_verge():
    x = np.linspace(3, 7, 400)

    def at(d):
        return ground_grey(loop_track(), np.stack([x, np.full_like(x, 0.5 + d)], axis=1))

    assert at(-0.25) == pytest.approx(ASPHALT, abs=1e-3)
    assert at(0.5) == pytest.approx(LINE, abs=1e-3)
    assert at(-0.5) == pytest.approx(LINE, abs=1e-3)
    assert set(np.round(np.unique(at(0.0)), 3)) == {np.float32(ASPHALT), np.float32(LINE)}
    assert (at(0.0) > 0.5).mean() == pytest.approx(0.5, abs=0.1)
    verge = at(0.8)
    assert verge.mean() == pytest.approx(VERGE, abs=0.05)
    assert verge.std() > 0.05


def test_dashes_divide_the_road():
    road = loop_track()
    s = np.linspace(0, road.length_m, 20001)[:-1]
    points = np.array([road.pose(v, 0.0)[:2] for v in s])
    bright = ground_grey(road, points) > 0.5
    starts = s[bright & ~np.roll(bright, 1)]
    assert len(starts) == round(road.length_m)
    gaps = np.diff(starts, append=starts[:1] + road.length_m)
    assert gaps == pytest.approx(road.length_m / len(starts), abs=0.01)


def test_too_large_roads_are_refused():
    samples = loop_track().samples.copy()
    samples[:, :2] *= 2
    with pytest.raises(ValueError, match="too large"):
        track.build_track(samples, 60.0)
