"""pydicom as the service sets it up."""

from __future__ import annotations

from collections.abc import Iterator

import pydicom
import pytest

from services.conversion.headers import keep_pydicom_quiet


@pytest.fixture(autouse=True)
def quiet_pydicom() -> Iterator[None]:
    before = pydicom.config.settings.reading_validation_mode
    keep_pydicom_quiet()
    yield
    pydicom.config.settings.reading_validation_mode = before
