"""What a call demands of its caller, read from the options of its contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from google.protobuf import descriptor_pool

from heimdallr.access.v1 import access_service_pb2, options_pb2
from heimdallr.access.v1.access_service_pb2 import Role
from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.access.v1.permission_pb2 import Permission

_PREFIX: Final = "PERMISSION_"
_OURS: Final = "/heimdallr."
OPEN_METHODS: Final = frozenset({"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"})
_REFLECTION: Final = frozenset(
    {
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    }
)


class UndeclaredMethodError(Exception):
    """An RPC names no permission or no audit action, so nobody may call it.

    Attributes:
        method: Full method at fault.
    """

    def __init__(self, method: str) -> None:
        super().__init__(f"{method} declares no permission and audit action")
        self.method = method


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one method demands and records."""

    permission: Permission.ValueType
    audit_action: AuditAction.ValueType

    @property
    def scope(self) -> str:
        """Scope name of the permission, e.g. "archive_read"."""
        return scope_name(self.permission)

    @property
    def audited(self) -> bool:
        """Whether an allowed call leaves a row in the audit trail."""
        return self.audit_action != AuditAction.AUDIT_ACTION_NONE


@lru_cache(maxsize=1024)
def requirement(full_method: str) -> Requirement:
    """Return what a method demands.

    Args:
        full_method: Path as gRPC writes it, e.g. "/heimdallr.access.v1.AccessService/SignIn".

    Raises:
        UndeclaredMethodError: The contract does not say, or the method is not ours.
    """
    if full_method in _REFLECTION:
        return Requirement(Permission.PERMISSION_REFLECTION_READ, AuditAction.AUDIT_ACTION_NONE)
    if not full_method.startswith(_OURS):
        raise UndeclaredMethodError(full_method)
    found = _declared(full_method)
    if found.permission not in _NAMED_PERMISSIONS or found.audit_action not in _NAMED_ACTIONS:
        raise UndeclaredMethodError(full_method)
    return found


def scope_name(permission: Permission.ValueType) -> str:
    """Return the name of one permission as a token carries it."""
    return Permission.Name(permission).removeprefix(_PREFIX).lower()


def scope(permissions: Iterable[Permission.ValueType]) -> str:
    """Return the `scope` claim (RFC 8693) of some permissions, in the order of their numbers."""
    return " ".join(scope_name(permission) for permission in sorted(set(permissions)))


def permissions_of(scope_claim: str) -> frozenset[Permission.ValueType]:
    """Return the permissions in a `scope` claim; names this version does not know are left out."""
    names = scope_claim.upper().split()
    return frozenset(_BY_NAME[name] for name in names if name in _BY_NAME)


def _declared(full_method: str) -> Requirement:
    service_name, _, method_name = full_method[1:].partition("/")
    try:
        service = descriptor_pool.Default().FindServiceByName(service_name)
        options = service.methods_by_name[method_name].GetOptions()
    except KeyError:
        raise UndeclaredMethodError(full_method) from None
    return Requirement(
        options.Extensions[options_pb2.permission], options.Extensions[options_pb2.audit_action]
    )


_NAMED_PERMISSIONS: Final = frozenset(Permission.values()) - {Permission.PERMISSION_UNSPECIFIED}
_BY_NAME: Final = {scope_name(permission).upper(): permission for permission in _NAMED_PERMISSIONS}
_NAMED_ACTIONS: Final = frozenset(AuditAction.values()) - {AuditAction.AUDIT_ACTION_UNSPECIFIED}

