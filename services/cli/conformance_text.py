"""A conformance statement as Markdown (PS3.2 Annex A), from what the gateway says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from heimdallr.dimse.v1 import associations_service_pb2 as pb

_INTRODUCTION = """\
# DICOM conformance

What the gateway offers its DIMSE peers, as `heimdallr conformance` prints it from the running
configuration. Sending and asking by DIMSE, DICOMweb and the other doors are in
[interoperability](interoperability.md).
"""
_ASSOCIATIONS = """\
- One operation at a time (no asynchronous window). Roles are negotiated for C-GET, options of
  queries by SOP class extended negotiation.
- Of the transfer syntaxes that a context proposes, one that keeps value representations is taken
  first; Implicit VR Little Endian, Deflated and Explicit VR Big Endian come last, in this order.
- A called AE title that is required and not called is rejected with (1, 1, 7), a peer that is not
  on the list with (1, 1, 3), one for which there is no place now with (2, 3, 2).
- A peer is told of patients, and gets instances, only if it is registered as inside and calls from
  its own address. All others are refused with 0124H."""
_STORAGE = """\
An instance is on disk and indexed, or in a journal that indexes it, before 0000H is sent. The same
instance again is a success; other content under the same SOP Instance UID is kept aside, flagged
and answered 0000H. What is checked, bound by bound: [storage](dicom-storage.md).

| status | meaning |
|---|---|
| 0000 | stored |
| 0117 | Affected SOP Instance UID is not a UID |
| 0122 | the context is not one of storage |
| A700 | no room, or storage failed; try again later |
| A900 | class or instance are not those that were announced |
| C000 | not understood: the comment names attribute and rule |"""
_QUERIES = """\
| status | meaning |
|---|---|
| FF00 | a match |
| FF01 | a match; at least one key is not known to us and comes back empty |
| 0000 | no more matches |
| FE00 | cancelled |
| 0124 | the caller is not registered as inside |
| A700 | the archive cannot be asked now, or the identifier is too large |
| A900 | the identifier does not fit its SOP class |
| C000 | unable to process |

Matching: single value, list of UID, wildcard, range of dates and times, universal. A range of dates
and one of times are matched together, as instants. Names match without regard to case; with fuzzy
names by the beginnings of their words, without regard to accents. Keys above the level may be left
out if relational queries are negotiated. Answers are in UTF-8 (ISO_IR 192)."""
_RETRIEVAL = """\
| status | meaning |
|---|---|
| FF00 | under way, with counts |
| 0000 | everything was sent |
| B000 | something failed or was warned of |
| A701 | too many instances, or the archive cannot be asked now |
| A702 | nothing could be sent |
| A801 | the destination is not registered as one |
| A900 | the identifier does not fit its SOP class |
| 0124 | the caller is not inside, or the destination outside and without a project |
| C001 | the destination is outside and its copies are being made: to be asked again |
| C002 | the destination is outside and de-identification held instances |
| FE00 | cancelled |

An instance goes out as it is stored if the receiver takes that, else in Explicit or Implicit VR
Little Endian. What cannot be recoded fails and is listed in Failed SOP Instance UID List."""
_COMMITMENT = """\
A request is on disk before it is answered 0000H, so that a restart still reports. An instance is
committed to if it is indexed and its bytes, read again, have the hash they had. The report goes out
on the association that asked if it stands for a moment longer, else to the peer as registered, and
again until it is taken.

| failure reason | meaning |
|---|---|
| 0110 | the bytes are gone, or are not what they were |
| 0112 | no such instance |
| 0119 | the instance is of another class |
| 0131 | the transaction UID is in use for other instances |"""


def markdown(statement: pb.GetConformanceResponse) -> str:
    """Return a statement as Markdown, ending in a line feed."""
    return "\n".join(_lines(statement))


def _lines(statement: pb.GetConformanceResponse) -> Iterator[str]:
    yield _INTRODUCTION
    yield from _identity(statement)
    yield "\n## Associations\n"
    yield from _table(("bound", "value"), ((b.name, b.value) for b in statement.bounds))
    yield f"\n{_ASSOCIATIONS}"
    yield from _security(statement)
    yield "\n## Services\n"
    yield from _table(("SOP class", "UID", "commands", "options"), map(_service, _all(statement)))
    for title, text in (
        ("Storage", _STORAGE),
        ("Queries", _QUERIES),
        ("Retrieval", _RETRIEVAL),
        ("Storage commitment", _COMMITMENT),
    ):
        yield f"\n## {title}\n\n{text}"
    yield "\n### Attributes of queries\n"
    yield from _table(
        ("level", "attribute", "tag", "matched"), map(_attribute, statement.attributes)
    )
    yield "\n## Transfer syntaxes\n"
    yield "Of queries and other messages: " + _named(statement.message_transfer_syntaxes) + ".\n"
    yield "Of stored instances, which are kept as they come:\n"
    syntaxes = statement.storage_transfer_syntaxes
    yield from _table(("transfer syntax", "UID"), ((s.name, s.uid) for s in syntaxes))
    yield "\n## Storage SOP classes\n"
    yield "Classes of the standard's storage root that are newer than this table are taken too.\n"
    yield from _table(("SOP class", "UID"), ((s.name, s.sop_class_uid) for s in statement.storage))
    yield ""


def _identity(statement: pb.GetConformanceResponse) -> Iterator[str]:
    required = "must be called" if statement.called_ae_title_required else "any may be called"
    yield from _table(
        ("", ""),
        (
            ("AE title", f"{statement.ae_title} ({required})"),
            ("Implementation Class UID", statement.implementation_class_uid),
            ("Implementation Version Name", statement.implementation_version_name),
            ("Version", statement.version),
        ),
    )


def _security(statement: pb.GetConformanceResponse) -> Iterator[str]:
    who = "Only peers of a list" if statement.allow_list else "All who reach the port"
    yield f"\n## Security\n\n{who} may associate (`HEIMDALLR_DICOM_ALLOWED`)."
    if statement.tls_minimum:
        wanted = {"none": "not asked for"}.get(
            statement.tls_client_certificate, statement.tls_client_certificate
        )
        yield (
            f"TLS from version {statement.tls_minimum} on a port of its own (PS3.15 B.12, "
            f"BCP 195); certificates of peers are {wanted}."
        )
    else:
        yield "TLS (PS3.15 B.12, BCP 195) is not configured: `HEIMDALLR_DICOM_TLS_ADDRESS`."


def _all(statement: pb.GetConformanceResponse) -> Iterator[pb.OfferedService]:
    yield pb.OfferedService(
        sop_class_uid="1.2.840.10008.1.1", name="Verification SOP Class", commands=["C-ECHO"]
    )
    yield from statement.services


def _service(service: pb.OfferedService) -> tuple[str, ...]:
    return (
        service.name,
        service.sop_class_uid,
        ", ".join(service.commands),
        ", ".join(service.options),
    )


def _attribute(attribute: pb.MatchedAttribute) -> tuple[str, ...]:
    matched = "yes" if attribute.matched else "returned only"
    return attribute.level, attribute.keyword, attribute.tag, matched


def _named(syntaxes: Iterable[pb.TransferSyntax]) -> str:
    return ", ".join(syntax.name for syntax in syntaxes)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(row)} |"
