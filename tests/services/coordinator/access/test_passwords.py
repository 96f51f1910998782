"""Signing in by password, through a real channel with rows in a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import grpc
import pytest
from argon2 import PasswordHasher

from heimdallr.access.v1 import access_service_pb2 as pb
from heimdallr.access.v1 import access_service_pb2_grpc as pb_grpc
from heimdallr.access.v1.permission_pb2 import Permission
from services.coordinator.access.password_hashes import PasswordHashes
from services.coordinator.access.password_store import PasswordStore
from services.coordinator.access.passwords import Passwords
from services.coordinator.access.service import AccessService
from services.coordinator.access.store import AccessStore
from services.coordinator.access.user import Role
from services.runtime.audit import CallRecorder
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.errors import LimitExceededError
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

CHECK = Permission.PERMISSION_ACCESS_CHECK_PASSWORD
SELF = Permission.PERMISSION_ACCESS_SELF
GOOD = "correct horse battery"
REFUSED = "ERROR_REASON_SIGN_IN_REFUSED"
LIMITED = "ERROR_REASON_LIMIT_EXCEEDED"


class People:
    """The service, and anna, who has a password."""

    def __init__(
        self, server: RunningServer, store: AccessStore, pool: Pool, trail: ListTrail
    ) -> None:
        self.server = server
        self.trail = trail
        self.store = store
        self.pool = pool
        self.gateway: Any = pb_grpc.AccessServiceStub(server.channel(CHECK, subject="gateway"))
        self.anna_id = ""

    def person(self, user_id: str) -> Any:
        token = self.server.tokens.mint(SELF, subject=user_id, kind=CallerKind.PERSON)
        return pb_grpc.AccessServiceStub(self.server.bearer_channel(token))

    async def sign_in(self, name: str, password: str) -> str:
        """Return "OK" or the reason."""
        request = pb.SignInWithPasswordRequest(name=name, password=password)
        return await outcome(self.gateway.SignInWithPassword(request))

    async def set_password(self, user_id: str, present: str, fresh: str) -> str:
        """Return "OK" or the reason."""
        request = pb.SetPasswordRequest(present_password=present, new_password=fresh)
        return await outcome(self.person(user_id).SetPassword(request))

    async def let_pass(self, name: str, minutes: float) -> None:
        """Put what was counted into the past."""
        await self.pool.execute(
            "UPDATE access.sign_in_attempt SET refused_until = refused_until - $2::interval,"
            " last_attempt_time = last_attempt_time - $2::interval WHERE name = $1",
            name,
            timedelta(minutes=minutes),
        )


async def outcome(call: Any) -> str:
    try:
        with typed_errors():
            await call
    except ServiceCallError as error:
        return error.reason
    return "OK"


@pytest.fixture
async def people(pool: Pool, tmp_path: Path) -> AsyncIterator[People]:
    await apply(pool, ["services.coordinator.access"])
    store = AccessStore(pool)
    passwords = Passwords(PasswordStore(pool), PasswordHashes(quick_hasher()))
    trail = ListTrail()
    recorder = CallRecorder(trail, "tested")
    service = AccessService(store, passwords, TestTokens.create(tmp_path).issuer, recorder)

    def add(target: grpc.aio.Server) -> None:
        pb_grpc.add_AccessServiceServicer_to_server(service, target)

    async with running_server(tmp_path, add) as running:
        made = People(running, store, pool, trail)
        made.anna_id = (await store.create_user("anna", [Role.VIEWER])).user_id
        assert await made.set_password(made.anna_id, "", GOOD) == "OK"
        yield made


async def test_a_password_signs_in_with_the_permissions_of_the_roles(people: People) -> None:
    request = pb.SignInWithPasswordRequest(name="anna", password=GOOD)

    answer = await people.gateway.SignInWithPassword(request)

    caller = Verifier(people.server.tokens.jwks_file).verify(answer.token.token)
    assert (answer.user.name, caller.subject) == ("anna", people.anna_id)
    assert caller.permissions == ROLE_PERMISSIONS[pb.ROLE_VIEWER]
    assert await people.store.user_before_first_sign_in("anna") is None


async def test_a_wrong_name_and_a_wrong_password_are_told_alike(people: People) -> None:
    await people.store.create_user("bert", [Role.VIEWER])
    outcomes = {
        await people.sign_in(name, password)
        for name, password in [
            ("anna", "wrong"),
            ("anna", ""),
            ("anna", "x" * 1025),
            ("bert", ""),
            ("nobody", GOOD),
            ("Not a name\0", GOOD),
        ]
    }

    assert outcomes == {REFUSED}


async def test_a_disabled_person_does_not_sign_in(people: People) -> None:
    await people.store.update_user(people.anna_id, [Role.VIEWER], enabled=False)

    assert await people.sign_in("anna", GOOD) == REFUSED
    assert await people.set_password(people.anna_id, GOOD, "another password") == (
        "ERROR_REASON_USER_NOT_FOUND"
    )


@pytest.mark.parametrize("name", ["anna", "nobody"])
async def test_five_failures_refuse_a_name_for_a_minute_then_longer(
    people: People, name: str
) -> None:
    first = [await people.sign_in(name, "wrong") for _ in range(6)]
    right = await people.sign_in(name, GOOD)
    await people.let_pass(name, 1.1)
    after_a_minute = [await people.sign_in(name, "wrong") for _ in range(2)]
    await people.let_pass(name, 1.1)
    too_soon = await people.sign_in(name, "wrong")

    assert first == [REFUSED] * 5 + [LIMITED]
    assert right == LIMITED
    assert after_a_minute == [REFUSED, LIMITED]
    assert too_soon == LIMITED


async def test_the_time_never_grows_past_a_quarter_of_an_hour(people: People) -> None:
    for _ in range(5):
        await people.sign_in("anna", "wrong")
    for _ in range(8):
        await people.let_pass("anna", 15.1)
        assert await people.sign_in("anna", "wrong") == REFUSED

    await people.let_pass("anna", 15.1)

    assert await people.sign_in("anna", GOOD) == "OK"


async def test_a_success_forgets_the_failures_before_it(people: People) -> None:
    for _ in range(3):
        for _ in range(4):
            assert await people.sign_in("anna", "wrong") == REFUSED
        assert await people.sign_in("anna", GOOD) == "OK"


async def test_guesses_at_the_same_time_are_no_more_than_one_by_one(people: People) -> None:
    outcomes = await asyncio.gather(*(people.sign_in("anna", f"guess {n}") for n in range(20)))

    assert outcomes.count(REFUSED) == 5
    assert outcomes.count(LIMITED) == 15


async def test_names_that_nobody_tried_for_a_day_are_forgotten(people: People) -> None:
    await people.sign_in("nobody", "wrong")
    await people.let_pass("nobody", 24 * 60 + 1)

    await people.sign_in("anna", "wrong")

    names = await people.pool.fetch("SELECT name FROM access.sign_in_attempt")
    assert [row["name"] for row in names] == ["anna"]


async def test_a_password_changes_with_the_present_one_alone(people: People) -> None:
    fresh = "a fresh password"

    assert await people.set_password(people.anna_id, "wrong", fresh) == REFUSED
    assert await people.set_password(people.anna_id, "", fresh) == REFUSED
    assert await people.set_password(people.anna_id, GOOD, fresh) == "OK"
    assert await people.sign_in("anna", GOOD) == REFUSED
    assert await people.sign_in("anna", fresh) == "OK"


async def test_a_change_whose_answer_was_lost_can_be_made_again(people: People) -> None:
    fresh = "a fresh password"

    outcomes = [await people.set_password(people.anna_id, GOOD, fresh) for _ in range(2)]

    assert outcomes == ["OK", "OK"]


async def test_guessing_the_present_password_is_slowed_down_too(people: People) -> None:
    outcomes = [
        await people.set_password(people.anna_id, f"guess {n}", "a fresh password")
        for n in range(6)
    ]

    assert outcomes == [REFUSED] * 5 + [LIMITED]


@pytest.mark.parametrize("fresh", ["", "x" * 11, "x" * 1025, "é" * 513])
async def test_a_password_that_is_too_short_or_too_long_is_refused(
    people: People, fresh: str
) -> None:
    assert await people.set_password(people.anna_id, GOOD, fresh) == "ERROR_REASON_INVALID_FIELD"


async def test_a_service_has_no_password(people: People) -> None:
    stub: Any = pb_grpc.AccessServiceStub(people.server.channel(SELF, subject="gateway"))
    request = pb.SetPasswordRequest(new_password=GOOD)

    assert await outcome(stub.SetPassword(request)) == "ERROR_REASON_USER_NOT_FOUND"


async def test_a_person_is_told_who_they_are_and_whether_they_have_a_password(
    people: People,
) -> None:
    bert = await people.store.create_user("bert", [Role.RADIOLOGIST])

    of_anna = await people.person(people.anna_id).GetCaller(pb.GetCallerRequest())
    of_bert = await people.person(bert.user_id).GetCaller(pb.GetCallerRequest())

    assert (of_anna.user.name, of_anna.has_password) == ("anna", True)
    assert (of_bert.user.name, of_bert.has_password) == ("bert", False)
    assert list(of_bert.user.roles) == [pb.ROLE_RADIOLOGIST]


async def test_the_trail_names_the_person_and_not_only_the_gateway(people: People) -> None:
    await people.sign_in("anna", "wrong")
    before = list(people.trail.entries)
    await people.sign_in("anna", GOOD)

    entry = people.trail.entries[0]
    assert before == []
    assert entry.subject == people.anna_id
    assert entry.method == "/heimdallr.access.v1.AccessService/SignInWithPassword"
    assert people.trail.outcomes[entry.entry_id].code == "OK"


async def test_who_cannot_be_recorded_does_not_sign_in(people: People) -> None:
    people.trail.broken = True

    assert await people.sign_in("anna", GOOD) == "ERROR_REASON_DEPENDENCY_UNAVAILABLE"


async def test_no_password_is_kept_or_recorded(people: People) -> None:
    await people.sign_in("anna", GOOD)

    kept = str(await people.pool.fetch("SELECT * FROM access.password"))
    recorded = f"{people.server.trail.entries}{people.server.trail.outcomes}"
    assert "$argon2id$" in kept
    assert GOOD not in kept + recorded


async def test_an_outdated_hash_is_renewed_at_the_next_sign_in(people: People) -> None:
    before = await people.pool.fetchval("SELECT hash FROM access.password")
    hashes = PasswordHashes()
    passwords = Passwords(PasswordStore(people.pool), hashes)

    await passwords.sign_in("anna", GOOD)

    after = await people.pool.fetchval("SELECT hash FROM access.password")
    assert hashes.is_outdated(before)
    assert "m=65536,t=3,p=1" in after
    assert await people.sign_in("anna", GOOD) == "OK"


class _CountingHasher(PasswordHasher):
    """Notes the parameters of each hash that is checked."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.checked: list[str] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.checked.append(str(hash).rpartition("$")[0].rpartition("$")[0])
        return super().verify(hash, password)


async def test_a_name_that_nobody_has_costs_as_much_as_one_that_somebody_has() -> None:
    hasher = _CountingHasher()
    hashes = PasswordHashes(hasher)
    kept = await hashes.make(GOOD)

    known, unknown = await hashes.fits(kept, "wrong"), await hashes.fits(None, "wrong")

    assert (known, unknown) == (False, False)
    assert len(hasher.checked) == 2
    assert hasher.checked[0] == hasher.checked[1]  # the same memory, passes and lanes


async def test_a_flood_of_passwords_is_bounded() -> None:
    hashes = PasswordHashes(quick_hasher())

    outcomes = await asyncio.gather(
        *(hashes.fits(None, "x") for _ in range(100)), return_exceptions=True
    )

    assert sum(isinstance(one, LimitExceededError) for one in outcomes) == 68
    assert await hashes.fits(await hashes.make("x"), "x")