_VIEWER: Final = frozenset(
    {
        Permission.PERMISSION_ARCHIVE_READ,
        Permission.PERMISSION_WORKFLOW_READ,
        Permission.PERMISSION_ANALYSIS_READ,
        Permission.PERMISSION_EVENTS_READ,
        Permission.PERMISSION_ACCESS_SELF,
        Permission.PERMISSION_PEERS_READ,
        Permission.PERMISSION_SOURCES_READ,
        Permission.PERMISSION_WORKLIST_READ,
    }
)
_TECHNICIAN: Final = _VIEWER | {
    Permission.PERMISSION_WORKFLOW_WRITE,
    Permission.PERMISSION_PEERS_EXCHANGE,
    Permission.PERMISSION_WORKLIST_WRITE,
    Permission.PERMISSION_ARCHIVE_WRITE,
    Permission.PERMISSION_COMPLETENESS_WRITE,
    Permission.PERMISSION_DEID_READ,
    Permission.PERMISSION_DEID_START,
}
_RADIOLOGIST: Final = _TECHNICIAN | {Permission.PERMISSION_DEID_REVIEW}
_ADMINISTRATOR: Final = _RADIOLOGIST | {
    Permission.PERMISSION_PEERS_ADMIN,
    Permission.PERMISSION_SOURCES_ADMIN,
    Permission.PERMISSION_ARCHIVE_ADMIN,
    Permission.PERMISSION_ACCESS_ADMIN,
    Permission.PERMISSION_AUDIT_READ,
    Permission.PERMISSION_REFLECTION_READ,
    Permission.PERMISSION_DEID_ADMIN,
    Permission.PERMISSION_DEID_REVEAL,
    Permission.PERMISSION_DEID_REIDENTIFY,
    Permission.PERMISSION_DEID_RUN,
}

ROLE_PERMISSIONS: Final[Mapping[Role.ValueType, frozenset[Permission.ValueType]]] = (
    MappingProxyType(
        {
            access_service_pb2.ROLE_VIEWER: _VIEWER,
            access_service_pb2.ROLE_TECHNICIAN: _TECHNICIAN,
            access_service_pb2.ROLE_RADIOLOGIST: _RADIOLOGIST,
            access_service_pb2.ROLE_ADMINISTRATOR: _ADMINISTRATOR,
        }
    )
)
"""What each role of a person permits."""

SERVICE_PERMISSIONS: Final[Mapping[str, frozenset[Permission.ValueType]]] = MappingProxyType(
    {
        "coordinator": frozenset(
            {
                Permission.PERMISSION_CONVERSION_RUN,
                Permission.PERMISSION_ANALYSIS_RUN,
                Permission.PERMISSION_ANALYSIS_READ,
                Permission.PERMISSION_REPORTING_RUN,
                Permission.PERMISSION_PEERS_EXCHANGE,
                Permission.PERMISSION_DEID_RUN,
                Permission.PERMISSION_DEID_OPEN,
                Permission.PERMISSION_WORKFLOW_READ,
            }
        ),
        "gateway": frozenset(
            {
                Permission.PERMISSION_INTAKE_WRITE,
                Permission.PERMISSION_ARCHIVE_READ,
                Permission.PERMISSION_AUDIT_WRITE,
                Permission.PERMISSION_ACCESS_CHECK_PASSWORD,
                Permission.PERMISSION_CONVERSION_RUN,
                Permission.PERMISSION_WORKFLOW_READ,
                Permission.PERMISSION_PEERS_READ,
                Permission.PERMISSION_PEERS_USE,
                Permission.PERMISSION_PEERS_EXCHANGE,
                Permission.PERMISSION_SOURCES_READ,
                Permission.PERMISSION_SOURCES_RUN,
                Permission.PERMISSION_WORKLIST_READ,
                Permission.PERMISSION_WORKLIST_RECORD,
                Permission.PERMISSION_COMPLETENESS_WRITE,
                Permission.PERMISSION_DEID_READ,
                Permission.PERMISSION_DEID_RUN,
                Permission.PERMISSION_DEID_START,
            }
        ),
        "conversion": frozenset({Permission.PERMISSION_AUDIT_WRITE}),
        "analysis": frozenset({Permission.PERMISSION_AUDIT_WRITE}),
        "reporting": frozenset(
            {Permission.PERMISSION_AUDIT_WRITE, Permission.PERMISSION_OUTBOUND_RELEASE}
        ),
        "deid": frozenset({Permission.PERMISSION_AUDIT_WRITE}),
        "operator": _ADMINISTRATOR,
    }
)
"""What each service's own token permits; the operator is the local owner of the data folder."""
