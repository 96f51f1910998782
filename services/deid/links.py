"""What a released object tells the crosswalk: who and what is behind its pseudonyms, sealed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from services.deid.deidentify import Released
from services.deid.orders import Orders
from services.deid.sealing import Kind, Link, Sealable, seal


@dataclass(frozen=True, slots=True)
class SealedLink:
    """A pseudonym, and what it stands for under seal.

    Attributes:
        kind: What it stands for.
        pseudonym: A Patient ID, or a UID.
        sealed: See ``sealing.seal``.
        patient_tag: Tells the patient from others of the project.
        version: Of the key that made the pseudonym.
    """

    kind: Kind
    pseudonym: str
    sealed: bytes
    patient_tag: str
    version: int


def links_of(released: Released, orders: Orders) -> Iterator[SealedLink]:
    """Yield the links of an object: its patient, its study, its series."""
    version = orders.key.versions[orders.version_of(released.patient_key)]
    tag = orders.key.tag(released.patient_key)
    for kind, pseudonym, identity in _stood_for(released):
        link = Link(orders.project_id, kind, pseudonym)
        sealed = seal(version, link, identity)
        yield SealedLink(kind, pseudonym, sealed, tag, version.number)


def _stood_for(released: Released) -> Iterator[tuple[Kind, str, Sealable]]:
    found = released.identity
    patient = Sealable(found.patient_id, found.issuer, found.patient_name, found.birth_date)
    yield "patient", released.pseudonym, patient
    yield "study", released.study_instance_uid, Sealable(original_uid=found.study_uid)
    yield "series", released.series_instance_uid, Sealable(original_uid=found.series_uid)
