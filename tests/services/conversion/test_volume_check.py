"""What the converter wrote, compared with the slices it was given."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from services.conversion.geometry import Slice, Stack, check
from services.conversion.volume_check import Grid, check_grid

# Four rows of three columns, 2 mm between rows, 1 mm between columns, five slices 4 mm apart.
SHAPE = (3, 4, 5)
AFFINE = np.array([[-1.0, 0, 0, 10], [0, 2, 0, -26], [0, 0, 4, 30], [0, 0, 0, 1]])


def slices() -> Stack:
    given = [
        Slice((-10.0, 20.0, 30.0 + 4 * n), (1, 0, 0, 0, 1, 0), (2.0, 1.0), 4, 3) for n in range(5)
    ]
    stack = check(given, "CT")[1]
    assert stack is not None
    return stack


def grid(
    shape: tuple[int, ...] = SHAPE, affine: npt.NDArray[np.float64] = AFFINE, missing: int = 0
) -> Grid:
    return Grid(shape, affine, missing)


def changed(row: int, column: int, value: float) -> npt.NDArray[np.float64]:
    affine = AFFINE.copy()
    affine[row, column] = value
    return affine


def test_the_volume_of_the_slices_is_accepted() -> None:
    assert check_grid(grid(), slices()) is None


@pytest.mark.parametrize(
    ("code", "written"),
    [
        ("MULTIPLE_VOLUMES", grid(shape=(3, 4, 5, 2))),
        ("MULTIPLE_VOLUMES", grid(shape=(3, 4))),
        ("TRUNCATED_VOLUME", grid(missing=1)),
        ("INVALID_AFFINE", grid(affine=changed(0, 0, np.nan))),
        ("INVALID_AFFINE", grid(affine=changed(0, 3, np.inf))),
        ("INVALID_AFFINE", grid(affine=changed(0, 0, 0.0))),
        ("INVALID_AFFINE", grid(affine=np.ones((4, 4)))),
        ("VOLUME_DIFFERS", grid(shape=(3, 4, 4))),
        ("VOLUME_DIFFERS", grid(shape=(4, 3, 5))),
        ("VOLUME_DIFFERS", grid(affine=changed(2, 2, 4.1))),
        ("VOLUME_DIFFERS", grid(affine=changed(2, 2, -4.0))),
        ("VOLUME_DIFFERS", grid(affine=changed(0, 3, 12.0))),
    ],
)
def test_another_volume_is_refused(code: str, written: Grid) -> None:
    refusal = check_grid(written, slices())

    assert refusal is not None
    assert refusal.code == code


def test_a_volume_of_a_mosaic_is_checked_for_itself() -> None:
    assert check_grid(grid(), None) is None
    assert check_grid(grid(missing=4), None) is not None
