"""Sentences of reports with made-up identity planted in them, and the answers.

A sentence is a piece of clinical text with places; what stands in a place must go, what stands
around it must stay. Nothing here knows how text is cleaned.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

CLINICAL: Final = (
    "There is a 12 mm nodule in the right upper lobe, unchanged since the prior study.",
    "No pneumothorax or pleural effusion. Heart size is normal.",
    "Mild degenerative changes of the thoracic spine at T8 and T9.",
    "Large left pleural effusion with compressive atelectasis of the lower lobe.",
    "The liver measures 16.5 cm and shows diffuse fatty infiltration.",
    "No evidence of acute intracranial hemorrhage or mass effect.",
    "Patchy ground glass opacities in both lungs, suspicious for viral pneumonia.",
    "The aorta is tortuous with a diameter of 4.2 cm at the level of the diaphragm.",
    "Disc herniation at L4-L5 with moderate narrowing of the spinal canal.",
    "Bilateral renal calculi, the largest 7 x 5 mm in the left lower pole.",
    "Interval improvement of the consolidation in the left lower lobe.",
    "Endotracheal tube tip 3 cm above the carina; nasogastric tube in the stomach.",
    "White matter lesions are stable and nonspecific.",
    "Sigmoid diverticulosis without signs of acute inflammation.",
    "Two hypodense lesions in segment 7, probably cysts, not enlarged.",
)
ASKED: Final = (
    "{p} was seen for cough and fever.",
    "Clinical information: {p}, shortness of breath for 3 days.",
    "Findings were discussed with {p} by telephone.",
    "History of breast cancer; {p} reports new pain in the left arm.",
    "Comparison with the examination of {p}.",
    "Results were sent to {p} after the study.",
    "Patient of {p}, known to the clinic.",
    "Please call {p} about the nodule.",
)
FAMILIES: Final = (
    *("Kowalczyk", "Oyelaran", "Hradilova", "Vandermeulen", "O'Shaughnessy", "Nguyen", "Ferreira"),
    *("Long", "White", "Small", "Fowler", "Stone", "Hand", "Young", "Wright"),
    *("Ångström", "Großmann", "Çelikkaya", "Łukasiewicz", "Þorsteinsson", "Ștefănescu", "Kőszegi"),
    *("Παπαδόπουλος", "Каренина", "山田", "김", "王", "حسن", "כהן", "สมชาย", "जोशी"),
)
GIVEN: Final = (
    *("Zdenka", "Bartholomew", "Oduya", "Francesca", "Betty", "Robert", "Grace", "Jean-Luc"),
    *("Łukasz", "Þóra", "花子", "민수", "Анна", "Ελένη", "محمد", "דוד", "ณัฐ", "अमित"),
)
TOWNS: Final = ("Springfield", "München", "Lowestoft", "São Carlos", "Wuppertal")


@dataclass
class Person:
    """Somebody who does not exist."""

    family: str
    given: str
    number: str
    birth: tuple[int, int, int]
    phone: str

    @property
    def pn(self) -> str:
        """The name as PS3.5 writes it."""
        return f"{self.family}^{self.given}"


Plant = Callable[[Person], tuple[str, tuple[str, ...]]]


@dataclass
class Planted:
    """A sentence.

    Attributes:
        text: With what was planted.
        secrets: Pieces that must not be found.
        clinical: Words that must stay.
        person: Whom the header names.
    """

    text: str
    secrets: tuple[str, ...]
    clinical: tuple[str, ...]
    person: Person


@dataclass
class Planter:
    """Makes sentences."""

    chance: random.Random = field(default_factory=lambda: random.Random(11))  # noqa: S311

    def sentences(self, count: int) -> Iterator[Planted]:
        """Yield so many."""
        kinds = list(self._kinds().values())
        for number in range(count):
            person = self._person(number)
            before = self.chance.choice(CLINICAL)
            frame = self.chance.choice(ASKED)
            text, secrets = kinds[number % len(kinds)](person)
            around = f"{before} {frame.format(p='')} {self.chance.choice(CLINICAL)}"
            after = around.split(frame.format(p=""))[1].strip()
            whole = f"{before} {frame.format(p=text)} {after}"
            if number % 11 == 0:
                whole, around = whole.upper(), around.upper()
            yield Planted(whole, secrets, tuple(_words(around)), person)

    def kind_names(self) -> list[str]:
        """Return the names of the kinds, in the order in which sentences take them."""
        return list(self._kinds())

    def _person(self, number: int) -> Person:
        birth = (self.chance.randint(1930, 2010), self.chance.randint(1, 12), 28)
        digits = f"{self.chance.randint(10**7, 10**8 - 1)}"
        area, line = self.chance.randint(201, 989), self.chance.randint(1000, 9999)
        return Person(
            FAMILIES[number % len(FAMILIES)],
            self.chance.choice(GIVEN),
            f"MRN{digits}",
            birth,
            f"({area}) 555-{line}",
        )

    def _kinds(self) -> Mapping[str, Plant]:
        kinds: dict[str, Plant] = {
            "family first": lambda p: (f"{p.family}, {p.given}", (p.family, p.given)),
            "given first": lambda p: (f"{p.given} {p.family}", (p.family, p.given)),
            "loud": lambda p: (f"{p.given} {p.family}".upper(), (p.family, p.given)),
            "initial": lambda p: (f"{p.given[0]}. {p.family}", (p.family,)),
            "possessive": lambda p: (f"{p.given}'s mother {p.family}", (p.family, p.given)),
            "read badly": lambda p: (_misread(p.pn), (_misread(p.pn),)),
            "spaced": lambda p: (" ".join(p.family), (" ".join(p.family),)),
            "titled": lambda p: (f"Dr. {self._family()}", (self._last,)),
            "physician": lambda p: (f"Prof. {p.given} {self._family()}, MD", (self._last, p.given)),
            "number": lambda p: (f"{p.given}, MRN {p.number[3:]}", (p.number[3:], p.given)),
            "number alone": lambda p: (p.number, (p.number[3:],)),
            "number in groups": lambda p: (
                f"{p.number[3:5]} {p.number[5:8]} {p.number[8:]}",
                (p.number[5:8],),
            ),
            "phone": lambda p: (f"{p.given} at {p.phone}", (p.phone[-4:], p.given)),
            "international phone": lambda p: (
                f"+49 89 {p.phone[-4:]} 77",
                (p.phone[-4:],),
            ),
            "mail": lambda p: ("zd.kow@mail.example.org", ("zd.kow", "example")),
            "web": lambda p: ("https://pacs.example.org/p?id=7788", ("pacs", "7788")),
            "uid": lambda p: ("1.2.840.113619.2.55.3", ("113619", "2.55.3")),
            "date": lambda p: (f"{p.birth[2]}.{p.birth[1]:02}.{p.birth[0]}", (str(p.birth[0]),)),
            "american date": lambda p: (
                f"{p.birth[1]}/{p.birth[2]}/{p.birth[0]}",
                (str(p.birth[0]), f"{p.birth[1]}/{p.birth[2]}"),
            ),
            "dicom date": lambda p: (_dicom(p), (_dicom(p),)),
            "date in words": lambda p: (f"March {p.birth[2]}, {p.birth[0]}", ("March", "28")),
            "month": lambda p: (f"28 Feb {p.birth[0]}", ("Feb", str(p.birth[0]))),
            "address": lambda p: (
                f"12 Quillback Street, {self.chance.choice(TOWNS)} 80331",
                ("Quillback", "80331", *TOWNS),
            ),
            "german address": lambda p: ("Hopfengasse 17, 80331 München", ("Hopfengasse", "80331")),
            "portuguese address": lambda p: (
                "Rua das Flores 212, São Carlos",
                ("Flores", "212", "Carlos"),
            ),
            "hospital": lambda p: (
                f"St. Brigid General Hospital, {self.chance.choice(TOWNS)}",
                ("Brigid", *TOWNS),
            ),
            "great age": lambda p: ("the 94-year-old woman", ("94",)),
            "room": lambda p: ("the man in room 314, bed 2", ("314",)),
            "accession": lambda p: ("accession number A-77120", ("77120", "A-77")),
            "hidden": lambda p: (_hidden(p.family), (p.family, _hidden(p.family))),
        }
        return kinds

    def _family(self) -> str:
        self._last = self.chance.choice(FAMILIES)
        return self._last


def _dicom(person: Person) -> str:
    year, month, day = person.birth
    return f"{year}{month:02}{day:02}"


def _misread(text: str) -> str:
    return text.translate(str.maketrans("^olS", "4015"))


def _hidden(text: str) -> str:
    # Characters that nobody sees, between each two letters.
    return "\u200b".join(text)


def _words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]{2,}|\d+(?:\.\d+)? ?(?:mm|cm|days)", text)
