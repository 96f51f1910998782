"""Why a stack cannot start, in words for the person at the keyboard."""

from __future__ import annotations


class StackError(Exception):
    """The stack refuses to start; the text says why and what to do."""


class AlreadyRunningError(StackError):
    """Another supervisor holds the data folder."""


class FolderError(StackError):
    """A folder cannot be used: not private, not reachable, or its path is too long."""


class PortTakenError(StackError):
    """An address or port that the stack was told to use cannot be listened on."""


class MissingPartError(StackError):
    """A program without which nothing works is not installed."""


class DatabaseVersionError(StackError):
    """The data folder was made by another major version of PostgreSQL."""


class TlsError(StackError):
    """Certificate or key of the public listener cannot be used."""
