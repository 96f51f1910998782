"""Whether a peer has what it was sent by STOW-RS: its instances are listed by QIDO-RS."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from gateway.dicomweb_client.search import Search, SearchLevel, search
from gateway.dicomweb_client.session import WebSession
from gateway.peers.selection import Selected
from gateway.scu.find import Truncated
from services.runtime.errors import ServiceError

_SOP_INSTANCE: Final = "00080018"


@dataclass(frozen=True, slots=True)
class Counted:
    """What counting found.

    Attributes:
        whole: Whether the peer lists everything that it was sent.
        count: Instances that it lists.
        text: One sentence that says what happened.
    """

    whole: bool
    count: int
    text: str


async def verify_count(session: WebSession, sent: Sequence[Selected]) -> Counted:
    """Look for the instances of each series that was sent; an error is an outcome."""
    by_series: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for selected in sent:
        series = selected.study_instance_uid, selected.series_instance_uid
        by_series[series].add(selected.instance.sop_instance_uid)
    count = 0
    try:
        for (study_uid, series_uid), uids in by_series.items():
            wanted = Search(SearchLevel.INSTANCES, study_uid, series_uid)
            count += len(uids & await _listed(session, wanted))
    except ServiceError as error:
        return Counted(False, count, error.message)
    return Counted(count == len(sent), count, f"the peer lists {count} of {len(sent)} instances")


async def _listed(session: WebSession, wanted: Search) -> set[str]:
    found: set[str] = set()
    async with aclosing(search(session, wanted)) as matches:
        async for match in matches:
            if not isinstance(match, Truncated):
                element = match.get(_SOP_INSTANCE)
                values = element.get("Value") if isinstance(element, dict) else None
                found.update(map(str, values or ()))
    return found
