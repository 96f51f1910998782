"""Files of scheduled steps."""

from __future__ import annotations

import pytest

from heimdallr.worklist.v1 import worklist_service_pb2 as pb
from tests.services.coordinator.worklist.asking import HEAD, query, refused, values
from tests.services.coordinator.worklist.conftest import Worklist

pytestmark = pytest.mark.postgres


async def imported(worklist: Worklist, text: str, **more: bool) -> list[tuple[int, str, str]]:
    request = pb.ImportScheduledStepsRequest(csv=text.encode(), **more)
    rows = (await worklist.stub.ImportScheduledSteps(request)).rows
    return [
        (row.line, pb.ImportOutcome.Name(row.outcome).removeprefix("IMPORT_OUTCOME_"), row.field)
        for row in rows
    ]


async def test_a_file_imported_again_changes_nothing_and_an_edited_one_what_was_edited(
    worklist: Worklist,
) -> None:
    text = HEAD + "P1,X,CT1,2026-01-05,09:30,CT,A1,stat\nP1,X,MR1 MR2,20260105,1030,MR,A1,\n"

    first = await imported(worklist, text)
    second = await imported(worklist, text)
    third = await imported(worklist, text.replace("1030", "1100"))

    assert [row[1] for row in first] == ["CREATED", "CREATED"]
    assert [row[1] for row in second] == ["UNCHANGED", "UNCHANGED"]
    assert [row[1] for row in third] == ["UNCHANGED", "UPDATED"]
    found = await query(worklist, values("ScheduledStationAETitle", "MR2"))
    assert found == ["P1"]


async def test_a_bad_row_is_named_and_the_others_are_taken_unless_all_or_nothing(
    worklist: Worklist,
) -> None:
    text = HEAD + "P1,X,CT1,20260105,0930,CT,A1,\nP2,X,CT1,20269905,0930,CT,A2,\nP3,X\n"

    nothing = await imported(worklist, text, all_or_nothing=True)
    left = await query(worklist)
    some = await imported(worklist, text)

    refusals = [(3, "REFUSED", "date"), (4, "REFUSED", "row")]
    assert nothing == [(2, "NOT_TAKEN", ""), *refusals]
    assert left == []
    assert some == [(2, "CREATED", ""), *refusals]
    assert await query(worklist) == ["P1"]


async def test_a_file_without_the_needed_columns_is_refused(worklist: Worklist) -> None:
    request = pb.ImportScheduledStepsRequest(csv=b"name\nX\n")

    reason, metadata = await refused(worklist.stub.ImportScheduledSteps(request))

    assert (reason, metadata["field"]) == ("ERROR_REASON_INVALID_FIELD", "csv")
