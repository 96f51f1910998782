"""What the planner expects a search to meet, and which way is the shorter for that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.coordinator.archive.search import StudyList
from services.coordinator.archive.terms import Term

# A row fetched by itself costs as much as some that are looked through in order.
_FETCH: Final = 3.0
# Beyond this an index gives more rows than deciding on each costs.
_NARROWING: Final = 20_000
# Rows that are looked through for each row of a page.
_LEAST, _MOST = 60, 300


@dataclass(frozen=True, slots=True)
class Expectation:
    """How a search is to be done.

    Attributes:
        look_first: Whether looking through rows in order is expected to be shorter than finding
            all that match.
        rows_to_look_at: How many rows are looked through, a few times as many as expected.
        sought: The conditions whose indexes are worth reading: the rarest, and others as rare.
    """

    look_first: bool
    rows_to_look_at: int
    sought: Sequence[Term]


def expectation(plan: dict[str, Any], studies: StudyList, limit: int) -> Expectation:
    """Return how a search is to be done.

    Args:
        plan: The plan of ``StudyList.estimates``.
        studies: The search.
        limit: Rows of the page.
    """
    rows, total = _rows(plan, studies.terms)
    rarest = min(rows, key=lambda term: rows[term])
    # Conditions are taken for independent of each other, as the planner takes them.
    share = math.prod(min(rows[term] / total, 1.0) for term in studies.other)
    needed = limit / max(share, 1e-9)
    in_order = min((rows[term] for term in studies.aligned), default=total)
    return Expectation(
        look_first=needed < min(in_order, _FETCH * rows[rarest]),
        rows_to_look_at=int(min(max(2 * needed, _LEAST * limit), _MOST * limit)),
        sought=[t for t, count in rows.items() if t is rarest or count <= _NARROWING],
    )


def _rows(plan: dict[str, Any], terms: Sequence[Term]) -> tuple[dict[Term, float], float]:
    counts = [float(part["Plan Rows"]) for part in plan.get("Plans", ())]
    if plan["Node Type"] != "Append" or len(counts) != len(terms) + 1:
        # A plan of another form says nothing: everything counts as common.
        return dict.fromkeys(terms, 1.0), 1.0
    *known, total = counts
    return dict(zip(terms, known, strict=True)), max(total, 1.0)
