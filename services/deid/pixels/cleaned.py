"""An object whose pixels are to be cleared of text, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.deid.layout import Layout, Place
from services.deid.pixels.text import Box
from services.dicom.uids import TransferSyntax

Part = bytes | memoryview


@dataclass(frozen=True, slots=True)
class CleanedPixels:
    """What became of the pixels of an object.

    Attributes:
        syntax: Transfer syntax in which the object is written now.
        added: Elements by tag that take the place of what stood there; none where no pixel changed.
        boxes: What was blanked.
        left: Where text is read still.
        read: Whether every frame was read.
    """

    syntax: TransferSyntax
    added: Mapping[int, Part] = field(default_factory=dict)
    boxes: tuple[Box, ...] = ()
    left: tuple[Box, ...] = ()
    read: bool = False

    @property
    def proved(self) -> bool:
        """Whether every frame was read, and in none of them text is left."""
        return self.read and not self.left


@dataclass(frozen=True, slots=True)
class Source:
    """The object whose pixels are cleaned.

    Attributes:
        layout: Of its data set.
        places: Of its elements.
        syntax: Its transfer syntax.
        values: Texts of its header that tell the device, by tag.
    """

    layout: Layout
    places: list[Place]
    syntax: TransferSyntax
    values: Mapping[int, str]
