"""What methods demand and what tokens carry."""

from __future__ import annotations

from itertools import pairwise

import pytest

from heimdallr.access.v1 import access_service_pb2
from heimdallr.access.v1.permission_pb2 import Permission
from services.runtime.permissions import (
    ROLE_PERMISSIONS,
    SERVICE_PERMISSIONS,
    UndeclaredMethodError,
    permissions_of,
    requirement,
    scope,
)
from tests.support.tested_service import path

ADMINISTRATOR = ROLE_PERMISSIONS[access_service_pb2.ROLE_ADMINISTRATOR]
SERVICES_ONLY = {
    Permission.PERMISSION_INTAKE_WRITE,
    Permission.PERMISSION_AUDIT_WRITE,
    Permission.PERMISSION_CONVERSION_RUN,
    Permission.PERMISSION_ANALYSIS_RUN,
    Permission.PERMISSION_REPORTING_RUN,
}


def test_a_method_demands_what_its_contract_says() -> None:
    found = requirement("/heimdallr.access.v1.AccessService/SignIn")

    assert found.permission == Permission.PERMISSION_ACCESS_SIGN_IN
    assert found.scope == "access_sign_in"
    assert found.audited


@pytest.mark.parametrize(
    "method",
    [
        path("Undeclared"),
        path("Unaudited"),
        "/heimdallr.access.v1.AccessService/Nothing",
        "/heimdallr.nothing.v1.NothingService/Get",
        "/grpc.channelz.v1.Channelz/GetServers",
        "/heimdallr.",
        "",
    ],
)
def test_a_method_that_says_nothing_is_refused(method: str) -> None:
    with pytest.raises(UndeclaredMethodError):
        requirement(method)


def test_reflection_needs_its_permission() -> None:
    found = requirement("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")

    assert found.permission == Permission.PERMISSION_REFLECTION_READ


def test_a_scope_and_back() -> None:
    permissions = {Permission.PERMISSION_WORKFLOW_READ, Permission.PERMISSION_ARCHIVE_READ}

    assert scope(permissions) == "archive_read workflow_read"
    assert permissions_of("archive_read workflow_read") == permissions


@pytest.mark.parametrize(
    "claim", ["", "unspecified", "unknown", "ARCHIVE", "permission_unspecified"]
)
def test_unknown_names_in_a_scope_permit_nothing(claim: str) -> None:
    assert permissions_of(claim) == frozenset()


def test_no_person_holds_what_services_hold() -> None:
    for permissions in ROLE_PERMISSIONS.values():
        assert not permissions & SERVICES_ONLY
    assert SERVICE_PERMISSIONS["operator"] == ADMINISTRATOR
    assert not ADMINISTRATOR & SERVICES_ONLY


def test_each_role_includes_the_one_below() -> None:
    roles = [
        access_service_pb2.ROLE_VIEWER,
        access_service_pb2.ROLE_TECHNICIAN,
        access_service_pb2.ROLE_RADIOLOGIST,
        access_service_pb2.ROLE_ADMINISTRATOR,
    ]

    for lower, higher in pairwise(roles):
        assert ROLE_PERMISSIONS[lower] <= ROLE_PERMISSIONS[higher]
