"""Every service contract of the mesh, found by loading the generated packages."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from google.protobuf.descriptor import FileDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

import heimdallr


def full_method(method: MethodDescriptor) -> str:
    """Return the path of a method as gRPC writes it, e.g. "/heimdallr.x.v1.X/Get"."""
    return f"/{method.containing_service.full_name}/{method.name}"


@cache
def service_contracts() -> tuple[ServiceDescriptor, ...]:
    """Return the services of all generated packages, ordered by full name."""
    found: dict[str, ServiceDescriptor] = {}
    for module_name in _generated_modules():
        file: FileDescriptor = importlib.import_module(module_name).DESCRIPTOR
        for service in file.services_by_name.values():
            found[service.full_name] = service
    return tuple(found[name] for name in sorted(found))


def is_retryable(method: MethodDescriptor) -> bool:
    """Return whether the contract lets the same call be made again."""
    return method.GetOptions().idempotency_level in (
        MethodOptions.NO_SIDE_EFFECTS,
        MethodOptions.IDEMPOTENT,
    )


def _generated_modules() -> Iterator[str]:
    for root in map(Path, heimdallr.__path__):
        for file in sorted(root.rglob("*_service_pb2.py")):
            yield ".".join(("heimdallr", *file.relative_to(root).with_suffix("").parts))
