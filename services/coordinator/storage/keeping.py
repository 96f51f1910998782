"""Puts looking after the blob store together."""

from __future__ import annotations

from datetime import timedelta

from services.coordinator.storage.collector import Collector
from services.coordinator.storage.loops import CollectionLoop, ScrubLoop
from services.coordinator.storage.scrubber import Scrubber
from services.coordinator.storage.service import StorageService
from services.coordinator.storage.settings import StorageSettings
from services.coordinator.storage.store import StorageStore
from services.runtime.blob_inventory import inventory_of
from services.runtime.blobs import BlobStore
from services.runtime.postgres import Pool


class Keeping:
    """Garbage collection and scrubs with their service.

    Args:
        pool: Pool of the database.
        blobs: The blob store.
        settings: When and how.

    Attributes:
        service: The servicer.
        collections: Runs in the background.
        scrubs: Runs in the background.
    """

    def __init__(self, pool: Pool, blobs: BlobStore, settings: StorageSettings) -> None:
        store = StorageStore(pool)
        grace = timedelta(hours=settings.grace_hours)
        collector = Collector(store, inventory_of(blobs), grace, settings.collect_limit)
        every = timedelta(hours=settings.collect_every_hours)
        self.collections = CollectionLoop(store, collector, every)
        self.scrubs = ScrubLoop(
            store,
            Scrubber(pool, store, blobs),
            timedelta(days=settings.scrub_every_days),
            settings.scrub_rate_bytes,
        )
        self.service = StorageService(store, self.collections, self.scrubs)
        self.count_damage = store.count_damage
