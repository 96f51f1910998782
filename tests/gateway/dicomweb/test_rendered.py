"""WADO-RS: pictures."""

from __future__ import annotations

import asyncio
import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.gateway.dicomweb.conftest import Dicomweb, path_of
from tests.gateway.dicomweb.retrieving import sent
from tests.support.instances import ct_instance


@pytest.mark.parametrize(
    ("accept", "kind", "form"),
    [
        ("", "image/jpeg", "JPEG"),
        ("image/png", "image/png", "PNG"),
        ("image/*", "image/jpeg", "JPEG"),
    ],
)
async def test_a_picture_comes_as_it_is_wanted(
    dicomweb: Dicomweb, accept: str, kind: str, form: str
) -> None:
    path = await dicomweb.stored(ct_instance(size=100))

    status, answer, body = await dicomweb.get(f"{path}/rendered", Accept=accept)

    picture = Image.open(BytesIO(body))
    assert (status, answer.headers["Content-Type"]) == (200, kind)
    assert (picture.format, picture.size) == (form, (100, 100))


async def test_pictures_have_the_window_and_size_asked_for(dicomweb: Dicomweb) -> None:
    path = await dicomweb.stored(ct_instance(size=100))

    _, _, dark = await dicomweb.get(f"{path}/rendered?window=9000,100&accept=image/png")
    _, _, bright = await dicomweb.get(f"{path}/rendered?window=-9000,100,linear&accept=image/png")
    _, _, small = await dicomweb.get(f"{path}/frames/1/rendered?viewport=30,40")
    _, _, thumbnail = await dicomweb.get(f"{path.partition('/instances')[0]}/thumbnail")

    assert np.asarray(Image.open(BytesIO(dark))).max() == 0
    assert np.asarray(Image.open(BytesIO(bright))).min() == 255
    assert Image.open(BytesIO(small)).size == (30, 30)
    assert Image.open(BytesIO(thumbnail)).size == (256, 256)


async def test_a_picture_is_made_once(dicomweb: Dicomweb) -> None:
    path = await dicomweb.stored(ct_instance())
    _, _, first = await dicomweb.get(f"{path}/rendered")
    stored = dicomweb.index.received.popitem()[1].staged.ref
    await dicomweb.blobs.delete(stored)

    _, _, again = await dicomweb.get(f"{path}/rendered")

    assert first == again
    kept = list((dicomweb.folder / "journal/dicomweb-cache").iterdir())
    assert [re.fullmatch("[0-9a-f]{64}", path.name) is not None for path in kept] == [True]
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}


async def test_pictures_are_made_over_one_recorded_stream(dicomweb: Dicomweb) -> None:
    instances = [ct_instance(study_uid="1.2.3", series_uid="1.2.4", number=n) for n in range(6)]
    await dicomweb.stored(*instances)
    plan, _ = await sent(dicomweb, "rtplan.dcm")
    paths = [path_of(instance) for instance in instances]

    answers = await asyncio.gather(
        *[dicomweb.get(f"{path}/rendered") for path in (*paths, plan, *paths)]
    )

    assert [status for status, _, _ in answers] == [200] * 6 + [406] + [200] * 6
    recorded = [e for e in dicomweb.mesh.trail.entries if "ConversionService" in e.method]
    assert [entry.method.rpartition("/")[2] for entry in recorded] == ["RenderFrames"]


@pytest.mark.parametrize(
    "query",
    [
        "window=1",
        "window=1,0",
        "window=1,2,cubic",
        "window=nan,5",
        "window=1,inf",
        "viewport=0,10",
        "viewport=1e9,10",
        "viewport=10",
        "viewport=10,10,-5,0,1,1",
        "quality=0",
        "quality=101",
        "quality=x",
    ],
)
async def test_a_picture_that_breaks_a_rule_is_refused(dicomweb: Dicomweb, query: str) -> None:
    path = await dicomweb.stored(ct_instance())

    status, _, _ = await dicomweb.get(f"{path}/rendered?{query}")

    assert status == 400


async def test_what_has_no_picture_says_so(dicomweb: Dicomweb) -> None:
    path, _ = await sent(dicomweb, "rtplan.dcm")

    rendered, _, _ = await dicomweb.get(f"{path}/rendered")
    frames, _, _ = await dicomweb.get(f"{path}/frames/1")
    octets, _, _ = await dicomweb.get(f"{path}/rendered", Accept="image/gif")

    assert (rendered, frames, octets) == (406, 404, 406)
