"""An archive in memory: what STOW-RS hands over is found by QIDO-RS and WADO-RS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from gateway.envelopes import attributes_to_proto
from gateway.handover import Departure, Disposition, Received
from heimdallr.archive.v1 import archive_service_pb2 as pb
from heimdallr.archive.v1 import archive_service_pb2_grpc as pb_grpc
from heimdallr.workflow.v1 import workflow_service_pb2 as workflow_pb
from heimdallr.workflow.v1 import workflow_service_pb2_grpc as workflow_grpc
from services.runtime.blob_messages import blob_to_proto
from services.runtime.errors import InvalidFieldError


@dataclass
class IndexDouble:
    """Takes what doors hand over.

    Attributes:
        received: Instances by SOP Instance UID.
        departures: Who has gone.
        failure: What the next instance is refused with.
    """

    received: dict[str, Received] = field(default_factory=dict)
    departures: list[Departure] = field(default_factory=list)
    failure: Exception | None = None

    async def hand_over(self, received: Received) -> Disposition:
        if self.failure is not None:
            raise self.failure
        uid = received.staged.attributes.sop_instance_uid
        before = self.received.setdefault(uid, received)
        if before is received:
            return Disposition.STORED
        same = before.staged.ref == received.staged.ref
        return Disposition.DUPLICATE if same else Disposition.CONFLICT

    async def depart(self, departure: Departure) -> None:
        self.departures.append(departure)


@dataclass
class ArchiveDouble(pb_grpc.ArchiveServiceServicer):
    """Finds what is in an index; it matches single values alone."""

    index: IndexDouble
    queries: list[pb.QueryRequest] = field(default_factory=list)
    locates: int = 0

    async def Query(  # noqa: N802
        self, request: pb.QueryRequest, context: Any
    ) -> AsyncIterator[pb.QueryResponse]:
        self.queries.append(request)
        if any(match.keyword == "EthnicGroup" for match in request.matches):
            raise InvalidFieldError("EthnicGroup", "an attribute that is indexed")
        rows = {self._key(request.level, one): self._row(request.level, one) for one in self._all()}
        found = [row for row in rows.values() if all(_matches(row, m) for m in request.matches)]
        yield pb.QueryResponse(rows=found[request.offset :][: request.limit or None])

    async def LocateInstances(  # noqa: N802
        self, request: pb.LocateInstancesRequest, context: Any
    ) -> AsyncIterator[pb.LocateInstancesResponse]:
        self.locates += 1
        found = [
            pb.LocatedInstance(
                study_instance_uid=one.staged.attributes.study_instance_uid,
                series_instance_uid=one.staged.attributes.series_instance_uid,
                sop_instance_uid=one.staged.attributes.sop_instance_uid,
                sop_class_uid=one.staged.attributes.sop_class_uid,
                transfer_syntax_uid=one.staged.attributes.transfer_syntax_uid,
                number_of_frames=one.staged.attributes.number_of_frames or 0,
                blob=blob_to_proto(one.staged.ref),
                study_id="study",
                series_id=one.staged.attributes.series_instance_uid,
            )
            for one in self._all()
            if _named(request.study_instance_uids, one.staged.attributes.study_instance_uid)
            and _named(request.series_instance_uids, one.staged.attributes.series_instance_uid)
            and _named(request.sop_instance_uids, one.staged.attributes.sop_instance_uid)
        ]
        if found:
            yield pb.LocateInstancesResponse(instances=found)

    def _all(self) -> list[Received]:
        found = self.index.received.values()
        return sorted(found, key=lambda one: one.staged.attributes.instance_number or 0)

    def _key(self, level: pb.QueryLevel.ValueType, one: Received) -> str:
        known = one.staged.attributes
        if level == pb.QUERY_LEVEL_STUDY:
            return known.study_instance_uid
        if level == pb.QUERY_LEVEL_SERIES:
            return known.series_instance_uid
        return known.sop_instance_uid

    def _row(self, level: pb.QueryLevel.ValueType, one: Received) -> pb.QueryRow:
        known, attributes = one.staged.attributes, attributes_to_proto(one.staged.attributes)
        row = pb.QueryRow(
            study=pb.Study(
                study_instance_uid=known.study_instance_uid,
                patient_id=known.patient_id,
                patient_name=known.patient_name,
                study_date=known.study_date,
                modalities=[known.modality],
                series_count=1,
                instance_count=len(self.index.received),
            )
        )
        if level >= pb.QUERY_LEVEL_SERIES:
            row.series.series_id = "series"
            row.series.series_instance_uid = known.series_instance_uid
            row.series.modality = known.modality
            row.series.attributes.CopyFrom(attributes)
        if level == pb.QUERY_LEVEL_INSTANCE:
            row.instance.attributes.CopyFrom(attributes)
        return row


class WorkflowDouble(workflow_grpc.WorkflowServiceServicer):
    """Knows the results it is given."""

    def __init__(self) -> None:
        self.results = workflow_pb.GetStudyResultsResponse()

    async def GetStudyResults(  # noqa: N802
        self, request: workflow_pb.GetStudyResultsRequest, context: Any
    ) -> workflow_pb.GetStudyResultsResponse:
        return self.results


def _named(wanted: Any, uid: str) -> bool:
    return not wanted or uid in wanted


def _matches(row: pb.QueryRow, match: pb.AttributeMatch) -> bool:
    known = {
        "StudyInstanceUID": row.study.study_instance_uid,
        "SeriesInstanceUID": row.series.series_instance_uid,
        "SOPInstanceUID": row.instance.attributes.sop_instance_uid,
        "PatientID": row.study.patient_id,
    }
    if match.WhichOneof("condition") != "values" or match.keyword not in known:
        return True
    return known[match.keyword] in match.values.values
