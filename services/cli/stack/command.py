"""What it takes to start one program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Command:
    """A program, its arguments and its whole environment.

    Attributes:
        argv: The program's absolute path and its arguments.
        environ: Everything the program sees of the environment; nothing is inherited.
    """

    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
