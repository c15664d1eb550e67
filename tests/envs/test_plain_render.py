import numpy as np

from neuroctl.envs.plain_render import INK, PAPER, RISING, blank, draw_inputs, draw_rod


def test_bars_rise_and_fall_with_their_inputs() -> None:
    low, high = np.array([-1.0, 0.0, -2.0, -np.inf]), np.array([1.0, 1.0, 2.0, np.inf])
    frame = draw_inputs(np.array([1.0, 0.0, -1.0, 3.0]), low, high)
    assert frame.shape == (240, 320, 3)
    bars = (frame != PAPER).any(axis=2)
    bars[120] = False  # the middle line
    up, down = bars[:120], bars[120:]
    heights = [(int(up[:, 80 * k + 40].sum()), int(down[:, 80 * k + 40].sum())) for k in range(4)]
    assert heights == [(110, 0), (0, 0), (0, 54), (0, 0)]
    assert frame[60, 40].tolist() == list(RISING)


def test_a_rod_covers_its_length_and_width() -> None:
    frame = blank()
    draw_rod(frame, (0.0, 0.0), (0.0, 100.0), 5)
    inked = (frame == INK).all(axis=2)
    assert inked[25:115, 156:164].all() and not inked[130:].any() and not inked[:, :150].any() and not inked[:12].any()
    # a rectangle of 100 x 10 and two half circles of radius 5
    assert abs(inked.sum() - (1000 + 25 * np.pi)) < 40
