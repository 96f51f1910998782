"""Uploads over HTTP: what comes in, and what is refused."""

from __future__ import annotations

import zlib

import pytest

from gateway.upload.http import PATH
from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.intake.v1 import intake_service_pb2 as pb
from tests.gateway.upload.archives import claiming, dicomdir, with_link, zipped
from tests.gateway.upload.conftest import BODY, TUS, Serve, as_text, everything_under
from tests.gateway.upload.made_files import ct


async def test_a_file_in_pieces_becomes_an_instance(serve: Serve) -> None:
    client = await serve()
    data = ct(size=256)

    document = await client.upload(data, piece=30_000)

    assert (document["stored"], document["duplicates"], document["refused"]) == (1, 0, [])
    [instance] = client.gateway.intake.instances
    assert instance.source.door == pb.DOOR_UPLOAD
    assert [closed.released for closed in client.gateway.intake.closed] == [True]
    assert not list(client.folder.rglob("data"))
    assert [entry.method for entry in client.trail.entries] == ["/gateway.upload/Create"]


async def test_a_small_file_goes_up_in_one_request(serve: Serve) -> None:
    client = await serve()
    data = ct()
    headers = client.headers(Upload_Length=str(len(data))) | BODY

    async with client.session.post(PATH, data=data, headers=headers) as answer:
        assert answer.status == 201
        assert answer.headers["Upload-Offset"] == str(len(data))
        document = await client.done(answer.headers["Location"])

    assert document["stored"] == 1


async def test_the_same_file_again_is_a_duplicate(serve: Serve) -> None:
    client = await serve()
    data = ct()
    await client.upload(data)

    document = await client.upload(b"X" * 128 + data[128:])

    assert (document["stored"], document["duplicates"]) == (0, 1)


async def test_an_archive_is_taken_apart_and_what_is_not_dicom_is_told(serve: Serve) -> None:
    client = await serve()
    broken = ct(3)[:-50]
    archive = zipped(
        {
            "DICOMDIR": dicomdir(["A", "1"], ["A", "9"], ["..", "..", "etc", "passwd"]),
            "A/1": ct(1),
            "A/2": ct(2),
            "../../A/../../evil": ct(4),
            "/etc/absolute": ct(5),
            "readme.txt": b"hello",
            "broken": broken,
            "nested.zip": zipped({"x": b"y"}),
            "folder/": b"",
        }
    )

    document = await client.upload(archive)

    assert document["stored"] == 4
    assert document["skipped"] == [
        {"place": 1, "reason": "a DICOMDIR"},
        {"place": 6, "reason": "no DICOM file"},
    ]
    assert [refused["place"] for refused in document["refused"]] == [7, 8]
    assert document["refused"][1]["reason"] == "an archive within the archive"
    references = ("references", "references_refused", "references_missing")
    assert [document[name] for name in references] == [3, 1, 1]
    assert "evil" not in as_text(document)
    assert not [name for name in everything_under(client.folder.parent) if "evil" in name]


async def test_a_link_in_an_archive_is_not_followed(serve: Serve) -> None:
    client = await serve()

    document = await client.upload(with_link("a", "/etc/passwd"))

    assert document["refused"] == [{"place": 1, "reason": "a link or device"}]


async def test_a_forged_archive_is_refused_as_a_whole_or_by_entry(serve: Serve) -> None:
    client = await serve(max_inflated_bytes=1 << 20)

    whole = await client.upload(claiming(b"a", 2 << 20))
    entry = await client.upload(claiming(ct(), 20))

    assert whole["failure"] == "too large when inflated"
    assert [refused["reason"] for refused in entry["refused"]] == [
        "an entry is larger than it claims"
    ]
    assert client.gateway.intake.rows == {}


async def test_a_wrong_offset_is_a_conflict_and_changes_nothing(serve: Serve) -> None:
    client = await serve()
    address = await client.create(100)

    status, _ = await client.append(address, 10, b"x")

    assert status == 409
    assert await client.offset(address) == 0


