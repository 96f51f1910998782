"""Takes identity out of one DICOM object, or refuses to release it."""

from __future__ import annotations

import hashlib
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from services.deid.encode import Encoder
from services.deid.errors import DeidRefusedError
from services.deid.facts import Facts, read_facts
from services.deid.layout import Layout
from services.deid.marks import earlier_methods, marks
from services.deid.profile.options import Option
from services.deid.profile.treatment import Profile
from services.deid.pseudonyms import Pseudonyms
from services.deid.residual import Needles, found_in, needles
from services.deid.rewrite import Part, Rewriter
from services.deid.risk import (
    WANTED,
    pixels_may_identify,
    refuse_what_cannot_be_treated,
)
from services.deid.subject import Subject
from services.dicom.encoding import inflate
from services.dicom.part10 import file_meta, split_part10
from services.dicom.uids import TransferSyntax, transfer_syntax
from services.dicom.walk import DEFAULT_LIMITS, Limits

_SESSIONS: Final = 64
_LONGEST_HEADER_PART: Final = 16 << 10
_LEFT: Final = "identifiers of the source are left in it"
_NEEDS_A_LOOK: Final = "text may be drawn into the pixels and nothing here can read them"


@dataclass(frozen=True, slots=True)
class Released:
    """An object that holds nothing of its patient that was known.

    Attributes:
        parts: Its bytes as a DICOM file (PS3.10), in order.
        sop_instance_uid: Its new SOP Instance UID.
        source_sha256: Of the file it was made of.
        sha256: Of the file it is.
        sought: How many texts the residual scan sought, and found none of.
    """

    parts: tuple[Part, ...]
    sop_instance_uid: str
    source_sha256: str
    sha256: str
    sought: int


@dataclass(frozen=True, slots=True)
class _Session:
    """What is the same for many objects of one patient."""

    rewriter: Rewriter
    encoder: Encoder
    sought: Needles


class Deidentifier:
    """De-identifies objects under one project's key.

    Args:
        options: Of the profile.
        pseudonyms: Of the project.
        limits: Bounds on what an object may cost.
    """

    def __init__(
        self,
        options: Iterable[Option],
        pseudonyms: Pseudonyms,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.options = frozenset(options)
        self.pseudonyms = pseudonyms
        self._profile = Profile(self.options)
        self._limits = limits
        self._sessions: OrderedDict[tuple[object, ...], _Session] = OrderedDict()

    def deidentify(self, file: bytes | memoryview) -> Released:
        """Return an object without identity.

        Args:
            file: A whole DICOM file (PS3.10).

        Raises:
            DicomError: It is not DICOM, or breaks the encoding rules.
            DeidRefusedError: It cannot be released.
        """
        meta, offset = split_part10(file)
        syntax = transfer_syntax(meta.transfer_syntax_uid)
        view = self._data_set(memoryview(file)[offset:], syntax)
        layout = Layout(view, syntax, self._limits)
        places = layout.elements(0, len(view), 0)
        facts = read_facts(view, places, WANTED)
        self._refuse_what_cannot_be_treated(facts)
        session = self._session(facts, syntax)
        earlier = earlier_methods(layout, places, session.encoder)
        added = marks(session.encoder, self._applied, earlier)
        parts = session.rewriter.rewrite(layout, places, added)
        if found_in(parts, session.sought, self._sought_uids(facts), _LONGEST_HEADER_PART):
            raise DeidRefusedError(
                "IDENTIFIER_FOUND", "", "the source's identifiers are left in it"
            )
        return self._released(file, facts, syntax, parts, session.sought)

    @property
    def _applied(self) -> frozenset[Option]:
        # Pixels are refused unless nothing is drawn into them: none were cleaned.
        return self.options - {Option.CLEAN_PIXEL_DATA, Option.CLEAN_FACES}

    def _data_set(self, data: memoryview, syntax: TransferSyntax) -> memoryview:
        if syntax.by_reference:
            raise DeidRefusedError("PIXELS_ELSEWHERE", "TransferSyntaxUID", "pixels lie elsewhere")
        if not syntax.deflated:
            return data
        return memoryview(inflate(data, self._limits.max_inflated_bytes))

    def _refuse_what_cannot_be_treated(self, facts: Facts) -> None:
        refuse_what_cannot_be_treated(facts.sop_class_uid)
        if pixels_may_identify(facts.sop_class_uid, facts.values):
            raise DeidRefusedError("PIXELS_NOT_READ", "PixelData", _NEEDS_A_LOOK)

    def _sought_uids(self, facts: Facts) -> frozenset[bytes]:
        if Option.RETAIN_UIDS in self.options:
            return frozenset()
        return frozenset(uid.encode("ascii", "replace") for uid in facts.uids)

    def _session(self, facts: Facts, syntax: TransferSyntax) -> _Session:
        key = (facts.patient_key, syntax.uid, facts.encodings, facts.identifiers)
        session = self._sessions.get(key)
        if session is None:
            session = self._open(facts, syntax)
            self._sessions[key] = session
            if len(self._sessions) > _SESSIONS:
                self._sessions.popitem(last=False)
        self._sessions.move_to_end(key)
        return session

    def _open(self, facts: Facts, syntax: TransferSyntax) -> _Session:
        subject = Subject.known_by(facts.patient_key, self.pseudonyms, facts.identifiers)
        rewriter = Rewriter(self._profile, self.pseudonyms, subject, syntax, facts.encodings)
        sought = needles(facts, subject.pseudonym)
        return _Session(rewriter, Encoder(syntax), sought)

    def _released(
        self,
        file: bytes | memoryview,
        facts: Facts,
        syntax: TransferSyntax,
        parts: list[Part],
        sought: Needles,
    ) -> Released:
        uid = facts.sop_instance_uid
        if Option.RETAIN_UIDS not in self.options:
            uid = self.pseudonyms.uid(uid)
        if syntax.deflated:
            parts = [_deflated(parts)]
        whole = (file_meta(facts.sop_class_uid, uid, syntax.uid), *parts)
        digest = hashlib.sha256()
        for part in whole:
            digest.update(part)
        source = hashlib.sha256(file).hexdigest()
        count = len(sought.header | sought.pixels)
        return Released(whole, uid, source, digest.hexdigest(), count)


def _deflated(parts: list[Part]) -> bytes:
    squeeze = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = b"".join(squeeze.compress(part) for part in parts) + squeeze.flush()
    return data + b"\0" * (len(data) % 2)
