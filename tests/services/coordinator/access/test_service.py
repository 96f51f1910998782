"""Access, called through a real channel with rows in a real PostgreSQL."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from heimdallr.access.v1 import access_service_pb2 as pb
from heimdallr.access.v1 import access_service_pb2_grpc as pb_grpc
from heimdallr.access.v1.permission_pb2 import Permission
from services.coordinator.access.bootstrap import ADMINISTRATOR, bootstrap
from services.coordinator.access.password_hashes import PasswordHashes
from services.coordinator.access.password_store import PasswordStore
from services.coordinator.access.passwords import Passwords
from services.coordinator.access.service import AccessService
from services.coordinator.access.store import AccessStore
from services.runtime.audit import CallRecorder
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.migrate import apply
from services.runtime.permissions import ROLE_PERMISSIONS
from services.runtime.postgres import Pool
from services.runtime.tokens import CallerKind, Verifier
from tests.services.coordinator.access.quick import quick_hasher
from tests.support.mesh import RunningServer, running_server
from tests.support.postgres import pool, postgres_dsn, postgres_server_dsn
from tests.support.tokens import TestTokens
from tests.support.trail import ListTrail

__all__ = ["pool", "postgres_dsn", "postgres_server_dsn"]

pytestmark = pytest.mark.postgres

ADMIN = Permission.PERMISSION_ACCESS_ADMIN
READ = Permission.PERMISSION_ARCHIVE_READ
SELF = Permission.PERMISSION_ACCESS_SELF
Stub = Any


@pytest.fixture
async def store(pool: Pool) -> AccessStore:
    await apply(pool, ["services.coordinator.access"])
    return AccessStore(pool)


@pytest.fixture
async def server(store: AccessStore, pool: Pool, tmp_path: Path) -> AsyncIterator[RunningServer]:
    passwords = Passwords(PasswordStore(pool), PasswordHashes(quick_hasher()))
    service = AccessService(
        store, passwords, TestTokens.create(tmp_path).issuer, CallRecorder(ListTrail(), "tested")
    )

    def add(target: grpc.aio.Server) -> None:
        pb_grpc.add_AccessServiceServicer_to_server(service, target)

    async with running_server(tmp_path, add) as running:
        yield running


@pytest.fixture
def admin(server: RunningServer) -> Stub:
    return pb_grpc.AccessServiceStub(server.channel(ADMIN, READ, subject="operator"))


def bearer(server: RunningServer, token: str) -> Stub:
    return pb_grpc.AccessServiceStub(server.bearer_channel(token))


async def refused(call: Any) -> ServiceCallError:
    with pytest.raises(ServiceCallError) as caught, typed_errors():
        await call
    return caught.value


async def signed_in(
    server: RunningServer, admin: Stub, name: str, *roles: pb.Role.ValueType
) -> pb.SignInResponse:
    made = await admin.CreateUser(pb.CreateUserRequest(name=name, roles=roles))
    response: pb.SignInResponse
    response = await bearer(server, made.sign_in_token.token).SignIn(pb.SignInRequest())
    return response


async def test_a_person_signs_in_and_gets_the_permissions_of_their_roles(
    server: RunningServer, admin: Stub
) -> None:
    response = await signed_in(server, admin, "anna", pb.ROLE_TECHNICIAN)

    caller = Verifier(server.tokens.jwks_file).verify(response.token.token)
    assert response.user.name == "anna"
    assert (caller.subject, caller.kind) == (response.user.user_id, CallerKind.PERSON)
    assert caller.permissions == ROLE_PERMISSIONS[pb.ROLE_TECHNICIAN]
    assert caller.expire_time - datetime.now(UTC) <= timedelta(hours=12)
    given = response.token.expire_time.ToDatetime(UTC)
    assert abs(given - caller.expire_time) <= timedelta(seconds=1)


async def test_a_sign_in_token_works_once(server: RunningServer, admin: Stub) -> None:
    made = await admin.CreateUser(pb.CreateUserRequest(name="anna", roles=[pb.ROLE_VIEWER]))
    stub = bearer(server, made.sign_in_token.token)
    await stub.SignIn(pb.SignInRequest())

    error = await refused(stub.SignIn(pb.SignInRequest()))

    assert (error.code, error.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "ERROR_REASON_SIGN_IN_USED",
    )


async def test_of_many_at_once_one_signs_in(server: RunningServer, admin: Stub) -> None:
    made = await admin.CreateUser(pb.CreateUserRequest(name="anna", roles=[pb.ROLE_VIEWER]))
    stub = bearer(server, made.sign_in_token.token)

    outcomes = await asyncio.gather(
        *(stub.SignIn(pb.SignInRequest()) for _ in range(5)), return_exceptions=True
    )

    assert sum(isinstance(outcome, pb.SignInResponse) for outcome in outcomes) == 1


async def test_a_sign_in_token_does_nothing_else(server: RunningServer, admin: Stub) -> None:
    made = await admin.CreateUser(pb.CreateUserRequest(name="anna", roles=[pb.ROLE_ADMINISTRATOR]))

    error = await refused(
        bearer(server, made.sign_in_token.token).RenewToken(pb.RenewTokenRequest())
    )

    assert error.code is grpc.StatusCode.PERMISSION_DENIED


async def test_a_disabled_person_neither_signs_in_nor_renews(
    server: RunningServer, admin: Stub
) -> None:
    session = await signed_in(server, admin, "anna", pb.ROLE_VIEWER)
    made = await admin.CreateUser(pb.CreateUserRequest(name="bert", roles=[pb.ROLE_VIEWER]))
    for user in (session.user, made.user):
        await admin.UpdateUser(
            pb.UpdateUserRequest(user_id=user.user_id, roles=user.roles, enabled=False)
        )

    renewing = await refused(bearer(server, session.token.token).RenewToken(pb.RenewTokenRequest()))
    signing_in = await refused(bearer(server, made.sign_in_token.token).SignIn(pb.SignInRequest()))

    assert renewing.reason == signing_in.reason == "ERROR_REASON_USER_NOT_FOUND"


async def test_a_renewed_token_has_the_roles_of_today(server: RunningServer, admin: Stub) -> None:
    session = await signed_in(server, admin, "anna", pb.ROLE_ADMINISTRATOR)
    await admin.UpdateUser(
        pb.UpdateUserRequest(user_id=session.user.user_id, roles=[pb.ROLE_VIEWER], enabled=True)
    )

    renewed = await bearer(server, session.token.token).RenewToken(pb.RenewTokenRequest())

    caller = Verifier(server.tokens.jwks_file).verify(renewed.token.token)
    assert caller.permissions == ROLE_PERMISSIONS[pb.ROLE_VIEWER]


async def test_a_client_is_no_person_and_cannot_renew(server: RunningServer) -> None:
    token = server.tokens.mint(SELF, subject="pacs", kind=CallerKind.CLIENT)

    error = await refused(bearer(server, token).RenewToken(pb.RenewTokenRequest()))

    assert error.reason == "ERROR_REASON_USER_NOT_FOUND"


async def test_a_caller_is_told_who_they_are(server: RunningServer) -> None:
    stub: Stub = pb_grpc.AccessServiceStub(server.channel(SELF, READ, subject="me"))

    answer = await stub.GetCaller(pb.GetCallerRequest())

    assert answer.subject == "me"
    assert list(answer.permissions) == [READ, SELF]
    assert 0 not in answer.audited_actions
    assert 1 not in answer.audited_actions
    assert len(answer.audited_actions) > 10


async def test_a_client_gets_what_the_caller_may_give(server: RunningServer, admin: Stub) -> None:
    answer = await admin.IssueToken(
        pb.IssueTokenRequest(client_name="pacs-1", permissions=[READ], lifetime_seconds=120)
    )

    caller = Verifier(server.tokens.jwks_file).verify(answer.token.token)
    assert (caller.subject, caller.kind) == ("pacs-1", CallerKind.CLIENT)
    assert caller.permissions == {READ}
    assert timedelta(seconds=100) < caller.expire_time - datetime.now(UTC) <= timedelta(seconds=120)


async def test_nobody_gives_what_they_do_not_have(admin: Stub) -> None:
    for permission in (Permission.PERMISSION_AUDIT_WRITE, Permission.PERMISSION_ACCESS_SIGN_IN):
        error = await refused(
            admin.IssueToken(
                pb.IssueTokenRequest(client_name="pacs", permissions=[READ, permission])
            )
        )

        assert error.code is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"client_name": ""}, "client_name"),
        ({"client_name": "Å"}, "client_name"),
        ({"client_name": "x" * 65}, "client_name"),
        ({"client_name": "gateway"}, "client_name"),
        ({"client_name": "01890a5d-ac96-774b-bcce-b302099a8057"}, "client_name"),
        ({"permissions": []}, "permissions"),
        ({"permissions": [0]}, "permissions"),
        ({"permissions": [999]}, "permissions"),
        ({"lifetime_seconds": 59}, "lifetime_seconds"),
        ({"lifetime_seconds": 31_536_001}, "lifetime_seconds"),
        ({"lifetime_seconds": -1}, "lifetime_seconds"),
    ],
    ids=str,
)
async def test_a_malformed_wish_for_a_token_is_refused(
    admin: Stub, changes: dict[str, Any], field: str
) -> None:
    values = {"client_name": "pacs", "permissions": [READ]} | changes

    error = await refused(admin.IssueToken(pb.IssueTokenRequest(**values)))

    assert (error.code, error.metadata.get("field")) == (grpc.StatusCode.INVALID_ARGUMENT, field)


@pytest.mark.parametrize(
    ("name", "roles", "field"),
    [
        ("", [pb.ROLE_VIEWER], "name"),
        ("Anna", [pb.ROLE_VIEWER], "name"),
        ("a b", [pb.ROLE_VIEWER], "name"),
        ("a\0", [pb.ROLE_VIEWER], "name"),
        ("anna", [], "roles"),
        ("anna", [pb.ROLE_UNSPECIFIED], "roles"),
        ("anna", [pb.ROLE_VIEWER, 99], "roles"),
    ],
)
async def test_a_malformed_user_is_refused(
    admin: Stub, name: str, roles: list[pb.Role.ValueType], field: str
) -> None:
    error = await refused(admin.CreateUser(pb.CreateUserRequest(name=name, roles=roles)))

    assert (error.code, error.metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, field)


async def test_a_name_is_taken_once(admin: Stub) -> None:
    request = pb.CreateUserRequest(name="anna", roles=[pb.ROLE_VIEWER])
    await admin.CreateUser(request)

    error = await refused(admin.CreateUser(request))

    assert error.reason == "ERROR_REASON_USER_EXISTS"


@pytest.mark.parametrize("user_id", ["", "x", "01890a5d-ac96-774b-bcce-b302099a8057", "DOE^JOHN"])
async def test_an_unknown_user_is_not_found(admin: Stub, user_id: str) -> None:
    error = await refused(
        admin.UpdateUser(pb.UpdateUserRequest(user_id=user_id, roles=[pb.ROLE_VIEWER]))
    )

    assert error.reason == "ERROR_REASON_USER_NOT_FOUND"
    assert "DOE" not in error.text + str(error.metadata)


async def test_people_are_listed_by_name_in_pages(admin: Stub) -> None:
    for name in ("carl", "anna", "bert"):
        roles = [pb.ROLE_RADIOLOGIST, pb.ROLE_VIEWER]
        await admin.CreateUser(pb.CreateUserRequest(name=name, roles=roles))

    first = await admin.ListUsers(pb.ListUsersRequest(page_size=2))
    second = await admin.ListUsers(
        pb.ListUsersRequest(page_size=2, page_token=first.next_page_token)
    )

    assert [user.name for user in first.users] == ["anna", "bert"]
    assert [user.name for user in second.users] == ["carl"]
    assert second.next_page_token == ""
    assert list(second.users[0].roles) == [pb.ROLE_VIEWER, pb.ROLE_RADIOLOGIST]
    assert second.users[0].enabled


@pytest.mark.parametrize(("size", "token"), [(501, ""), (-1, ""), (1, "Not a name")])
async def test_a_malformed_page_is_refused(admin: Stub, size: int, token: str) -> None:
    error = await refused(admin.ListUsers(pb.ListUsersRequest(page_size=size, page_token=token)))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_the_first_start_makes_one_administrator(
    server: RunningServer, store: AccessStore, tmp_path: Path
) -> None:
    file = tmp_path / "private" / "sign-in"
    for _ in range(2):
        await bootstrap(store, server.tokens.issuer, file)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    token = file.read_text().strip()
    answer = await bearer(server, token).SignIn(pb.SignInRequest())
    assert answer.user.name == ADMINISTRATOR
    assert list(answer.user.roles) == [pb.ROLE_ADMINISTRATOR]
    assert len(await store.list_users("", 10)) == 1


async def test_after_the_first_sign_in_no_token_is_left(
    server: RunningServer, store: AccessStore, tmp_path: Path
) -> None:
    file = tmp_path / "sign-in"
    await bootstrap(store, server.tokens.issuer, file)
    await bearer(server, file.read_text().strip()).SignIn(pb.SignInRequest())

    await bootstrap(store, server.tokens.issuer, file)

    assert not file.exists()


async def test_where_people_exist_no_administrator_is_made(
    server: RunningServer, store: AccessStore, admin: Stub, tmp_path: Path
) -> None:
    await admin.CreateUser(pb.CreateUserRequest(name="anna", roles=[pb.ROLE_VIEWER]))

    await bootstrap(store, server.tokens.issuer, tmp_path / "sign-in")

    assert not (tmp_path / "sign-in").exists()
    assert [user.name for user in await store.list_users("", 10)] == ["anna"]
