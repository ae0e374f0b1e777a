"""The shipped digits are the ones the source describes."""

from __future__ import annotations

import zlib

import numpy as np

from symgrad.data import digits


def test_digits_have_the_documented_shapes_and_types() -> None:
    images, labels = digits()
    assert images.shape == (1797, 64) and images.dtype == np.float64
    assert labels.shape == (1797,) and labels.dtype == np.int64


def test_digits_hold_grey_levels_and_labels_in_range() -> None:
    images, labels = digits()
    assert (images.min(), images.max()) == (0.0, 16.0)
    assert np.array_equal(images, np.rint(images))
    assert (labels.min(), labels.max()) == (0, 9)


def test_digits_count_each_label_as_the_source_does() -> None:
    counts = np.bincount(digits()[1])
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_match_the_checksums_of_the_source() -> None:
    images, labels = digits()
    assert (images.sum(), labels.sum()) == (561718.0, 8070)
    assert zlib.crc32(images.astype(np.uint8).tobytes()) == 4087501628
    assert zlib.crc32(labels.astype(np.uint8).tobytes()) == 4168075561


def test_digits_returns_fresh_arrays() -> None:
    digits()[0][:] = -1.0
    assert digits()[0].min() == 0.0
