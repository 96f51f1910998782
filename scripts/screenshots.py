"""Takes the pictures of the page in docs/images, dark and light, of phantoms alone.

``python -m scripts.screenshots [FOLDER]``
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Final, get_args

from PIL import Image
from playwright.sync_api import Page, expect

from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series
from tests.support.browser import Theme, Visitor, chromium
from tests.support.chests import CUT_AT, send_chest
from tests.support.dcmtk import storescu
from tests.support.running_stack import RunningStack

IMAGES: Final = Path(__file__).resolve().parents[1] / "docs/images"
SHOWN: Final = "PHANTOM^ADA"
_OTHERS: Final = ("PHANTOM^BEN", "PHANTOM^CLEO", "PHANTOM^DAN", "PHANTOM^EVE", "PHANTOM^FAY")
_READY_MS: Final = 180_000


def main() -> None:
    """Start a stack, send phantoms and take every picture."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    with RunningStack() as stack, chromium() as browser:
        visitor = Visitor.enter(browser, stack)
        visitor.page.goto("/sign-in")
        expect(visitor.page.get_by_role("heading", name="Sign in")).to_be_visible()
        take(visitor, folder, "sign-in")
        visitor.sign_in()
        send(visitor)
        take(visitor, folder, "worklist")
        open_study(visitor.page)
        take(visitor, folder, "study")
        visitor.page.goto("/status")
        expect(visitor.page.get_by_role("row").filter(has_text="coordinator")).to_be_visible()
        take(visitor, folder, "status")
        visitor.leave()


def send(visitor: Visitor) -> None:
    """Send a few small chests and one in full, and wait until all are ready."""
    # A list under the pointer keeps its place when studies come.
    visitor.page.mouse.move(640, 2)
    with tempfile.TemporaryDirectory() as root:
        for seed, name in enumerate(_OTHERS, start=1):
            slices = CUT_AT if seed == 2 else 40
            send_chest(visitor.stack, Path(root, str(seed)), name, seed=seed, slices=slices)
        shown = Path(root, "shown")
        shown.mkdir()
        study = PhantomStudy(patient_name=SHOWN, accession_number="A-0001")
        sent = storescu(visitor.stack.dicom_port, write_series(ChestCtPhantom(0), shown, study))
        sent.check_returncode()
    ready = visitor.page.get_by_role("row").filter(has_text="Ready")
    expect(ready).to_have_count(1 + len(_OTHERS), timeout=_READY_MS)
    visitor.page.wait_for_timeout(5_000)


def open_study(page: Page) -> None:
    """Open the full chest in the lung window, in the middle of the heart."""
    page.get_by_role("row").filter(has_text="ADA").click()
    expect(page.locator("[data-overlay=true]")).to_be_visible(timeout=120_000)
    page.wait_for_timeout(2_000)


def take(visitor: Visitor, folder: Path, name: str) -> None:
    """Take a picture of what is shown, in each theme, as a small PNG."""
    for theme in get_args(Theme):
        switch = visitor.page.get_by_role("button", name=f"Use the {theme} theme")
        if switch.is_visible():
            visitor.page.keyboard.press("t")
        visitor.use_theme(theme)
        visitor.page.mouse.move(640, 2)
        visitor.page.wait_for_timeout(1_000)
        picture = Image.open(io.BytesIO(visitor.page.screenshot())).convert("RGB")
        picture.save(folder / f"{name}-{theme}.png", optimize=True)


if __name__ == "__main__":
    main()
