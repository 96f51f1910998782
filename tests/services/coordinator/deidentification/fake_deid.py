"""A servicer that stands in for de-identification, behind a real gRPC server."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from heimdallr.analysis.v1 import analysis_service_pb2_grpc as analysis_grpc
from heimdallr.conversion.v1 import conversion_service_pb2_grpc as conversion_grpc
from heimdallr.deid.v1 import deidentification_service_pb2 as pb
from heimdallr.deid.v1 import deidentification_service_pb2_grpc as pb_grpc
from heimdallr.deid.v1.profile_pb2 import Box, Finding
from heimdallr.imaging.v1.blob_ref_pb2 import BlobRef
from heimdallr.imaging.v1.progress_pb2 import Progress
from heimdallr.imaging.v1.provenance_pb2 import Provenance
from heimdallr.reporting.v1 import reporting_service_pb2_grpc as reporting_grpc
from services.runtime.errors import DeidKeyUnavailableError
from services.runtime.interceptors.errors import ErrorInterceptor
from tests.services.coordinator.workflow.fake_mesh import FakeMesh

Context = grpc.aio.ServicerContext[Any, Any]
TAG = "tag-of-the-patient"


def digest(*parts: str) -> str:
    """Return a hash of texts."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()


@dataclass
class FakeDeid(pb_grpc.DeidentificationServiceServicer):
    """Holds what it is told to hold and releases the rest.

    Attributes:
        holds: Codes that hold an object, by the hash of its source.
        newest: Newest version of every project's key.
        requests: Series that were to be de-identified.
        compared: Comparisons that were asked for.
        before: Runs before each series; may wait or raise.
        forget: Outcomes that are left out of each answer.
        spoil: Makes each outcome another than it should be.
        keyless: Whether keys are away.
    """

    holds: dict[str, tuple[str, ...]] = field(default_factory=dict)
    newest: int = 1
    requests: list[pb.DeidentifySeriesRequest] = field(default_factory=list)
    compared: list[pb.CompareInstanceRequest] = field(default_factory=list)
    before: Callable[[], Awaitable[None]] | None = None
    forget: int = 0
    spoil: Callable[[pb.InstanceOutcome], None] | None = None
    keyless: bool = False

    async def DeidentifySeries(
        self, request: pb.DeidentifySeriesRequest, context: Context
    ) -> AsyncIterator[pb.DeidentifySeriesResponse]:
        self.requests.append(request)
        if self.keyless:
            raise DeidKeyUnavailableError(request.project_id)
        yield pb.DeidentifySeriesResponse(progress=Progress(fraction=0.5, activity="Reading"))
        if self.before is not None:
            await self.before()
        version = request.key_versions.get(TAG, self.newest)
        outcomes = [self._outcome(request, one, version) for one in request.instances]
        for outcome in outcomes[self.forget :]:
            if self.spoil is not None:
                self.spoil(outcome)
            yield pb.DeidentifySeriesResponse(instance=outcome)
        yield pb.DeidentifySeriesResponse(outcome=_ended(request, outcomes, version))

    def _outcome(
        self, request: pb.DeidentifySeriesRequest, source: pb.SourceInstance, version: int
    ) -> pb.InstanceOutcome:
        sha256 = source.content.sha256
        codes = [c for c in self.holds.get(sha256, ()) if c not in source.approved_codes]
        outcome = pb.InstanceOutcome(instance_id=source.instance_id, source_sha256=sha256)
        if codes:
            outcome.findings.extend(Finding(code=code, rule="It is so.") for code in codes)
            outcome.boxes.append(Box(frame=1, x=1, y=2, width=3, height=4, code="OCR_TEXT"))
            return outcome
        rules = str(len(request.profile.rules))
        outcome.released.CopyFrom(
            BlobRef(
                sha256=digest(request.project_id, sha256, rules, str(version)),
                size_bytes=7,
                media_type="application/dicom",
            )
        )
        outcome.sop_instance_uid = f"2.25.{int(sha256[:8], 16)}"
        outcome.series_instance_uid = "2.25.2"
        outcome.study_instance_uid = f"2.25.{version}"
        return outcome

    async def CompareInstance(
        self, request: pb.CompareInstanceRequest, context: Context
    ) -> pb.CompareInstanceResponse:
        self.compared.append(request)
        before = "Doe^Jane" if request.reveal else "***"
        change = pb.AttributeChange(element="00100010", action="Z", before=before)
        return pb.CompareInstanceResponse(changes=[change], kept_count=5)

    async def OpenSealed(
        self, request: pb.OpenSealedRequest, context: Context
    ) -> pb.OpenSealedResponse:
        if self.keyless:
            raise DeidKeyUnavailableError(request.project_id)
        assert request.sealed == f"sealed {request.pseudonym}".encode()
        return pb.OpenSealedResponse(identity=pb.Identity(patient_id_text="P1"))

    async def RotateKey(
        self, request: pb.RotateKeyRequest, context: Context
    ) -> pb.RotateKeyResponse:
        self.newest += 1
        return pb.RotateKeyResponse(key_version=self.newest)


def _ended(
    request: pb.DeidentifySeriesRequest, outcomes: list[pb.InstanceOutcome], version: int
) -> pb.SeriesOutcome:
    released = [one for one in outcomes if one.HasField("released")]
    sources = "".join(one.content.sha256 for one in request.instances)
    pseudonyms = {
        pb.PSEUDONYM_KIND_PATIENT: f"PSEUDONYM{version}",
        pb.PSEUDONYM_KIND_STUDY: f"2.25.{version}",
    }
    return pb.SeriesOutcome(
        certificate=BlobRef(
            sha256=digest("certificate", request.attempt_id, sources),
            size_bytes=9,
            media_type="application/json",
        ),
        released_count=len(released),
        held_count=len(outcomes) - len(released),
        links=[
            pb.SealedLink(
                kind=kind,
                pseudonym=pseudonym,
                sealed=f"sealed {pseudonym}".encode(),
                patient_tag=TAG,
                key_version=version,
            )
            for kind, pseudonym in pseudonyms.items()
        ],
        provenance=Provenance(service="deid", service_version="1.2.3"),
        key_id="0a1b2c3d",
    )


@asynccontextmanager
async def served(mesh: FakeMesh, deid: FakeDeid, folder: Path) -> AsyncIterator[str]:
    """Serve both on a socket in a folder and yield the address."""
    server = grpc.aio.server(interceptors=[ErrorInterceptor()])
    conversion_grpc.add_ConversionServiceServicer_to_server(mesh, server)
    analysis_grpc.add_AnalysisServiceServicer_to_server(mesh, server)
    reporting_grpc.add_ReportingServiceServicer_to_server(mesh, server)
    pb_grpc.add_DeidentificationServiceServicer_to_server(deid, server)
    address = f"unix:{folder}/mesh.sock"
    server.add_insecure_port(address)
    await server.start()
    try:
        yield address
    finally:
        await server.stop(grace=None)
