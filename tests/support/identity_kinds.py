"""More of the identity corpus: reports, annotations, plans, encodings, charsets, drawn text."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

from tests.support.identity_corpus import Answer, Person, people
from tests.support.instances import ct_instance, part10

_SR: Final = "1.2.840.10008.5.1.4.1.1.88.33"
_STATE: Final = "1.2.840.10008.5.1.4.1.1.11.1"
_STRUCTURES: Final = "1.2.840.10008.5.1.4.1.1.481.3"
_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
# A name that each can write.
_CHARSETS: Final = {
    "ISO_IR 100": "Müllerstätter",
    "ISO_IR 144": "Гагаринова",
    "ISO_IR 126": "Κωνσταντίνου",
    "GB18030": "欧阳小明子",
    "ISO 2022 IR 13\\ISO 2022 IR 87": "ﾔﾏﾀﾞﾀﾛｳ",
}
_ENCODINGS: Final = (ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


def make_kinds(folder: Path, patients: int = 12, seed: int = 3) -> list[Answer]:
    """Write objects of every kind into a folder and return the answers."""
    return [
        answer
        for number, person in enumerate(people(patients, seed))
        for answer in _kinds(folder, person, f"{number:02}")
    ]


def _kinds(folder: Path, person: Person, name: str) -> Iterator[Answer]:
    """Write one object of each kind about a person, and yield the answers."""
    study, image = generate_uid(), generate_uid()
    for kind, make in (("sr", _report), ("pr", _state), ("rt", _structures)):
        dataset = _about(person, study)
        del dataset.PixelData, dataset.Rows, dataset.Columns
        file = f"{name}-{kind}.dcm"
        answers = list(make(dataset, person, image, file))
        (folder / file).write_bytes(part10(dataset))
        yield from (*answers, *_always(dataset, person, file))
    yield from _encodings(folder, person, study, name)
    yield from _charsets(folder, person, study, name)
    yield from _drawn(folder, person, study, name)


def _about(person: Person, study: str) -> Dataset:
    dataset = ct_instance(study_uid=study, size=16)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = f"{person.family}^{person.given}"
    dataset.PatientID, dataset.PatientBirthDate = person.patient_id, person.birth_date
    dataset.PatientAddress, dataset.PatientTelephoneNumbers = person.street, person.phone
    dataset.ReferringPhysicianName = f"{person.physician}^ANNE"
    dataset.StudyDate = dataset.ContentDate = "20200105"
    return dataset


def _always(dataset: Dataset, person: Person, file: str) -> Iterator[Answer]:
    yield from (Answer(file, "text_removed", "", secret) for secret in person.secrets)
    yield Answer(file, "tag_retained", "SOPClassUID", str(dataset.SOPClassUID))
    yield Answer(file, "date_shifted", "StudyDate", person.patient_id)
    yield Answer(file, "patid_consistent", "PatientID", person.patient_id)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        yield Answer(file, "uid_changed", keyword, "")
        yield Answer(file, "uid_consistent", keyword, "")


def _code(value: str, meaning: str, scheme: str = "DCM") -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])


def _item(kind: str, concept: str, **values: object) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", kind
    item.ConceptNameCodeSequence = _code(concept, "A concept")
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _reference(dataset: Dataset, image: str) -> Sequence:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = dataset.SOPClassUID, image
    return Sequence([item])


def _report(dataset: Dataset, person: Person, image: str, file: str) -> Iterator[Answer]:
    number = Dataset()
    number.NumericValue, number.MeasurementUnitsCodeSequence = "41.5", _code("mm", "mm", "UCUM")
    finding = f"Nodule in left lung of {person.given} {person.family}, call {person.phone}"
    inner = _item("CONTAINER", "121070")
    inner.ContentSequence = Sequence([_item("TEXT", "121071", TextValue=finding)])
    references = _reference(dataset, image)
    dataset.SOPClassUID, dataset.Modality, dataset.ValueType = UID(_SR), "SR", "CONTAINER"
    dataset.ConceptNameCodeSequence = _code("126000", "Imaging Measurement Report")
    dataset.ContentSequence = Sequence(
        [
            inner,
            _item("PNAME", "121008", PersonName=f"{person.physician}^ANNE"),
            _item("TEXT", "121029", TextValue=person.patient_id),
            _item("NUM", "112031", MeasuredValueSequence=Sequence([number])),
            _item("DATE", "111060", Date="20200105"),
            _item("UIDREF", "112040", UID=image),
            _item("IMAGE", "121112", ReferencedSOPSequence=references),
            _item("CODE", "121071", ConceptCodeSequence=_code("X", f"of {person.family}", "99X")),
        ]
    )
    at = "ContentSequence"
    for word in ("Nodule", "left", "lung"):
        yield Answer(file, "text_retained", f"{at}/{at}/TextValue", word)
    yield Answer(file, "text_notnull", f"{at}[1]/PersonName", "")
    yield Answer(file, "tag_retained", f"{at}[3]/MeasuredValueSequence/NumericValue", "41.5")
    yield Answer(file, "tag_retained", f"{at}[3]/ConceptNameCodeSequence/CodeValue", "112031")
    yield Answer(file, "date_shifted", f"{at}[4]/Date", person.patient_id)
    for place in (f"{at}[5]/UID", f"{at}[6]/ReferencedSOPSequence/ReferencedSOPInstanceUID"):
        yield Answer(file, "uid_changed", place, "")
        yield Answer(file, "uid_consistent", place, "")


def _state(dataset: Dataset, person: Person, image: str, file: str) -> Iterator[Answer]:
    text, circle, annotation = Dataset(), Dataset(), Dataset()
    text.UnformattedTextValue = f"left lung {person.family}"
    circle.GraphicType, circle.NumberOfGraphicPoints, circle.GraphicDimensions = "CIRCLE", 2, 2
    circle.GraphicData = [1.0, 2.0, 3.0, 4.0]
    annotation.GraphicLayer = "ONE"
    annotation.TextObjectSequence = Sequence([text])
    annotation.GraphicObjectSequence = Sequence([circle])
    annotation.ReferencedImageSequence = _reference(dataset, image)
    dataset.SOPClassUID, dataset.Modality = UID(_STATE), "PR"
    dataset.ContentCreatorName = f"{person.physician}^ANNE"
    dataset.GraphicAnnotationSequence = Sequence([annotation])
    at = "GraphicAnnotationSequence"
    yield Answer(file, "text_retained", f"{at}/TextObjectSequence/UnformattedTextValue", "lung")
    yield Answer(
        file, "tag_retained", f"{at}/GraphicObjectSequence/GraphicData", "[1.0, 2.0, 3.0, 4.0]"
    )
    yield Answer(
        file, "uid_consistent", f"{at}/ReferencedImageSequence/ReferencedSOPInstanceUID", ""
    )


def _structures(dataset: Dataset, person: Person, image: str, file: str) -> Iterator[Answer]:
    region, contour, outline = Dataset(), Dataset(), Dataset()
    region.ROINumber, region.ROIName = 1, f"LUNG LEFT {person.family}"
    region.ReferencedFrameOfReferenceUID = image
    contour.ContourGeometricType, contour.NumberOfContourPoints = "POINT", 1
    contour.ContourData = ["1.5", "2.5", "3.5"]
    contour.ContourImageSequence = _reference(dataset, image)
    outline.ReferencedROINumber, outline.ContourSequence = 1, Sequence([contour])
    dataset.SOPClassUID, dataset.Modality = UID(_STRUCTURES), "RTSTRUCT"
    dataset.StructureSetLabel = f"plan of {person.given}"[:16]
    dataset.StructureSetROISequence = Sequence([region])
    dataset.ROIContourSequence = Sequence([outline])
    at = "ROIContourSequence/ContourSequence"
    yield Answer(file, "text_retained", "StructureSetROISequence/ROIName", "LUNG")
    yield Answer(file, "tag_retained", f"{at}/ContourData", "[1.5, 2.5, 3.5]")
    yield Answer(file, "uid_consistent", f"{at}/ContourImageSequence/ReferencedSOPInstanceUID", "")


def _encodings(folder: Path, person: Person, study: str, name: str) -> Iterator[Answer]:
    """The same in other transfer syntaxes, with identity in private sequences and unknown VRs."""
    for number, syntax in enumerate(_ENCODINGS):
        dataset = _about(person, study)
        nested = Dataset()
        nested.PatientName = f"{person.family}^{person.given}"
        block = dataset.private_block(0x0019, "NESTED PLACE", create=True)
        block.add_new(0x01, "SQ", Sequence([nested]))
        block.add_new(0x02, "UN", person.patient_id.encode().ljust(12, b" "))
        dataset.ensure_file_meta()
        dataset.file_meta.TransferSyntaxUID = syntax
        buffer = BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        file = f"{name}-encoding{number}.dcm"
        (folder / file).write_bytes(buffer.getvalue())
        yield from _always(dataset, person, file)
        yield Answer(file, "pixels_retained", "PixelData", "")


def _charsets(folder: Path, person: Person, study: str, name: str) -> Iterator[Answer]:
    """Names in the character sets of the world, said again where nobody looks."""
    for number, (terms, family) in enumerate(_CHARSETS.items()):
        dataset = _about(person, study)
        dataset.SpecificCharacterSet = terms.split("\\")
        del dataset.PatientAddress
        dataset.PatientName = family
        dataset.ProtocolName = f"Chest {family}"
        file = f"{name}-charset{number}.dcm"
        (folder / file).write_bytes(part10(dataset))
        yield Answer(file, "text_removed", "", family)
        yield Answer(file, "text_retained", "ProtocolName", "Chest")
        yield Answer(file, "patid_consistent", "PatientID", person.patient_id)


def _drawn(folder: Path, person: Person, study: str, name: str) -> Iterator[Answer]:
    """A secondary capture with the patient's number written into its pixels."""
    dataset = _about(person, study)
    dataset.SOPClassUID, dataset.Modality = UID(_CAPTURE), "OT"
    dataset.ConversionType, dataset.BurnedInAnnotation = "WSD", "YES"
    picture = Image.new("L", (384, 192), 20)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=26)
    pen.text((40, 60), person.patient_id, fill=255, font=font)
    left, top, right, bottom = map(int, pen.textbbox((40, 60), person.patient_id, font=font))
    dataset.Rows, dataset.Columns = picture.height, picture.width
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelData = picture.tobytes()
    dataset["PixelData"].VR = "OB"
    file = f"{name}-drawn.dcm"
    (folder / file).write_bytes(part10(dataset))
    yield Answer(file, "pixels_hidden", "PixelData", f"{left},{top},{right - left},{bottom - top}")
    yield from (Answer(file, "text_removed", "", secret) for secret in person.secrets)
