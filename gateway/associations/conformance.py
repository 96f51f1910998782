"""The substance of a conformance statement (PS3.2), from what is configured and what is served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Final

from pydicom._uid_dict import UID_dictionary

from gateway.dimse import commands
from gateway.dimse.negotiation import MESSAGE_TRANSFER_SYNTAXES, STORED_TRANSFER_SYNTAXES
from gateway.dimse.recorder import command_name
from gateway.dimse.service import Services
from gateway.dimse.settings import DicomSettings
from gateway.query_retrieve.attributes import known
from gateway.query_retrieve.models import Level
from gateway.settings import GatewaySettings
from heimdallr.dimse.v1 import associations_service_pb2 as pb
from services.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from services.dicom.uids import STORAGE_SOP_CLASSES

_FIND_OPTIONS: Final = ("relational queries", "combined date and time", "fuzzy names", "time zones")
_RETRIEVE_OPTIONS: Final = ("relational retrieval",)
_OPTIONS: Final = {
    commands.C_FIND_RQ: _FIND_OPTIONS,
    commands.C_MOVE_RQ: _RETRIEVE_OPTIONS,
    commands.C_GET_RQ: _RETRIEVE_OPTIONS,
}
_RETIRED: Final = "Retired"


def conformance(
    settings: GatewaySettings, dicom: DicomSettings, services: Services
) -> pb.GetConformanceResponse:
    """Return what associations are offered.

    Args:
        settings: How the gateway is set.
        dicom: How associations are conducted.
        services: What they are offered.
    """
    return pb.GetConformanceResponse(
        version=metadata.version("heimdallr"),
        ae_title=settings.ae_title,
        called_ae_title_required=settings.require_called_ae_title,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        storage=[_stored(uid) for uid in sorted(STORAGE_SOP_CLASSES, key=_in_order)],
        services=_services(services),
        storage_transfer_syntaxes=_syntaxes(STORED_TRANSFER_SYNTAXES),
        message_transfer_syntaxes=_syntaxes(MESSAGE_TRANSFER_SYNTAXES),
        attributes=_attributes(),
        bounds=_bounds(settings, dicom),
        allow_list=bool(dicom.allowed),
        tls_minimum=dicom.tls_minimum if dicom.tls_address is not None else "",
        tls_client_certificate=dicom.tls_client_certificate,
    )


def _stored(uid: str) -> pb.OfferedService:
    return pb.OfferedService(sop_class_uid=uid, name=_name(uid), commands=["C-STORE"])


def _services(services: Services) -> Iterator[pb.OfferedService]:
    offered = services.offered
    for uid, fields in sorted(services.operations.items(), key=lambda item: _in_order(item[0])):
        yield pb.OfferedService(
            sop_class_uid=uid,
            name=_name(uid),
            commands=[command_name(number) for number in sorted(fields)],
            options=_options(fields, offered[uid]),
        )


def _options(fields: frozenset[int], negotiated: bytes) -> Iterator[str]:
    names = next((_OPTIONS[number] for number in sorted(fields) if number in _OPTIONS), ())
    for name, value in zip(names, negotiated, strict=False):
        if value:
            yield name


def _syntaxes(uids: frozenset[str]) -> Iterator[pb.TransferSyntax]:
    for uid in sorted(uids, key=_in_order):
        yield pb.TransferSyntax(uid=uid, name=_name(uid))


def _attributes() -> Iterator[pb.MatchedAttribute]:
    told = set()
    for level in Level:
        for attribute in known(level).values():
            if attribute.tag not in told:
                told.add(attribute.tag)
                yield pb.MatchedAttribute(
                    keyword=attribute.keyword,
                    tag=f"({attribute.tag >> 16:04X},{attribute.tag & 0xFFFF:04X})",
                    level=attribute.level.value,
                    matched=attribute.matched,
                )


def _bounds(settings: GatewaySettings, dicom: DicomSettings) -> Iterator[pb.AssociationBound]:
    for name, value in _values(settings, dicom).items():
        yield pb.AssociationBound(name=name, value=value)


def _values(settings: GatewaySettings, dicom: DicomSettings) -> Mapping[str, str]:
    return {
        "associations at once": str(settings.max_associations),
        "associations at once of one address": str(settings.max_associations_per_address),
        "connections that wait for an association": str(settings.max_waiting),
        "longest P-DATA-TF that is taken": f"{settings.max_pdu_length >> 10} KiB",
        "largest stored object": f"{settings.max_object_bytes >> 20} MiB",
        "time to ask for an association": f"{settings.negotiate_timeout_s:g} s",
        "silence within an association": f"{settings.idle_timeout_s:g} s",
        "time for one PDU": f"{settings.pdu_timeout_s:g} s",
        "requests for storage commitment that may wait": str(dicom.commitment_requests),
    }


def _name(uid: str) -> str:
    entry = UID_dictionary.get(uid)
    if entry is None:
        return "private"
    name, _, _, retired, _ = entry
    return f"{name} (retired)" if retired == _RETIRED and "(Retired)" not in name else name


def _in_order(uid: str) -> tuple[int, ...]:
    return tuple(int(part) for part in uid.split("."))
