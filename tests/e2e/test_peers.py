"""Peers by the page: registered, tested, sent a study to, forgotten; axe looks at each step."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.integration.peers import sent_to_us
from tests.support.axe import assert_accessible
from tests.support.browser import Visitor
from tests.support.dcmtk_peers import QueryRetrieveArchive

pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.dcmtk,
    pytest.mark.soak,
    pytest.mark.timeout(300),
]


def test_a_peer_is_registered_and_gets_a_study(visitor: Visitor, tmp_path: Path) -> None:
    visitor.sign_in()
    page = visitor.page
    sent_to_us(visitor.stack, tmp_path)
    page.goto("/peers")
    expect(page.get_by_text("No peers yet")).to_be_visible()
    assert_accessible(visitor)

    with QueryRetrieveArchive() as archive:
        page.get_by_role("button", name="Add a peer").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Save").click()
        expect(dialog.get_by_text("Choose one.")).to_be_visible()
        expect(dialog.get_by_label("Name", exact=True)).to_be_focused()
        assert_accessible(visitor)
        dialog.get_by_label("Name", exact=True).fill("Archive")
        dialog.get_by_role("radio", name="Inside").check()
        dialog.get_by_label("AE title", exact=True).fill("ARCHIVE")
        dialog.get_by_label("Host").fill("169.254.169.254")
        dialog.get_by_label("Port").fill(str(archive.port))
        dialog.get_by_role("button", name="Save").click()
        expect(dialog.get_by_text("Not accepted")).to_be_visible()
        dialog.get_by_label("Host").fill("127.0.0.1")
        dialog.get_by_role("button", name="Save").click()
        row = page.get_by_role("row").filter(has_text="Archive")
        row.get_by_role("button", name="Test Archive").click()
        expect(row).to_contain_text("C-ECHO answers")
        assert_accessible(visitor)

        page.goto("/studies")
        study = page.get_by_role("row").filter(has_text="PHANTOM")
        # While it is worked on something on its page moves without end, which axe waits for.
        expect(study).to_contain_text(re.compile("Ready|Held"), timeout=120_000)
        study.get_by_role("link").first.click()
        page.get_by_role("button", name="Send to").click()
        sending = page.get_by_role("dialog")
        expect(sending.get_by_label("Peer")).to_contain_text("Archive")
        assert_accessible(visitor)
        sending.get_by_role("button", name="Send", exact=True).click()
        expect(sending.get_by_text("3 of 3 images are there.")).to_be_visible(timeout=60_000)
        expect(sending.get_by_text("The peer was asked and has them.")).to_be_visible()
        assert_accessible(visitor)

    page.goto("/peers")
    row.get_by_role("button", name="Delete Archive").click()
    assert_accessible(visitor)
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No peers yet")).to_be_visible()
