"""What is measured of releases; never what was in them."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

from services.runtime.metrics import REGISTRY, from_zero

RELEASES: Final = Counter(
    "heimdallr_outbound_releases",
    "Texts and images that were to leave for an address outside, by kind (text, image) and outcome "
    "(released, refused).",
    ["kind", "outcome"],
    registry=REGISTRY,
)
WORDS_REMOVED: Final = Counter(
    "heimdallr_outbound_words_removed",
    "Words that were taken out of texts that were released.",
    registry=REGISTRY,
)

from_zero(RELEASES, ("text", "image"), ("released", "refused"))
