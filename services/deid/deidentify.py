"""Takes identity out of one DICOM object, or refuses to release it."""

from __future__ import annotations

import hashlib
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from services.deid.approvals import Approvals
from services.deid.encode import Encoder
from services.deid.errors import DeidRefusedError
from services.deid.facts import Facts, Identity, read_facts
from services.deid.layout import Layout
from services.deid.marks import earlier_methods, marks
from services.deid.pixels.cleaned import CleanedPixels, Source
from services.deid.pixels.engine import installed_reader
from services.deid.pixels.image import has_pixels
from services.deid.pixels.judgement import Staying
from services.deid.pixels.left import TextLeftError
from services.deid.pixels.text import Box, TextReader
from services.deid.profile.options import Option
from services.deid.profile.rules import Rule
from services.deid.profile.treatment import Profile
from services.deid.pseudonyms import Pseudonyms
from services.deid.residual import Needles, found_in, gathered, needles
from services.deid.rewrite import Observer, Part, Rewriter
from services.deid.risk import (
    WANTED,
    pixels_may_identify,
    refuse_directory,
    refuse_overlays_in_pixels,
    refuse_what_cannot_be_treated,
)
from services.deid.subject import Subject
from services.dicom.encoding import inflate
from services.dicom.part10 import file_meta, split_part10
from services.dicom.uids import TransferSyntax, transfer_syntax
from services.dicom.walk import DEFAULT_LIMITS, Limits

_SESSIONS: Final = 64
_LEFT: Final = "the source's identifiers are left in it"
_NO_READER: Final = "text may be drawn into the pixels and nothing here can read them"


