"""The embedded stack: every process of one machine under one supervisor."""

from services.cli.stack.errors import StackError
from services.cli.stack.settings import (
    MtlsSettings,
    StackSettings,
    TlsSettings,
    default_data_folder,
)
from services.cli.stack.stack import Stack
from services.cli.stack.state import Addresses, StackState, is_running, read_state

__all__ = [
    "Addresses",
    "MtlsSettings",
    "Stack",
    "StackError",
    "StackSettings",
    "StackState",
    "TlsSettings",
    "default_data_folder",
    "is_running",
    "read_state",
]
