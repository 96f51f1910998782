"""Uploading by the page, through a reload, and the page of sources; axe looks at both."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Route, expect
from pydicom.uid import generate_uid

from tests.support.axe import assert_accessible
from tests.support.browser import Visitor
from tests.support.instances import ct_instance, part10

pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.soak,
    pytest.mark.timeout(400),
]


def disc(folder: Path, size: int = 64) -> Path:
    """Write the folder of a CD: three images and something else."""
    study = generate_uid()
    (folder / "DICOM").mkdir(parents=True)
    for number in range(1, 4):
        image = ct_instance(study_uid=study, number=number, size=size)
        (folder / "DICOM" / f"{number}.dcm").write_bytes(part10(image))
    (folder / "autorun.inf").write_text("[autorun]")
    return folder


def test_a_folder_is_uploaded_and_what_became_of_it_is_told(
    visitor: Visitor, tmp_path: Path
) -> None:
    visitor.sign_in()
    page = visitor.page
    page.get_by_role("link", name="Upload").click()
    expect(page.get_by_role("heading", name="Upload", exact=True)).to_be_visible()
    assert_accessible(visitor)

    page.get_by_test_id("folder").set_input_files(disc(tmp_path / "cd"))

    row = page.get_by_role("listitem").filter(has_text="cd")
    expect(row).to_contain_text("3 instances stored")
    expect(row).to_contain_text("1 is no DICOM instance")
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(part10(ct_instance())[:-50])
    page.get_by_test_id("files").set_input_files(broken)
    expect(page.get_by_role("cell", name="broken.dcm")).to_be_visible()
    assert_accessible(visitor)


def test_an_upload_goes_on_after_the_page_was_loaded_again(
    visitor: Visitor, tmp_path: Path
) -> None:
    visitor.sign_in()
    page = visitor.page
    page.goto("/upload")
    # More than two of the pieces in which the page sends, of which the second never ends.
    folder = disc(tmp_path / "large", size=1700)
    pieces, is_holding = 0, True

    def hold(route: Route) -> None:
        nonlocal pieces
        pieces += route.request.method == "PATCH"
        if route.request.method != "PATCH" or pieces < 2 or not is_holding:
            route.continue_()

    page.route("**/api/v1/uploads/*", hold)
    page.get_by_test_id("folder").set_input_files(folder)
    expect(page.get_by_role("meter", name="8.39 MB of 17.3 MB")).to_be_visible()
    page.reload()
    is_holding = False
    expect(page.get_by_text("choose the same files again")).to_be_visible()
    assert_accessible(visitor)

    page.get_by_test_id("folder").set_input_files(folder)

    expect(page.get_by_role("listitem").filter(has_text="large")).to_contain_text(
        "3 instances stored"
    )
    # It is the same upload: none is left that is not finished.
    expect(page.get_by_text("choose the same files again")).to_be_hidden()


def test_a_source_is_added_tried_out_and_deleted(visitor: Visitor) -> None:
    visitor.sign_in()
    page = visitor.page
    folder = visitor.stack.data / "watch" / "ward"
    folder.mkdir(parents=True, exist_ok=True)
    page.get_by_role("link", name="Sources").click()
    expect(page.get_by_text("No sources yet")).to_be_visible()
    assert_accessible(visitor)

    page.get_by_role("button", name="Add a source").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("ward")
    dialog.get_by_label("Folder on the gateway's machine").fill("/etc")
    dialog.get_by_role("button", name="Try it out").click()
    expect(dialog.get_by_text("none that this gateway is set to watch")).to_be_visible()
    assert_accessible(visitor)
    dialog.get_by_label("Folder on the gateway's machine").fill(str(folder))
    dialog.get_by_role("button", name="Save").click()

    row = page.get_by_role("row").filter(has_text="ward")
    expect(row.get_by_text("Good", exact=True)).to_be_visible()
    row.get_by_role("button", name="Test ward").click()
    expect(row.get_by_text("0 files wait in it")).to_be_visible()
    assert_accessible(visitor)
    row.get_by_role("button", name="Delete ward").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No sources yet")).to_be_visible()
