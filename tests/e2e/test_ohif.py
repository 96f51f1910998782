"""OHIF, unmodified, opens studies of our store. ``HEIMDALLR_IMAGES`` names where pictures go."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import requests
from PIL import Image
from playwright.sync_api import Browser, Page, TimeoutError, expect

from services.cli.stack.ohif import VIEWER
from services.cli.stack.ports import free_ports
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series
from tests.support.browser import Visitor, chromium, require_browser
from tests.support.corpora import corpus
from tests.support.dcmtk import require_dcmtk, storescu
from tests.support.running_stack import RunningStack

pytestmark = [
    pytest.mark.stack,
    pytest.mark.browser,
    pytest.mark.dcmtk,
    pytest.mark.corpora,
    pytest.mark.soak,
]

CT: Final = PhantomStudy(study_key="ohif", patient_name="PHANTOM^ADA")
CHEST: Final = "1.2.276.0.7230010.3.1.2.8323329.6904.1517875201.850818"
_SHOWN_MS: Final = 90_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    require_browser()
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def stack(
    browser: Browser, port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningStack]:
    require_dcmtk()
    if not (VIEWER / "index.html").is_file():
        pytest.skip("OHIF is not fetched: make ohif")
    (chest,) = corpus("cxr").glob("1.2.276*.dcm")
    folder = tmp_path_factory.mktemp("ct")
    write_series(ChestCtPhantom(3), folder, CT)
    options = ("--ohif-port", str(port), "--without", "triton")
    with RunningStack(arguments=options) as running:
        storescu(running.dicom_port, [folder], "+sd").check_returncode()
        assert stored(running, chest) == 200
        yield running


def stored(stack: RunningStack, file: Path) -> int:
    """Store a file over DICOMweb, which takes every transfer syntax, and return the status."""
    token = (Path(stack.state.run) / "tokens" / "operator.jwt").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/dicom"}
    return requests.post(
        f"http://127.0.0.1:{stack.http_port}/dicom-web/studies",
        data=file.read_bytes(),
        headers=headers,
        timeout=60,
    ).status_code


@pytest.fixture(scope="module")
def visitor(browser: Browser, stack: RunningStack) -> Visitor:
    entered = Visitor.enter(browser, stack)
    entered.sign_in()
    return entered


def picture(page: Page, name: str) -> np.ndarray:
    """Return what the viewport shows; keep it where pictures are collected."""
    shot = page.screenshot()
    if folder := os.environ.get("HEIMDALLR_IMAGES"):
        image = Image.open(io.BytesIO(shot)).convert("RGB")
        image.save(Path(folder) / f"{name}.png", optimize=True)
    canvas = page.locator("canvas").first.screenshot()
    return np.asarray(Image.open(io.BytesIO(canvas)).convert("L"))


def opened(visitor: Visitor, port: int, study: str) -> Page:
    page = visitor.page
    page.goto(f"http://127.0.0.1:{port}/viewer?StudyInstanceUIDs={study}")
    for name in ("Confirm and hide", "Skip all"):
        # Both are shown to a first visitor alone.
        with suppress(TimeoutError):
            page.get_by_text(name, exact=True).click(timeout=15_000)
    expect(page.locator("canvas").first).to_be_visible(timeout=_SHOWN_MS)
    return page


def until_drawn(page: Page, name: str) -> np.ndarray:
    for _ in range(60):
        shown = picture(page, name)
        if shown.std() > 20:
            return shown
        page.wait_for_timeout(1000)
    raise AssertionError("nothing was drawn")


def test_who_is_not_signed_in_is_told_where_to(stack: RunningStack, port: int) -> None:
    answer = requests.get(f"http://127.0.0.1:{port}/viewer", timeout=10)

    assert answer.status_code == 401
    assert f"http://127.0.0.1:{stack.http_port}/" in answer.text


def test_calls_and_the_page_are_not_behind_the_viewer(stack: RunningStack, port: int) -> None:
    for path in ("/heimdallr.access.v1.AccessService/GetCaller", "/session"):
        answer = requests.post(f"http://127.0.0.1:{port}{path}", data=b"{}", timeout=10)
        assert answer.status_code >= 400


def test_studies_are_listed(visitor: Visitor, port: int) -> None:
    visitor.page.goto(f"http://127.0.0.1:{port}/")

    expect(visitor.page.get_by_text("PHANTOM, ADA")).to_be_visible(timeout=_SHOWN_MS)
    assert visitor.page.evaluate("self.crossOriginIsolated")


def test_a_ct_is_shown(visitor: Visitor, port: int) -> None:
    page = opened(visitor, port, CT.study_instance_uid)

    assert until_drawn(page, "ohif-ct").std() > 20
    expect(page.get_by_text("120").first).to_be_visible()


def test_a_chest_x_ray_in_jpeg_is_shown(visitor: Visitor, port: int) -> None:
    page = opened(visitor, port, CHEST)

    assert until_drawn(page, "ohif-chest").std() > 20
    violations = [text for text in visitor.complaints if "policy violated" in text]
    assert violations == []
