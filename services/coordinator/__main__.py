"""Runs the coordinator."""

from __future__ import annotations

from services.coordinator.access.bootstrap import bootstrap
from services.coordinator.access.store import AccessStore
from services.coordinator.assembly import PACKAGES, Coordinator
from services.coordinator.settings import CoordinatorSettings, DatabaseSettings
from services.runtime.blobs import open_blobs
from services.runtime.client import open_channel
from services.runtime.logs import configure_logs
from services.runtime.migrate import apply
from services.runtime.postgres import open_pool
from services.runtime.server import run, serve
from services.runtime.settings import RuntimeSettings, load_settings
from services.runtime.token_source import FileTokenSource
from services.runtime.tokens import Issuer


async def main() -> None:
    """Bring the database up to date, then serve until told to stop."""
    runtime, settings = load_settings(RuntimeSettings), load_settings(CoordinatorSettings)
    database = load_settings(DatabaseSettings)
    configure_logs(runtime.log_level, runtime.service_name)
    issuer = Issuer.load_or_create(settings.issuer_key_file)
    blobs = open_blobs(runtime.blobs, free_bytes=runtime.blobs_free_bytes)
    pool = await open_pool(
        database.dsn.get_secret_value(),
        application_name=runtime.service_name,
        max_size=database.pool_size,
    )
    try:
        await apply(pool, PACKAGES)
        await bootstrap(AccessStore(pool), issuer, settings.sign_in_file)
        async with open_channel(runtime.mesh, FileTokenSource(runtime.token_file)) as mesh:
            coordinator = Coordinator(runtime, settings, pool, blobs, mesh, issuer)
            await serve(
                runtime,
                coordinator.add_servicers,
                trail=coordinator.trail,
                hooks=coordinator.hooks,
            )
    finally:
        pool.terminate()


if __name__ == "__main__":
    run(main)
