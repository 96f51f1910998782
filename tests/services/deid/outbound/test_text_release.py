"""Text that leaves: identity that was planted is gone, clinical words stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from services.deid.outbound.ages import age_band
from services.deid.outbound.cleaning import MARK, cleaned
from services.deid.outbound.known import Known
from services.deid.outbound.residual import what_is_left
from services.deid.outbound.text_release import Field, TextRefusedError, release_text
from tests.services.deid.outbound.planted import Person, Planted, Planter

Figure = Callable[[str], None]
NOBODY = Known.of([], [], [], [])
SENTENCES = 300


def known(person: Person) -> Known:
    year, month, day = person.birth
    return Known.of([person.pn], [person.number], [], [f"{year}{month:02}{day:02}"])


def leaks(sentence: Planted, text: str) -> list[str]:
    folded = text.casefold()
    return [secret for secret in sentence.secrets if secret.casefold() in folded]


def test_nothing_that_was_planted_leaves_and_clinical_words_stay(figure: Figure) -> None:
    planter = Planter()
    leaked: Counter[str] = Counter()
    asked = kept = 0
    for number, sentence in enumerate(planter.sentences(SENTENCES)):
        field = Field("report", sentence.text)
        text = release_text([field], known(sentence.person), 50).fields[0].text
        kind = planter.kind_names()[number % len(planter.kind_names())]
        if leaks(sentence, text):
            leaked[f"{kind}: {sentence.text} -> {text}"] += 1
        there = Counter(word.casefold() for word in sentence.clinical)
        left = Counter({word: text.casefold().count(word) for word in there})
        asked += there.total()
        kept += (there & left).total()

    figure(
        f"text that leaves: identity of {sum(leaked.values())} of {SENTENCES} sentences left, "
        f"{kept / asked:.2%} of {asked} clinical words stayed"
    )
    assert not leaked
    assert kept / asked > 0.97


@pytest.mark.parametrize(
    "text",
    [
        "There is a 12 mm nodule at L4-L5, 3.5 x 2.1 cm; no pneumothorax.",
        "BI-RADS 4A, T2N0M0, grade 2/6 murmur, -120 HU, 30%, 3-4 weeks.",
        "White matter is normal. No 5 mm stone. Pain for 2 years at 3 o'clock.",
        "CT OF THE CHEST WITHOUT CONTRAST: NO ACUTE DISEASE.",
    ],
)
def test_what_names_nobody_stays_as_it_is(text: str) -> None:
    assert cleaned(text, NOBODY).text == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("67-year-old woman", "60-69-year-old woman"),
        ("aged 94, cough", "aged 90+, cough"),
        ("18-month-old boy", "0-9-month-old boy"),
        ("67M with pain", "60-69 M with pain"),
    ],
)
def test_an_age_leaves_as_a_band(text: str, expected: str) -> None:
    assert cleaned(text, NOBODY).text == expected


@pytest.mark.parametrize(
    ("years", "band"), [(-1, ""), (0, "0-9"), (60, "60-69"), (89, "80-89"), (90, "90+")]
)
def test_bands_are_of_ten_years(years: int, band: str) -> None:
    assert age_band(years) == band


def test_what_is_gone_leaves_a_mark() -> None:
    found = cleaned("Seen by Dr. White of Lowestoft, small mass.", NOBODY)

    assert found.text == f"Seen by {MARK} of {MARK}, small mass."
    assert found.removed_count == 3


def test_a_name_that_is_a_word_of_medicine_goes_too() -> None:
    patient = Known.of(["LUNG^MASS"], [], [], [])

    text = cleaned("A mass of the lung; lung's apex is clear.", patient).text

    assert "lung" not in text.lower()
    assert "mass" not in text.lower()


def test_a_text_that_would_say_the_opposite_is_refused() -> None:
    patient = Known.of(["NO^HYUN"], [], [], [])

    with pytest.raises(TextRefusedError) as caught:
        release_text([Field("impression", "No fracture.")], patient, -1)

    assert caught.value.field == "impression"
    assert "opposite" in caught.value.rule


def test_a_name_of_a_field_is_no_way_out() -> None:
    patient = Known.of(["KOWALCZYK^ZDENKA"], [], [], [])

    with pytest.raises(TextRefusedError) as caught:
        release_text([Field("report_kowalczyk", "Clear.")], patient, -1)

    assert "kowalczyk" not in str(caught.value).lower()


@pytest.mark.parametrize(
    "text",
    [
        "seen by kowalczyk",
        "kowal czyk",
        "k o w a l c z y k",
        "K0walczyk",
        "write to a@b.c",
        "call 5551234",
        "1.2.840.1",
        "on 12.03.1954",
        "山田",
    ],
)
def test_the_second_look_finds_what_the_first_left(text: str) -> None:
    patient = Known.of(["KOWALCZYK^ZDENKA"], [], [], [])

    assert what_is_left(text, patient)
    assert not what_is_left("No acute disease of the chest.", patient)


@pytest.mark.parametrize(
    "piece", ["a", "1 ", "1.", "x at ", "Ab ", "one ", "/a", "(", "a:", " ", "-"]
)
def test_a_text_that_is_made_to_cost_is_cleaned_like_any_other(piece: str) -> None:
    patient = Known.of(["KOWALCZYK^ZDENKA"], ["7788"], [], [])
    text = (piece * 20_000)[:19_900] + " Kowalczyk. No fracture."

    left = cleaned(text, patient).text

    assert "Kowalczyk" not in left
    assert left.endswith("No fracture.")


def test_a_word_without_end_goes() -> None:
    found = cleaned("Cough " + "lung" * 40 + " fever.", NOBODY)

    assert found.text == f"Cough  {MARK}  fever."
