"""Outlines of the synthetic catalogue."""

import numpy as np
import pytest

from tagger.catalog.synth.curve import box, corner, dashes, ellipse, mirrored, part_of, ribbon, smooth

SQUARE = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]


def test_a_smooth_curve_passes_through_its_points():
    curve = smooth(SQUARE)
    assert all(np.abs(curve - point).sum(axis=1).min() < 1e-9 for point in SQUARE)


def test_a_ring_of_corners_stays_a_polygon():
    ring = smooth([point for x, y in SQUARE for point in corner(x, y)])
    assert ring == pytest.approx(np.array(SQUARE))


def test_a_corner_never_overshoots():
    ring = smooth([*corner(0, 0), (0.5, -0.2), *corner(1, 0), *corner(1, 1), *corner(0, 1)])
    assert ring[:, 0].min() >= -1e-9 and ring[:, 0].max() <= 1 + 1e-9 and ring[:, 1].max() <= 1 + 1e-9


def test_an_open_curve_keeps_its_ends():
    curve = smooth([(0, 0), *corner(1, 1), (2, 0)], closed=False)
    assert curve[0] == pytest.approx([0, 0]) and curve[-1] == pytest.approx([2, 0])


def test_mirrored_is_symmetric():
    ring = mirrored([(0, 0), (1, 0.5), (0.4, 1), (0, 1)])
    assert sorted(map(tuple, ring)) == sorted(map(tuple, ring * [-1, 1] + 0.0))


def test_a_straight_ribbon_is_as_wide_as_asked():
    band = ribbon([(0, 0), (1, 0)], [0.1, 0.3])
    assert np.ptp(band[:, 1]) == pytest.approx(0.6)


def test_part_of_a_path_is_measured_along_it():
    assert part_of([(0, 0), (1, 0), (1, 3)], 0.25, 0.5, 2) == pytest.approx(np.array([(1, 0), (1, 1)]))


def test_a_box_and_an_ellipse_fill_their_bounds():
    for outline in (box(-1, -2, 3, 4, 0.5), ellipse(1, 1, 2, 3)):
        assert outline.min(axis=0) == pytest.approx([-1, -2], abs=0.02)
        assert outline.max(axis=0) == pytest.approx([3, 4], abs=0.02)


def test_stitches_leave_gaps():
    pieces = dashes([(0, 0), (1, 0)], 0.05)
    assert len(pieces) == 10
    assert sum(float(np.ptp(piece[:, 0])) for piece in pieces) == pytest.approx(0.55)