@dataclass(frozen=True)
class Released:
    """An object that holds nothing of its patient that was known.

    Attributes:
        parts: Its bytes as a DICOM file (PS3.10), in order.
        sop_instance_uid: Its new SOP Instance UID.
        study_instance_uid: Its new Study Instance UID.
        series_instance_uid: Its new Series Instance UID.
        pseudonym: Of the patient.
        patient_key: See ``pseudonyms.patient_key``.
        identity: Who and what stood there before; it must not travel with the object.
        source: The file it was made of.
        boxes: Where its pixels were blanked.
        sought: How many texts the residual scan sought, and found none of.
    """

    parts: tuple[Part, ...]
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    pseudonym: str
    patient_key: str
    identity: Identity
    source: bytes | memoryview = field(repr=False)
    boxes: tuple[Box, ...]
    sought: int

    @cached_property
    def source_sha256(self) -> str:
        """SHA-256 of the file it was made of, for who does not know it yet."""
        return hashlib.sha256(self.source).hexdigest()

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file it is."""
        digest = hashlib.sha256()
        for part in self.parts:
            digest.update(part)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Session:
    """What is the same for many objects of one patient."""

    pseudonyms: Pseudonyms
    subject: Subject
    rewriter: Rewriter
    encoder: Encoder
    sought: Needles


class Deidentifier:
    """De-identifies objects under one project's key.

    Args:
        options: Of the profile.
        pseudonyms: Of the project, or what tells them for a patient's key (see
            ``pseudonyms.patient_key``) where the project's key was rotated.
        limits: Bounds on what an object may cost.
        rules: The project's own.
        reader: Gives what reads text in pixels, asked once pixels are to be read.
    """

    def __init__(
        self,
        options: Iterable[Option],
        pseudonyms: Pseudonyms | Callable[[str], Pseudonyms],
        limits: Limits = DEFAULT_LIMITS,
        rules: Iterable[Rule] = (),
        reader: Callable[[], TextReader | None] = installed_reader,
    ) -> None:
        self.options = frozenset(options)
        self._pseudonyms = pseudonyms
        self._profile = Profile(self.options, rules)
        self._limits = limits
        self._reader = reader
        self._sessions: OrderedDict[tuple[object, ...], _Session] = OrderedDict()

    @property
    def profile(self) -> Profile:
        """What is done with each attribute."""
        return self._profile

    def deidentify(
        self,
        file: bytes | memoryview,
        approvals: Approvals | None = None,
        observer: Observer | None = None,
    ) -> Released:
        """Return an object without identity.

        Args:
            file: A whole DICOM file (PS3.10).
            approvals: What a person lets through; nothing unless given.
            observer: Told of everything that is done to an element; costs time.

        Raises:
            DicomError: It is not DICOM, or breaks the encoding rules.
            DeidRefusedError: It cannot be released.
        """
        approvals = approvals or Approvals()
        meta, offset = split_part10(file)
        refuse_directory(meta.sop_class_uid)
        syntax = transfer_syntax(meta.transfer_syntax_uid)
        view = self._data_set(memoryview(file)[offset:], syntax)
        layout = Layout(view, syntax, self._limits)
        places = layout.elements(0, len(view), 0)
        facts = read_facts(layout, places, WANTED, syntax)
        with approvals.judged():
            refuse_what_cannot_be_treated(facts.sop_class_uid)
            refuse_overlays_in_pixels(places)
        session = self._session(facts, syntax)
        earlier = earlier_methods(layout, places, session.encoder)
        source = Source(layout, places, syntax, facts.values)
        pixels = self._pixels(source, facts, session, approvals)
        added = marks(session.encoder, self._applied(pixels), earlier)
        own = frozenset(added.values())
        parts = session.rewriter.rewrite(layout, places, {**added, **pixels.added}, observer)
        parts, header, bulk = gathered(parts, own)
        if found_in(header, bulk, session.sought, self._sought_uids(facts)):
            approvals.judge(DeidRefusedError("IDENTIFIER_FOUND", "", _LEFT))
        return self._released(file, facts, pixels, parts, session)

    def _applied(self, pixels: CleanedPixels) -> frozenset[Option]:
        applied = self.options - {Option.CLEAN_PIXEL_DATA, Option.CLEAN_FACES}
        return applied | {Option.CLEAN_PIXEL_DATA} if pixels.proved else applied

    def _data_set(self, data: memoryview, syntax: TransferSyntax) -> memoryview:
        if syntax.by_reference:
            raise DeidRefusedError("PIXELS_ELSEWHERE", "TransferSyntaxUID", "pixels lie elsewhere")
        if not syntax.deflated:
            return data
        return memoryview(inflate(data, self._limits.max_inflated_bytes))

    def _pixels(
        self, source: Source, facts: Facts, session: _Session, approvals: Approvals
    ) -> CleanedPixels:
        """Clear pixels of text where there may be some, or where all pixels are to be read."""
        untouched = CleanedPixels(source.syntax)
        always = Option.CLEAN_PIXEL_DATA in self.options
        if not has_pixels(source.places):
            return untouched
        if not always and not pixels_may_identify(facts.sop_class_uid, facts.values):
            return untouched
        cleaned = untouched
        with approvals.judged():
            reader = self._reader()
            if reader is None:
                raise DeidRefusedError("OCR_UNAVAILABLE", "PixelData", _NO_READER)
            # Decoders take long to load and most objects need none.
            from services.deid.pixels.cleaning import clean_pixels

            staying = Staying.MARKERS if always else Staying.CLINICAL
            cleaned = clean_pixels(source, reader, session.subject, staying)
        if cleaned.left:
            approvals.judge(TextLeftError(cleaned.left))
        return cleaned

    def _sought_uids(self, facts: Facts) -> frozenset[bytes]:
        if Option.RETAIN_UIDS in self.options:
            return frozenset()
        return frozenset(uid.encode("ascii", "replace") for uid in facts.uids)

    def _session(self, facts: Facts, syntax: TransferSyntax) -> _Session:
        pseudonyms = self._pseudonyms_of(facts.patient_key)
        key = (
            *(facts.patient_key, pseudonyms.key_id),
            *(syntax.uid, facts.encodings),
            *(facts.identifiers, facts.dates, facts.undecoded),
        )
        session = self._sessions.get(key)
        if session is None:
            session = self._open(facts, syntax, pseudonyms)
            self._sessions[key] = session
            if len(self._sessions) > _SESSIONS:
                self._sessions.popitem(last=False)
        self._sessions.move_to_end(key)
        return session

    def _pseudonyms_of(self, patient_key: str) -> Pseudonyms:
        given = self._pseudonyms
        return given if isinstance(given, Pseudonyms) else given(patient_key)

    def _open(self, facts: Facts, syntax: TransferSyntax, pseudonyms: Pseudonyms) -> _Session:
        subject = Subject.known_by(
            facts.patient_key, pseudonyms, (*facts.identifiers, *facts.dates)
        )
        rewriter = Rewriter(self._profile, pseudonyms, subject, syntax, facts.encodings)
        sought = needles(facts, subject.pseudonym)
        return _Session(pseudonyms, subject, rewriter, Encoder(syntax), sought)

    def _released(
        self,
        file: bytes | memoryview,
        facts: Facts,
        pixels: CleanedPixels,
        parts: list[Part],
        session: _Session,
    ) -> Released:
        syntax = pixels.syntax
        renamed = self._renaming(session.pseudonyms)
        uid = renamed(facts.sop_instance_uid)
        if syntax.deflated:
            parts = [_deflated(parts)]
        whole = (file_meta(facts.sop_class_uid, uid, syntax.uid), *parts)
        return Released(
            parts=whole,
            sop_instance_uid=uid,
            study_instance_uid=renamed(facts.identity.study_uid),
            series_instance_uid=renamed(facts.identity.series_uid),
            pseudonym=session.subject.pseudonym,
            patient_key=facts.patient_key,
            identity=facts.identity,
            source=file,
            boxes=pixels.boxes,
            sought=len(session.sought.header | session.sought.pixels),
        )

    def _renaming(self, pseudonyms: Pseudonyms) -> Callable[[str], str]:
        kept = Option.RETAIN_UIDS in self.options
        return (lambda uid: uid) if kept else pseudonyms.uid


def _deflated(parts: list[Part]) -> bytes:
    squeeze = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = b"".join(squeeze.compress(part) for part in parts) + squeeze.flush()
    return data + b"\0" * (len(data) % 2)
