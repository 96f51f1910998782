"""Messages of the analysis contract to and from the domain."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from google.protobuf import duration_pb2, timestamp_pb2

from heimdallr.analysis.v1 import analysis_service_pb2 as pb
from heimdallr.imaging.v1 import measurement_pb2, provenance_pb2, volume_pb2
from services.analysis.analyzer import PARAMETERS, Analysis, Picture
from services.analysis.eligibility import SeriesFacts
from services.analysis.measurement import Measurement, Refusal, Value
from services.analysis.model_repository import ModelCard
from services.analysis.structures import LABELLED, Structure
from services.runtime.blob_messages import blob_to_proto

SERVICE: Final = "analysis"
SERVICE_VERSION: Final = "0.1.0"
DEVICE: Final = "cpu"


def facts_from_proto(volume: volume_pb2.Volume) -> SeriesFacts:
    """Return what conversion says of a series; its gravest finding is the fault."""
    faults = [f for f in volume.findings if f.severity == volume_pb2.SEVERITY_REFUSAL]
    return SeriesFacts(
        modality=volume.modality,
        axial=volume.plane == volume_pb2.PLANE_AXIAL,
        hounsfield=volume.hounsfield,
        fault=Refusal(faults[0].code, faults[0].text) if faults else None,
    )


def refusal_to_proto(refusal: Refusal) -> measurement_pb2.Refusal:
    """Return a refusal as it goes on the wire."""
    return measurement_pb2.Refusal(code=refusal.code, text=refusal.text)


def measurement_to_proto(measurement: Measurement) -> measurement_pb2.Measurement:
    """Return a measurement as it goes on the wire."""
    message = measurement_pb2.Measurement(
        name=measurement.name,
        display_name=measurement.display_name,
        structure=measurement.structure,
        evidence=[
            measurement_pb2.Evidence(name=fact.name, text=fact.text)
            for fact in measurement.evidence
        ],
    )
    match measurement.outcome:
        case Value(number, unit):
            message.value.CopyFrom(measurement_pb2.Value(number=number, unit_ucum=unit))
        case Refusal() as refusal:
            message.refusal.CopyFrom(refusal_to_proto(refusal))
    return message


def analysis_to_proto(analysis: Analysis) -> pb.Analysis:
    """Return an analysis as it goes on the wire."""
    return pb.Analysis(
        labelmap=blob_to_proto(analysis.labelmap),
        labels=[_label_to_proto(structure) for structure in LABELLED],
        measurements=[measurement_to_proto(item) for item in analysis.measurements],
        overlays=[_picture_to_proto(picture) for picture in analysis.pictures],
        provenance=_provenance(analysis),
    )


def model_to_proto(card: ModelCard, unavailability: Refusal | None) -> pb.Model:
    """Return a model's card as it goes on the wire."""
    return pb.Model(
        name=card.name,
        version=card.version,
        description=card.description,
        modalities=card.modalities,
        labels=card.labels,
        license=card.license,
        available=unavailability is None,
        unavailability=None if unavailability is None else refusal_to_proto(unavailability),
    )


def _label_to_proto(structure: Structure) -> pb.Label:
    return pb.Label(
        value=structure.labels[0],
        structure=structure.name,
        display_name=structure.display_name,
        color=structure.color,
    )


def _picture_to_proto(picture: Picture) -> volume_pb2.Preview:
    return volume_pb2.Preview(
        image=blob_to_proto(picture.image),
        kind=picture.kind,
        alternative_text=picture.alternative_text,
    )


def _provenance(analysis: Analysis) -> provenance_pb2.Provenance:
    start, duration = timestamp_pb2.Timestamp(), duration_pb2.Duration()
    start.FromDatetime(analysis.started)
    duration.FromTimedelta(timedelta(seconds=analysis.duration_s))
    return provenance_pb2.Provenance(
        service=SERVICE,
        service_version=SERVICE_VERSION,
        tool=analysis.card.name,
        tool_version=analysis.card.version,
        weights_sha256=analysis.card.weights_sha256,
        input_sha256=[analysis.input_sha256],
        parameters=PARAMETERS,
        device=DEVICE,
        start_time=start,
        duration=duration,
    )
