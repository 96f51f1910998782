"""What goes wrong behind DICOMweb, as problems; no text repeats what was asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

import grpc

from gateway.http.permitted import unavailable
from gateway.http.problem import Problem, bad_request, not_found
from gateway.http.sign_in import no_session
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.errors import BlobCorruptError, BlobNotFoundError, ServiceError

_AWAY: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)


@contextmanager
def problems() -> Iterator[None]:
    """Raise problems in place of what calls to other services fail with."""
    try:
        with typed_errors():
            yield
    except ServiceCallError as error:
        raise _problem(error) from None
    except BlobNotFoundError:
        # Deleted between being found and being read.
        raise not_found() from None
    except BlobCorruptError:
        raise corrupt() from None
    except ServiceError:
        raise unavailable() from None


def not_acceptable(detail: str) -> Problem:
    """Return the problem that nothing we can give is what the client takes."""
    return Problem(HTTPStatus.NOT_ACCEPTABLE, "not-acceptable", detail)


def unsupported_media(detail: str) -> Problem:
    """Return the problem that a body is of a kind that is not taken."""
    return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)


def too_large() -> Problem:
    """Return the problem that a body is longer than is taken."""
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return Problem(status, "too-large", "The body is longer than this address takes.")


def corrupt() -> Problem:
    """Return the problem that what is stored is not what was stored."""
    text = "What is stored is damaged and is not given out."
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "corrupt", text)


def _problem(error: ServiceCallError) -> Problem:
    if error.code is grpc.StatusCode.INVALID_ARGUMENT:
        field = error.metadata.get("field", "")
        return bad_request(f"A value of the request breaks a rule: {field or 'unknown'}.")
    if error.code is grpc.StatusCode.UNAUTHENTICATED:
        return no_session()
    if error.code is grpc.StatusCode.PERMISSION_DENIED:
        text = "This needs a permission that is not held."
        return Problem(HTTPStatus.FORBIDDEN, "not-permitted", text)
    if error.code is grpc.StatusCode.NOT_FOUND:
        return not_found()
    if error.code is grpc.StatusCode.DATA_LOSS:
        return corrupt()
    if error.code is grpc.StatusCode.FAILED_PRECONDITION:
        return not_acceptable("The pixels cannot be decoded or shown.")
    if error.code in _AWAY:
        return unavailable()
    text = "Something failed on our side."
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", text)
