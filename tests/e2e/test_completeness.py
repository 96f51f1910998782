"""How studies are known to be complete, as the page shows it in Chromium."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from pydicom.dataset import Dataset

from heimdallr.workflow.v1 import completeness_service_pb2 as pb
from heimdallr.workflow.v1.completeness_service_pb2_grpc import CompletenessServiceStub
from services.dicom.uids import new_uid
from tests.support.axe import assert_accessible
from tests.support.browser import Visitor
from tests.support.modality import associate, send, slices, store
from tests.support.running_stack import RunningStack
from tests.support.studies import operator_channel

pytestmark = [pytest.mark.browser, pytest.mark.stack, pytest.mark.timeout(300)]

TIMES: Final = {
    "HEIMDALLR_COORDINATOR_QUIET_AFTER_S": "6",
    "HEIMDALLR_COORDINATOR_RELEASED_AFTER_S": "1",
    "HEIMDALLR_COORDINATOR_ANNOUNCED_AFTER_S": "600",
}
WAIT_MS: Final = 60_000


@pytest.fixture(scope="module")
def stack(browser: Browser) -> Iterator[RunningStack]:
    with RunningStack(environ=TIMES, arguments=("--without", "triton")) as running:
        yield running


def test_the_page_says_how_completeness_is_known_and_lets_a_person_decide(
    visitor: Visitor, stack: RunningStack
) -> None:
    page = visitor.page
    visitor.sign_in()
    short = slices(new_uid(), 1, [1, 2, 3], "WAIT^MANIFEST")
    declare(stack, short)
    send(stack.dicom_port, short[:2])
    open_study(page, "WAIT, MANIFEST")
    waits = page.get_by_role("region", name="Waits for")
    expect(waits).to_contain_text("2 of 3 announced images are here")
    it_counts_down(waits)
    assert_accessible(visitor)

    treat_as_complete(page)
    expect(page.get_by_text("Complete: a person said so.")).to_be_visible()
    expect(page.get_by_text("2 of 3 images that were announced are here.")).to_be_visible()

    send(stack.dicom_port, short[2:])
    expect(page.get_by_text(re.compile("Generation 2: images came"))).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_text("Evidence A")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_text("All 3 images that were announced are here.")).to_be_visible()
    older = page.get_by_role("region", name="Work").locator("summary")
    expect(older).to_contain_text("3 steps of older generations")


@pytest.mark.soak
def test_the_page_tells_open_associations_and_a_sender_that_died(
    visitor: Visitor, stack: RunningStack
) -> None:
    page = visitor.page
    visitor.sign_in()
    study = new_uid()
    first, second = associate(stack.dicom_port), associate(stack.dicom_port)
    store(first, slices(study, 1, [1], "WAIT^OPEN"))
    store(second, slices(study, 2, [1], "WAIT^OPEN"))
    open_study(page, "WAIT, OPEN")
    expect(page.get_by_text("2 associations are still open")).to_be_visible()
    first.release()
    expect(page.get_by_text("1 association is still open")).to_be_visible()
    second.release()
    expect(page.get_by_text("Evidence C")).to_be_visible(timeout=WAIT_MS)

    dying = associate(stack.dicom_port)
    store(dying, slices(new_uid(), 1, [1], "WAIT^DEAD"))
    dying.abort()
    page.goto("/studies")
    open_study(page, "WAIT, DEAD")
    expect(page.get_by_text(re.compile(r"Quiet for \d+ s of 6 s"))).to_be_visible()
    expect(page.get_by_text("Evidence D")).to_be_visible(timeout=WAIT_MS)


def declare(stack: RunningStack, datasets: Sequence[Dataset]) -> None:
    series = pb.AnnouncedSeries(
        series_instance_uid=str(datasets[0].SeriesInstanceUID),
        sop_instance_uids=[str(dataset.SOPInstanceUID) for dataset in datasets],
    )
    request = pb.DeclareManifestRequest(
        study_instance_uid=str(datasets[0].StudyInstanceUID), name="sender", series=[series]
    )

    async def call() -> None:
        async with operator_channel(stack) as channel:
            await CompletenessServiceStub(channel).DeclareManifest(request)

    # Playwright holds this thread's event loop.
    with ThreadPoolExecutor(1) as executor:
        executor.submit(asyncio.run, call()).result()


def open_study(page: Page, name: str) -> None:
    page.get_by_role("row").filter(has_text=name).get_by_role("link").first.click(timeout=WAIT_MS)
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def it_counts_down(waits: Locator) -> None:
    quiet = waits.get_by_text(re.compile(r"Quiet for \d+ s of 600 s"))
    before = quiet.inner_text()
    expect(quiet).not_to_have_text(before)


def treat_as_complete(page: Page) -> None:
    button = page.get_by_role("button", name="Treat as complete")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("open a new generation")
    dialog.get_by_role("button", name="Treat as complete").focus()
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