async def test_more_than_was_announced_is_refused(serve: Serve) -> None:
    client = await serve()
    address = await client.create(10)

    status, _ = await client.append(address, 0, bytes(11))

    assert status == 413
    assert await client.offset(address) <= 10


async def test_a_packed_body_is_not_unpacked(serve: Serve) -> None:
    client = await serve()
    address = await client.create(1 << 20)
    headers = client.headers(Upload_Offset="0", Content_Encoding="gzip") | BODY

    async with client.session.patch(
        address, data=zlib.compress(bytes(1 << 20)), headers=headers
    ) as answer:
        assert answer.status == 415

    assert await client.offset(address) == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"Upload-Length": "0"}, 400),
        ({"Upload-Length": "-5"}, 400),
        ({"Upload-Length": "9" * 30}, 400),
        ({"Upload-Length": "٣"}, 400),
        ({"Upload-Defer-Length": "1"}, 400),
        ({"Upload-Length": "1001"}, 413),
        ({"Upload-Length": "5", "Tus-Resumable": "0.2.0"}, 412),
    ],
)
async def test_a_creation_that_is_not_well_formed_is_refused(
    serve: Serve, headers: dict[str, str], status: int
) -> None:
    client = await serve(max_bytes=1000)

    async with client.session.post(PATH, headers=client.headers() | headers) as answer:
        assert answer.status == status
        assert answer.content_type == "application/problem+json"


async def test_only_so_many_uploads_are_open(serve: Serve) -> None:
    client = await serve(max_open_per_caller=2)
    first = await client.create(10)
    await client.create(10)
    headers = client.headers(Upload_Length="10")

    async with client.session.post(PATH, headers=headers) as answer:
        assert answer.status == 429
    async with client.session.delete(first, headers=client.headers()) as answer:
        assert answer.status == 204
    await client.create(10)


async def test_a_stranger_neither_uploads_nor_sees_what_others_do(serve: Serve) -> None:
    client = await serve()
    address = await client.create(10)
    other = client.tokens.mint(Permission.PERMISSION_ARCHIVE_WRITE, subject="bob")
    reader = client.tokens.mint(Permission.PERMISSION_ARCHIVE_READ, subject="eve")
    tokens = {"": 401, "nonsense": 401, reader: 403, other: 404}

    for token, status in tokens.items():
        headers = TUS | ({"Authorization": f"Bearer {token}"} if token else {})
        for method in ("HEAD", "GET", "DELETE", "PATCH"):
            more = BODY | {"Upload-Offset": "0"} if method == "PATCH" else {}
            async with client.session.request(method, address, headers=headers | more) as answer:
                assert answer.status == status

    assert await client.offset(address) == 0
    assert len(client.trail.denied) == 12


async def test_a_foreign_page_cannot_use_a_persons_cookie(serve: Serve) -> None:
    client = await serve()
    cookie = {"Cookie": f"heimdallr_session={client.token}", "Upload-Length": "10", **TUS}

    async with client.session.post(PATH, headers=cookie) as answer:
        assert answer.status == 201
    async with client.session.post(PATH, headers=cookie | {"Origin": "http://evil"}) as answer:
        assert answer.status == 403


async def test_the_list_holds_ones_own_uploads(serve: Serve) -> None:
    client = await serve()
    await client.upload(ct())
    address = await client.create(10)

    async with client.session.get(PATH, headers=client.headers()) as answer:
        uploads = (await answer.json())["uploads"]

    assert [upload["state"] for upload in uploads] == ["receiving", "done"]
    assert uploads[0]["upload_id"] == address.rpartition("/")[2]


async def test_what_it_speaks_is_told_to_anybody(serve: Serve) -> None:
    client = await serve()

    async with client.session.options(PATH) as answer:
        assert answer.headers["Tus-Version"] == "1.0.0"
        assert "creation" in answer.headers["Tus-Extension"]
