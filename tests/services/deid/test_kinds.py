"""Objects that are more than a header and pixels: reports, annotations, plans, signals."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from services.deid.deidentify import Deidentifier
from services.deid.errors import DeidRefusedError
from services.deid.profile.options import options_of
from services.deid.profile.treatment import Treatment
from services.deid.pseudonyms import Pseudonyms
from services.deid.rewrite import Step
from services.dicom.part10 import file_meta
from tests.services.deid.conftest import KEY
from tests.support.instances import encoded, part10

Deidentified = Callable[..., Dataset]
COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
GRAYSCALE_STATE = "1.2.840.10008.5.1.4.1.1.11.1"
RT_STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"
ECG = "1.2.840.10008.5.1.4.1.1.9.1.1"
SECRET = "KANARIENVOGEL"


def code(value: str, scheme: str = "DCM", meaning: str = "a concept") -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])


def content(value_type: str, concept: str, **values: object) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", value_type
    item.ConceptNameCodeSequence = code(concept)
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def number(value: str, unit: str) -> Sequence:
    item = Dataset()
    item.NumericValue, item.MeasurementUnitsCodeSequence = value, code(unit, "UCUM", unit)
    return Sequence([item])


@pytest.fixture
def report(ct: Dataset) -> Dataset:
    """A report whose every statement holds something of the patient."""
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = ct.SOPClassUID, "1.2.3.77"
    nested = content("CONTAINER", "121070", ContinuityOfContent="SEPARATE")
    nested.ContentSequence = Sequence(
        [
            content("TEXT", "121071", TextValue=f"Nodule in the left lung of {SECRET} 2020-01-05"),
            content("TEXT", "121029", TextValue="MRN-7719034"),
        ]
    )
    ct.SOPClassUID, ct.Modality = COMPREHENSIVE_SR, "SR"
    del ct.PixelData, ct.Rows, ct.Columns
    ct.ValueType, ct.ConceptNameCodeSequence = "CONTAINER", code("126000")
    ct.ContentSequence = Sequence(
        [
            nested,
            content("PNAME", "121008", PersonName=f"{SECRET}^DOCTOR"),
            content("NUM", "121033", MeasuredValueSequence=number("93", "a")),
            content("NUM", "112031", MeasuredValueSequence=number("412.5", "mm3")),
            content("CODE", "121032", ConceptCodeSequence=code("F", "DCM", "Female")),
            content("DATE", "121031", Date="19300312"),
            content("DATETIME", "111060", DateTime="20200105101112+0100"),
            content("UIDREF", "112040", UID="1.2.3.88"),
            content("TEXT", "121015", TextValue="Scanner 7"),
            content("IMAGE", "121112", ReferencedSOPSequence=Sequence([image])),
            content("CODE", "121071", ConceptCodeSequence=code("X1", "99HERE", f"ask {SECRET}")),
        ]
    )
    return ct


def concepts(dataset: Dataset) -> Iterator[tuple[str, Dataset]]:
    for item in dataset.get("ContentSequence", ()):
        yield item.ConceptNameCodeSequence[0].CodeValue, item
        yield from concepts(item)


def test_a_report_keeps_its_tree_codes_and_numbers_and_loses_every_text(
    report: Dataset, deidentified: Deidentified
) -> None:
    clean = deidentified(report)

    found = dict(concepts(clean))
    assert [name for name, _ in concepts(clean)] == [name for name, _ in concepts(report)]
    assert found["112031"].MeasuredValueSequence[0].NumericValue == 412.5
    assert found["121029"].TextValue == found["121015"].TextValue == "ANONYMIZED"
    assert found["121008"].PersonName == "ANONYMIZED"
    assert found["121032"].ConceptCodeSequence[0].CodeValue == "121103"
    assert list(found["121033"].MeasuredValueSequence) == []
    assert SECRET not in str(clean)
    assert "MRN-7719034" not in str(clean)


def test_references_of_a_report_follow_the_objects_they_mean(
    report: Dataset, deidentified: Deidentified
) -> None:
    found = dict(concepts(deidentified(report)))
    pseudonyms = Pseudonyms(KEY)

    (image,) = found["121112"].ReferencedSOPSequence
    assert image.ReferencedSOPInstanceUID == pseudonyms.uid("1.2.3.77")
    tracked = found["112040"].UID
    assert tracked == pseudonyms.uid("1.2.3.88")


def test_cleaned_statements_keep_medicine_and_dates_that_moved(
    report: Dataset, deidentified: Deidentified
) -> None:
    clean = deidentified(report, "research", "clean_structured_content")

    found = dict(concepts(clean))
    moved = found["111060"].DateTime
    assert moved.endswith("101112+0100")
    assert moved[:8] != "20200105"
    day = f"{moved[:4]}-{moved[4:6]}-{moved[6:8]}"
    text = clean.ContentSequence[0].ContentSequence[0].TextValue
    assert text == f"Nodule in the left lung of {day}"
    assert found["121031"].Date == "19000101"
    assert found["121033"].MeasuredValueSequence[0].NumericValue == 90
    assert found["121032"].ConceptCodeSequence[0].CodeValue == "F"
    assert found["121015"].TextValue == "Scanner 7"
    assert SECRET not in str(clean)


def test_key_objects_keep_what_they_point_at(report: Dataset, deidentified: Deidentified) -> None:
    report.SOPClassUID, report.Modality = KEY_OBJECTS, "KO"

    clean = deidentified(report)

    assert dict(concepts(clean))["121112"].ReferencedSOPSequence
    assert SECRET not in str(clean)


def annotation(**drawn: Dataset) -> Dataset:
    item = Dataset()
    item.GraphicLayer = "LAYER1"
    for keyword, value in drawn.items():
        setattr(item, keyword, Sequence([value]))
    return item


def text_object(text: str) -> Dataset:
    item = Dataset()
    item.UnformattedTextValue, item.AnchorPoint = text, [1.0, 2.0]
    return item


def graphic(kind: str, points: int) -> Dataset:
    item = Dataset()
    item.GraphicType, item.NumberOfGraphicPoints, item.GraphicDimensions = kind, points, 2
    item.GraphicData = [float(place) for place in range(2 * points)]
    return item


@pytest.fixture
def state(ct: Dataset) -> Dataset:
    """A presentation state with text, a circle, and something written by hand."""
    ct.SOPClassUID, ct.Modality = GRAYSCALE_STATE, "PR"
    del ct.PixelData, ct.Rows, ct.Columns
    ct.GraphicAnnotationSequence = Sequence(
        [
            annotation(TextObjectSequence=text_object(f"{SECRET} left lung")),
            annotation(GraphicObjectSequence=graphic("POLYLINE", 60)),
            annotation(GraphicObjectSequence=graphic("CIRCLE", 2)),
        ]
    )
    return ct


def test_annotations_lose_text_and_what_may_be_writing(
    state: Dataset, deidentified: Deidentified
) -> None:
    written, circle = deidentified(state).GraphicAnnotationSequence

    assert written.TextObjectSequence[0].UnformattedTextValue == "ANONYMIZED"
    assert circle.GraphicObjectSequence[0].GraphicType == "CIRCLE"


def test_cleaned_annotations_keep_medicine(state: Dataset, deidentified: Deidentified) -> None:
    clean = deidentified(state, "basic", "clean_graphics")

    text = clean.GraphicAnnotationSequence[0].TextObjectSequence[0].UnformattedTextValue
    assert text == "left lung"


def test_regions_of_interest_keep_clinical_names_and_references(
    ct: Dataset, deidentified: Deidentified
) -> None:
    ct.SOPClassUID, ct.Modality = RT_STRUCTURES, "RTSTRUCT"
    del ct.PixelData, ct.Rows, ct.Columns
    region = Dataset()
    region.ROINumber, region.ROIName = 1, f"LUNG LEFT {SECRET}"
    region.ReferencedFrameOfReferenceUID = ct.FrameOfReferenceUID = "1.2.3.55"
    ct.StructureSetROISequence = Sequence([region])
    contour = Dataset()
    contour.ContourData = [1.5, 2.5, 3.5]
    contour.ContourGeometricType, contour.NumberOfContourPoints = "POINT", 1
    outline = Dataset()
    outline.ContourSequence, outline.ReferencedROINumber = Sequence([contour]), 1
    ct.ROIContourSequence = Sequence([outline])

    clean, basic = deidentified(ct, "research"), deidentified(ct)

    assert clean.StructureSetROISequence[0].ROIName == "LUNG LEFT"
    assert basic.StructureSetROISequence[0].ROIName == ""
    found = clean.StructureSetROISequence[0].ReferencedFrameOfReferenceUID
    assert found == clean.FrameOfReferenceUID != "1.2.3.55"
    assert clean.ROIContourSequence[0].ContourSequence[0].ContourData == [1.5, 2.5, 3.5]


def test_a_waveform_keeps_its_samples_and_loses_its_notes(
    ct: Dataset, deidentified: Deidentified
) -> None:
    ct.SOPClassUID, ct.Modality = ECG, "ECG"
    del ct.PixelData, ct.Rows, ct.Columns
    group = Dataset()
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.WaveformData = bytes(range(32))
    group["WaveformData"].VR = "OW"
    ct.WaveformSequence = Sequence([group])
    note = Dataset()
    note.UnformattedTextValue = f"{SECRET} was nervous"
    ct.WaveformAnnotationSequence = Sequence([note])

    clean = deidentified(ct)

    assert clean.WaveformSequence[0].WaveformData == bytes(range(32))
    assert clean.WaveformAnnotationSequence[0].UnformattedTextValue == "ANONYMIZED"


def test_codes_of_people_are_replaced_with_their_meaning(
    ct: Dataset, deidentified: Deidentified
) -> None:
    operator = Dataset()
    operator.PersonIdentificationCodeSequence = code("STAFF-77", "99HERE", "Nightingale, F.")
    ct.OperatorIdentificationSequence = Sequence([operator])

    clean = deidentified(ct)

    (person,) = clean.OperatorIdentificationSequence[0].PersonIdentificationCodeSequence
    assert person.CodeValue == person.CodeMeaning == "ANONYMIZED"


@pytest.mark.parametrize(
    ("sop_class", "reason"),
    [
        ("1.2.840.10008.5.1.4.1.1.66", "UNREADABLE_KIND"),  # raw data
        ("1.2.840.10008.5.1.4.1.1.9.4.1", "UNREADABLE_KIND"),  # a voice
        ("1.2.840.10008.5.1.4.1.1.104.2", "ENCAPSULATED_DOCUMENT"),  # CDA
        ("1.2.840.10008.5.1.4.1.1.104.3", "ENCAPSULATED_DOCUMENT"),  # STL
        ("1.2.840.10008.1.3.10", "DICOMDIR"),
        ("1.3.12.2.1107.5.9.1", "UNKNOWN_SOP_CLASS"),  # a vendor's own
    ],
)
def test_kinds_that_nothing_reads_are_refused_with_their_reason(
    ct: Dataset, sop_class: str, reason: str
) -> None:
    ct.SOPClassUID = sop_class

    with pytest.raises(DeidRefusedError) as caught:
        Deidentifier(options_of("basic"), Pseudonyms(KEY)).deidentify(part10(ct))

    assert caught.value.code == reason


def test_a_watcher_is_told_of_every_element_and_changes_nothing(report: Dataset) -> None:
    steps: list[Step] = []
    file = part10(report)

    watched = Deidentifier(options_of("basic"), Pseudonyms(KEY)).deidentify(
        file, observer=steps.append
    )
    alone = Deidentifier(options_of("basic"), Pseudonyms(KEY)).deidentify(file)

    assert watched.sha256 == alone.sha256
    by_path = {step.path: step for step in steps}
    assert by_path[(0x00100010,)].treatment is Treatment.PATIENT
    text = by_path[(0x0040A730, 1, 0x0040A730, 1, 0x0040A160)]
    assert text.changed
    assert SECRET.encode() in bytes(text.before)
    assert not by_path[(0x00080016,)].changed


def test_a_directory_is_refused_by_what_its_file_says_it_is() -> None:
    listed = Dataset()
    listed.FileSetID, listed.DirectoryRecordSequence = "ANYBODY", Sequence([])
    file = file_meta("1.2.840.10008.1.3.10", "1.2.3", ExplicitVRLittleEndian) + encoded(listed)

    with pytest.raises(DeidRefusedError) as caught:
        Deidentifier(options_of("basic"), Pseudonyms(KEY)).deidentify(file)

    assert caught.value.code == "DICOMDIR"
