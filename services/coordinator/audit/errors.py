"""What can go wrong in the audit trail."""

from __future__ import annotations


class UnknownEntryError(Exception):
    """An outcome was given for an entry that is not kept."""
