"""Scrapes as Prometheus makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Scrape:
    """What one process exports."""

    families: Mapping[str, Metric]

    def value(self, name: str, **labels: str) -> float:
        """Return one sample; 0 where it is absent."""
        for family in self.families.values():
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return sample.value
        return 0.0

    def labels(self, key: str) -> set[str]:
        """Return every value that a label has anywhere."""
        samples = (sample for family in self.families.values() for sample in family.samples)
        return {sample.labels[key] for sample in samples if key in sample.labels}


async def scrape(socket: Path) -> Scrape:
    """Fetch and parse what a process exports on a Unix socket."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket))) as session,
        session.get("http://metrics/metrics") as answer,
    ):
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return parsed(await answer.text())


def parsed(text: str) -> Scrape:
    """Parse Prometheus's text format."""
    return Scrape({family.name: family for family in text_string_to_metric_families(text)})
