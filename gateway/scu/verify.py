"""Whether a peer has what it was sent: counted by C-FIND, or committed to by the peer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from gateway.peers.errors import PeerRefusedError
from gateway.peers.peer import Peer
from gateway.peers.selection import Selected
from gateway.scu.client import DimseClient
from gateway.scu.commit import MAX_REFERENCES, Commitments
from gateway.scu.find import Query, Truncated
from gateway.scu.identifier import Key, Level, Model
from services.runtime.errors import ServiceError

_SOP_INSTANCE: Final = "00080018"
_COUNT: Final = "00201208"


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification found.

    Attributes:
        whole: Whether the peer has everything that it was sent.
        count: Instances that it said it has, or committed to.
        failed_uids: SOP Instance UIDs that it did not commit to.
        text: One sentence that says what happened.
    """

    whole: bool
    count: int
    failed_uids: tuple[str, ...]
    text: str


async def verify_count(client: DimseClient, peer: Peer, sent: Sequence[Selected]) -> Verified:
    """Ask for the instances of each series that was sent; an error is an outcome."""
    try:
        count = await _listed(client, peer, sent)
    except PeerRefusedError:
        # Some archives answer no queries for instances.
        return await _counted(client, peer, sent)
    except ServiceError as error:
        return Verified(False, 0, (), error.message)
    text = f"the peer lists {count} of {len(sent)} instances"
    return Verified(count == len(sent), count, (), text)


async def verify_commitment(
    client: DimseClient, commitments: Commitments, peer: Peer, sent: Sequence[Selected]
) -> Verified:
    """Ask the peer to commit; an error is an outcome."""
    kept, failed = 0, list[str]()
    try:
        for start in range(0, len(sent), MAX_REFERENCES):
            part = [selected.instance for selected in sent[start : start + MAX_REFERENCES]]
            commitment = await client.commitment(peer, part, commitments)
            uids = {instance.sop_instance_uid for instance in part}
            kept += len(uids & commitment.kept)
            failed += sorted(uids - commitment.kept)
    except ServiceError as error:
        return Verified(False, kept, tuple(failed), error.message)
    except TimeoutError:
        return Verified(False, kept, tuple(failed), "the peer reported nothing in time")
    text = f"the peer committed to {kept} of {len(sent)} instances"
    return Verified(kept == len(sent), kept, tuple(failed), text)


async def _listed(client: DimseClient, peer: Peer, sent: Sequence[Selected]) -> int:
    count = 0
    for (study, series), uids in _by_series(sent).items():
        keys = [Key("StudyInstanceUID", study), Key("SeriesInstanceUID", series)]
        query = Query(Model.STUDY_ROOT, Level.IMAGE, [*keys, Key("SOPInstanceUID")])
        count += len(uids & await _values(client, peer, query, _SOP_INSTANCE))
    return count


async def _counted(client: DimseClient, peer: Peer, sent: Sequence[Selected]) -> Verified:
    by_study: defaultdict[str, int] = defaultdict(int)
    for selected in sent:
        by_study[selected.study_instance_uid] += 1
    count = 0
    for study, expected in by_study.items():
        keys = [Key("StudyInstanceUID", study), Key("NumberOfStudyRelatedInstances")]
        query = Query(Model.STUDY_ROOT, Level.STUDY, keys)
        try:
            found = await _values(client, peer, query, _COUNT)
        except ServiceError as error:
            return Verified(False, count, (), error.message)
        known = max((int(value) for value in found if value.isdecimal()), default=0)
        count += min(expected, known)
    text = f"the peer counts {count} of {len(sent)} instances"
    return Verified(count == len(sent), count, (), text)


async def _values(client: DimseClient, peer: Peer, query: Query, tag: str) -> set[str]:
    found: set[str] = set()
    async with aclosing(client.matches(peer, query)) as matches:
        async for match in matches:
            if not isinstance(match, Truncated):
                found.update(map(str, match.get(tag, {}).get("Value", ())))
    return found


def _by_series(sent: Sequence[Selected]) -> Mapping[tuple[str, str], set[str]]:
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for selected in sent:
        series = selected.study_instance_uid, selected.series_instance_uid
        found[series].add(selected.instance.sop_instance_uid)
    return found
