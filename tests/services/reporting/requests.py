"""A report request with all that a report can say."""

from __future__ import annotations

import io

from google.protobuf.timestamp_pb2 import Timestamp
from PIL import Image, ImageDraw

from heimdallr.analysis.v1 import analysis_service_pb2 as analysis
from heimdallr.conversion.v1 import conversion_service_pb2 as conversion
from heimdallr.imaging.v1 import (
    blob_ref_pb2,
    measurement_pb2,
    provenance_pb2,
    volume_pb2,
)
from heimdallr.reporting.v1 import reporting_service_pb2 as pb

STUDY_ID = "01a1fe65-4036-7068-815a-f87418a51896"
REPORT_TIME = Timestamp(seconds=1_795_270_000)


def value(name: str, display: str, number: float, unit: str) -> measurement_pb2.Measurement:
    return measurement_pb2.Measurement(
        name=name,
        display_name=display,
        structure=name.partition(".")[0],
        value=measurement_pb2.Value(number=number, unit_ucum=unit),
        evidence=[measurement_pb2.Evidence(name="voxel_count", text="1283004")],
    )


def refused(name: str, display: str, code: str, text: str) -> measurement_pb2.Measurement:
    return measurement_pb2.Measurement(
        name=name,
        display_name=display,
        structure=name.partition(".")[0],
        refusal=measurement_pb2.Refusal(code=code, text=text),
        evidence=[measurement_pb2.Evidence(name="touches_first_slice", text="yes")],
    )


def provenance(tool: str, version: str) -> provenance_pb2.Provenance:
    return provenance_pb2.Provenance(
        service="analysis",
        service_version="0.1.0",
        tool=tool,
        tool_version=version,
        weights_sha256="ab" * 32,
        input_sha256=["cd" * 32, "ef" * 32, "01" * 32],
        device="cpu",
    )


def key_picture() -> bytes:
    image = Image.new("RGB", (512, 512), "#101418")
    draw = ImageDraw.Draw(image)
    draw.ellipse((60, 120, 450, 420), fill="#8d8d8d")
    draw.ellipse((110, 170, 230, 380), fill="#3878c8")
    draw.ellipse((280, 170, 400, 380), fill="#3878c8")
    draw.ellipse((235, 330, 275, 380), fill="#e8d9a0")
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def overlay(picture: blob_ref_pb2.BlobRef) -> volume_pb2.Preview:
    return volume_pb2.Preview(
        image=picture,
        kind="overlay-axial",
        alternative_text="Axial slice of the chest with the lungs in blue and bone in yellow.",
    )


def full_request(picture: blob_ref_pb2.BlobRef | None = None) -> pb.ComposeReportRequest:
    return pb.ComposeReportRequest(
        subject=subject(),
        series=[analysed(picture), scout(), coronal()],
        report_time=REPORT_TIME,
    )


def subject() -> pb.ReportSubject:
    return pb.ReportSubject(
        study_id=STUDY_ID,
        study_instance_uid="2.25.308098194143441124562362260923698121550",
        patient_name="PHANTOM^CHEST^^Dr",
        patient_id="PHANTOM-7",
        issuer_of_patient_id="CLINIC",
        patient_birth_date="19700131",
        patient_sex="O",
        study_date="20261121",
        study_time="081530.25",
        accession_number="A-1001",
        study_description="CT Thorax nativ",
        modalities=["CT"],
        generation=1,
        completeness="The sender released the association and sent nothing for 2 seconds.",
    )


def analysed(picture: blob_ref_pb2.BlobRef | None) -> pb.SeriesResult:
    return pb.SeriesResult(
        series_id="01a1fe65-4036-7068-815a-f87418a51897",
        modality="CT",
        series_description="Thorax 2.0 B30f",
        series_number=2,
        instance_count=180,
        score=conversion.SeriesScore(
            selected=True,
            score=58,
            reasons=[
                reason("SLICE_COUNT", 18, "180 slices; more show more of the body."),
                reason("AXIAL", 20, "Axial slices."),
                reason("ORIGINAL", 10, "Original images of the scanner."),
                reason("SOFT_KERNEL", 10, "Soft-tissue reconstruction kernel."),
                reason("SELECTED", 0, "The best CT series of the study."),
            ],
        ),
        volume=volume_pb2.Volume(
            nifti=blob_ref_pb2.BlobRef(sha256="12" * 32, size_bytes=1, media_type="application/x"),
            modality="CT",
            shape=[512, 512, 180],
            spacing_mm=[0.75, 0.75, 2],
            plane=volume_pb2.PLANE_AXIAL,
            hounsfield=True,
            findings=[
                volume_pb2.GeometryFinding(
                    code="GANTRY_TILT",
                    severity=volume_pb2.SEVERITY_WARNING,
                    text="Gantry tilt of 18.5 degrees, corrected by resampling.",
                ),
                volume_pb2.GeometryFinding(
                    code="SLICE_OVERLAP",
                    severity=volume_pb2.SEVERITY_NOTE,
                    text="Slices of 3 mm every 2.00 mm overlap.",
                ),
            ],
            provenance=provenance("dcm2niix", "1.0.20260724"),
        ),
        analyses=[
            analysis.Analysis(
                labelmap=blob_ref_pb2.BlobRef(
                    sha256="34" * 32, size_bytes=1, media_type="application/x"
                ),
                measurements=[
                    value("lungs.volume", "Volume of the lungs", 2859.127, "mL"),
                    value("lungs.mean", "Mean of the lungs", -846.4412, "[hnsf'U]"),
                    value("bone.volume", "Volume of bone", 812.5, "mL"),
                    refused(
                        "body.volume",
                        "Volume of the body",
                        "TRUNCATED_Z",
                        "The body is cut off at the lower end of the scan.",
                    ),
                ],
                overlays=[overlay(picture)] if picture is not None else [],
                provenance=provenance("ct_tissue", "1"),
            )
        ],
    )


def scout() -> pb.SeriesResult:
    return pb.SeriesResult(
        modality="CT",
        series_description="Topogram",
        series_number=1,
        instance_count=1,
        score=conversion.SeriesScore(
            refusal=measurement_pb2.Refusal(
                code="LOCALIZER",
                text="The series is a localizer (scout), not a stack of slices.",
            )
        ),
    )


def coronal() -> pb.SeriesResult:
    return pb.SeriesResult(
        modality="CT",
        series_description="Coronal MPR",
        series_number=3,
        instance_count=60,
        score=conversion.SeriesScore(
            score=6,
            reasons=[
                reason("NOT_AXIAL", -10, "Coronal slices."),
                reason("NOT_SELECTED", 0, "Another CT series of the study suits better."),
            ],
        ),
        refusals=[
            measurement_pb2.Refusal(code="NOT_AXIAL", text="The model reads axial series only.")
        ],
    )


def reason(code: str, points: float, text: str) -> conversion.ScoreReason:
    return conversion.ScoreReason(code=code, points=points, text=text)
