"""Overlay pictures: size, colours, orientation, and nothing but pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from services.analysis.overlays import MAX_SIDE_PX, MIN_SIDE_PX, overlays
from services.analysis.structures import BODY, BONE

SPACING_MM = (3.0, 1.5, 1.5)


def scene() -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    labels = np.zeros((30, 80, 100), dtype=np.uint8)
    labels[:, 10:70, 10:90] = 5
    labels[20:28, 30:50, 60:80] = 3
    return labels, np.where(labels > 0, 50, -1000).astype(np.int16)


def pixels(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def rgb(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color[1:]))


def test_the_coronal_key_image_comes_first() -> None:
    pictures = overlays(*scene(), SPACING_MM)

    assert [picture.kind for picture in pictures] == ["overlay-coronal", "overlay-axial"]
    assert "bone" in pictures[0].alternative_text


def test_pixels_are_square_in_millimetres() -> None:
    coronal, axial = (pixels(picture.png) for picture in overlays(*scene(), SPACING_MM))

    assert coronal.shape == (288, 480, 3)
    assert axial.shape == (384, 480, 3)


def test_head_is_up_and_the_left_is_on_the_right() -> None:
    coronal = pixels(overlays(*scene(), SPACING_MM)[0].png)

    rows, columns = np.nonzero((coronal == rgb(BONE.color)).all(axis=2))

    # Slices 20 to 27 of 30 and columns 60 to 79 of 100, upside down and 4.8 times as large.
    assert (rows.min(), rows.max()) == pytest.approx((19, 95), abs=6)
    assert (columns.min(), columns.max()) == pytest.approx((288, 384), abs=6)


def test_the_body_has_an_outline() -> None:
    axial = pixels(overlays(*scene(), SPACING_MM)[1].png)

    assert tuple(axial[192, 48]) == rgb(BODY.color)


def test_the_same_input_gives_the_same_bytes() -> None:
    assert overlays(*scene(), SPACING_MM) == overlays(*scene(), SPACING_MM)


def test_a_picture_carries_no_metadata() -> None:
    for picture in overlays(*scene(), SPACING_MM):
        assert Image.open(io.BytesIO(picture.png)).info == {}


@pytest.mark.parametrize("spacing_mm", [(10.0, 0.3, 0.3), (0.5, 1.0, 1.0), (2.0, 5.0, 5.0)])
def test_the_longer_side_is_bounded(spacing_mm: tuple[float, float, float]) -> None:
    labels = np.ones((300, 40, 40), dtype=np.uint8)

    for picture in overlays(labels, np.zeros(labels.shape, np.int16), spacing_mm):
        assert MIN_SIDE_PX <= max(pixels(picture.png).shape[:2]) <= MAX_SIDE_PX
