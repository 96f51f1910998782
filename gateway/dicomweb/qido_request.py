"""Search parameters of QIDO-RS (PS3.18 section 8.3.4) as a query of the archive."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from multidict import MultiMapping
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from gateway.http.problem import bad_request
from heimdallr.archive.v1 import archive_service_pb2 as pb
from services.dicom.uids import valid_uid

_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
_RANGE_VRS: Final = frozenset({"DA", "TM", "DT"})
_NOT_KEYS: Final = frozenset(
    {"limit", "offset", "fuzzymatching", "includefield", "accept", "emptyvaluematching"}
)
_LONGEST_VALUE: Final = 1024
_MOST_KEYS: Final = 64
_MOST_OFFSET: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Search:
    """What a client searches for.

    Attributes:
        request: The query.
        limit: Most matches to give.
        clipped: Whether the client asked for more than are given at once.
        fields: Tags of attributes to give beside the usual ones.
        all_fields: Whether all are wanted.
    """

    request: pb.QueryRequest
    limit: int
    clipped: bool
    fields: frozenset[int]
    all_fields: bool


def read_search(
    level: pb.QueryLevel.ValueType,
    above: Iterable[tuple[str, str]],
    query: MultiMapping[str],
    max_results: int,
) -> Search:
    """Read the parameters of a search.

    Args:
        level: What is looked for.
        above: Keywords and UIDs that the address names.
        query: The parameters.
        max_results: Most matches that are given at once.

    Raises:
        Problem: A parameter breaks its rule.
    """
    matches = [_values(keyword, [uid]) for keyword, uid in above]
    named: set[int] = set()
    for name, value in query.items():
        if name.lower() in _NOT_KEYS:
            continue
        tag = _attribute(name)
        named.add(tag)
        match = _match(tag, value)
        if match is not None:
            matches.append(match)
    if len(matches) > _MOST_KEYS:
        raise bad_request("There are more matching keys than are taken.")
    asked = _number(query, "limit", max_results)
    limit = min(asked, max_results)
    every, fields = _included(query.getall("includefield", []))
    request = pb.QueryRequest(
        level=level,
        matches=matches,
        fuzzy_names=_flag(query, "fuzzymatching"),
        # One more tells whether there are more.
        limit=limit + 1,
        offset=_number(query, "offset", 0),
    )
    return Search(request, limit, asked > limit, frozenset(fields | named), every)


def _attribute(name: str) -> int:
    """Return the tag of "PatientID", "00100020" or, of a sequence, "x.y" in its first half."""
    first = name.partition(".")[0]
    if first != name:
        raise bad_request("Attributes inside of sequences are not searched.")
    if _TAG.fullmatch(first):
        tag = int(first, 16)
        if not keyword_for_tag(tag):
            raise bad_request("A matching key is no attribute that is searched.")
        return tag
    found = tag_for_keyword(first)
    if found is None:
        raise bad_request("A parameter is neither a matching key nor one of the search.")
    return found


def _match(tag: int, value: str) -> pb.AttributeMatch | None:
    keyword, value = keyword_for_tag(tag), value.strip()
    if len(value) > _LONGEST_VALUE and dictionary_VR(tag) != "UI":
        raise bad_request("A value of a matching key is longer than it may be.")
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise bad_request("A value of a matching key holds what is no text.")
    if not value or value == "*":
        return None
    vr = dictionary_VR(tag)
    if vr == "UI":
        return _uids(keyword, value)
    if vr in _RANGE_VRS and "-" in value:
        begin, _, end = value.partition("-")
        bounds = pb.ValueRange(to=end.strip(), **{"from": begin.strip()})
        return pb.AttributeMatch(keyword=keyword, range=bounds)
    if "*" in value or "?" in value:
        return pb.AttributeMatch(keyword=keyword, wildcard=value)
    if keyword == "ModalitiesInStudy":
        return _values(keyword, re.split(r"[\\,]", value))
    return _values(keyword, [value])


def _uids(keyword: str, value: str) -> pb.AttributeMatch:
    uids = [uid.strip() for uid in re.split(r"[\\,]", value) if uid.strip()]
    if not all(map(valid_uid, uids)):
        raise bad_request("A value of a matching key is no UID.")
    if not 1 <= len(uids) <= 1000:
        raise bad_request("There are more UIDs than are taken.")
    return _values(keyword, uids)


def _values(keyword: str, values: list[str]) -> pb.AttributeMatch:
    return pb.AttributeMatch(keyword=keyword, values=pb.ValueList(values=values))


def _number(query: MultiMapping[str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise bad_request(f"The parameter {name} is no whole number from 0.")
    return min(int(text), _MOST_OFFSET)


def _flag(query: MultiMapping[str], name: str) -> bool:
    text = query.get(name, "false").lower()
    if text not in ("true", "false"):
        raise bad_request(f"The parameter {name} is neither true nor false.")
    return text == "true"


def _included(values: Iterable[str]) -> tuple[bool, set[int]]:
    fields: set[int] = set()
    every = False
    for name in (part.strip() for value in values for part in value.split(",")):
        if name.lower() == "all":
            every = True
        elif name:
            # What is not known of an instance is left out, whatever it is called.
            first = name.partition(".")[0]
            tag = int(first, 16) if _TAG.fullmatch(first) else tag_for_keyword(first)
            if tag is None:
                raise bad_request("An includefield is no attribute.")
            fields.add(tag)
    return every, fields
