"""One stack of one machine, from the first folder to the last process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from services.cli.stack.accounts import Account, database_account, require_reachable
from services.cli.stack.children import MODULES
from services.cli.stack.credentials import Credentials
from services.cli.stack.endpoints import MESH, OPERATOR, Endpoints
from services.cli.stack.errors import StackError
from services.cli.stack.layout import Layout
from services.cli.stack.limits import set_limits
from services.cli.stack.ohif import require_viewer
from services.cli.stack.orphans import kill_orphans
from services.cli.stack.plan import STOP_WAVES, Plan, make_plan
from services.cli.stack.ports import require_free
from services.cli.stack.process import ProcessStatus
from services.cli.stack.runtime_folder import (
    choose_runtime_folder,
    empty_folder,
    lock_data_folder,
    prepare_private_folder,
)
from services.cli.stack.settings import StackSettings
from services.cli.stack.state import Addresses, StackState, remove_state, write_state
from services.cli.stack.supervisor import Supervisor
from services.cli.stack.tls import prepare_tls
from services.cli.stack.triton import sweep_shared_memory

AE_TITLE: Final = "HEIMDALLR"

Listener = Callable[[ProcessStatus], None]


class Stack:
    """Starts, watches and stops every process of one machine.

    Use it as an async context manager, or call ``start`` and ``stop``. Run it in the main thread:
    Linux ends the processes when the thread that started them ends.

    Args:
        settings: What the person who starts it decided.
        listener: Told of each change of a process's state.
    """

    def __init__(self, settings: StackSettings, listener: Listener | None = None) -> None:
        data = settings.data.expanduser().absolute()
        self.settings = settings
        self.layout = Layout(data, choose_runtime_folder(data, os.environ, os.geteuid()))
        self.missing: dict[str, str] = {}
        self.tls_fingerprint: str | None = None
        self.first_start = False
        self._listener = listener
        self._lock: int | None = None
        self._plan: Plan | None = None
        self._supervisor: Supervisor | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._started_at = 0.0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Prepare folders and credentials and start the processes; does not wait for them.

        Raises:
            StackError: If the stack cannot start; nothing runs then.
        """
        try:
            self._prepare()
        except BaseException:
            if self._lock is not None:
                shutil.rmtree(self.layout.run, ignore_errors=True)
            self._release()
            raise
        assert self._supervisor is not None  # noqa: S101 - for the type checker
        self._started_at = time.time()
        self._supervisor.start()
        self._write_state()

    async def ready(self, timeout_s: float | None = 60.0) -> None:
        """Wait until every process is ready.

        Raises:
            StackError: If one is not in time; names those that are not.
        """
        supervisor = self._running()
        try:
            async with asyncio.timeout(timeout_s):
                await supervisor.ready()
        except TimeoutError:
            late = ", ".join(f"{s.name} ({s.state})" for s in self.statuses if s.state != "ready")
            raise StackError(f"not ready after {timeout_s:.0f} s: {late}") from None

    async def stop(self) -> None:
        """Stop every process in order and leave nothing behind but the data."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)
        if self._supervisor is not None:
            await self._supervisor.stop()
            sweep_shared_memory(self.layout.shm_prefix)
            remove_state(self.layout)
            with contextlib.suppress(FileNotFoundError):
                empty_folder(self.layout.run)
                self.layout.run.rmdir()
        self._supervisor, self._renewal = None, None
        self._release()

    def kill(self) -> None:
        """End every process at once; ``stop`` then returns soon."""
        if self._supervisor is not None:
            self._supervisor.kill()

    def pid(self, name: str) -> int | None:
        """Return the process id of a process, or ``None`` while it does not run.

        Raises:
            KeyError: If the stack has no such process.
        """
        return self._running().status(name).pid

    @property
    def statuses(self) -> list[ProcessStatus]:
        """State of each process."""
        return self._running().statuses

    @property
    def addresses(self) -> Addresses:
        """Where the stack can be reached."""
        settings, plan = self.settings, self._plan
        triton = plan.triton if plan else None
        scheme = "http" if settings.tls is None else "https"
        return Addresses(
            http=f"{scheme}://{settings.http_address}:{settings.http_port}",
            mesh=(plan.endpoints if plan else Endpoints(self.layout)).reach(MESH, OPERATOR),
            dicom_host=settings.dicom_address,
            dicom_port=settings.dicom_port,
            ae_title=AE_TITLE,
            database=plan.dsn if plan and not settings.database else "",
            triton=f"127.0.0.1:{triton.grpc}" if triton else "",
            blobs=settings.blobs or self.layout.blobs.as_uri(),
        )

    def take_sign_in_link(self) -> str | None:
        """Return the first administrator's one-time link, once; ``None`` if there is none."""
        try:
            code = self.layout.sign_in.read_text().strip()
        except FileNotFoundError:
            return None
        if not code:
            return None
        self.layout.sign_in.unlink()
        return f"{self.addresses.http}/sign-in#code={code}"

    def _prepare(self) -> None:
        layout, settings = self.layout, self.settings
        embedded = settings.database is None and "postgres" not in settings.without
        account = database_account() if embedded else None
        _prepare_data(layout.data, account)
        self._lock = lock_data_folder(layout)
        set_limits()
        kill_orphans(layout.run)
        require_free(settings.http_address, settings.http_port, "--http-port")
        require_free(settings.dicom_address, settings.dicom_port, "--dicom-port")
        if settings.metrics_port is not None:
            require_free("127.0.0.1", settings.metrics_port, "--metrics-port")
        if settings.ohif_port is not None:
            require_free(settings.http_address, settings.ohif_port, "--ohif-port")
            require_viewer()
        if settings.mtls is not None:
            require_free(settings.mtls.address, settings.mtls.port, "--mesh-port")
        prepare_private_folder(layout.run, account)
        empty_folder(layout.run)
        layout.pointer.unlink(missing_ok=True)
        sweep_shared_memory(layout.shm_prefix)
        logs, keys = layout.data / "logs", layout.data / "keys"
        for folder in (layout.blobs, layout.journal, layout.work, logs, keys):
            prepare_private_folder(folder)
        empty_folder(layout.work)
        self.tls_fingerprint = prepare_tls(layout, settings)
        self._plan = make_plan(layout, settings, account)
        self.missing = self._plan.missing
        # A code of an earlier run is worth nothing; the coordinator leaves a new one while needed.
        layout.sign_in.unlink(missing_ok=True)
        self.first_start = not layout.issuer_key.exists()
        credentials = Credentials(layout, MODULES)
        credentials.write()
        self._renewal = asyncio.create_task(credentials.renew(), name="renew service tokens")
        self._supervisor = Supervisor(self._plan.specs, STOP_WAVES, layout, self._on_change)

    def _on_change(self, status: ProcessStatus) -> None:
        self._write_state()
        if self._listener is not None:
            with contextlib.suppress(OSError):  # the terminal may be gone
                self._listener(status)

    def _write_state(self) -> None:
        if self._plan is None or self._supervisor is None:
            return
        state = StackState(
            supervisor=os.getpid(),
            data=str(self.layout.data),
            run=str(self.layout.run),
            started_at=self._started_at,
            addresses=self.addresses,
            versions=self._plan.versions,
            missing=self._plan.missing,
            processes=self._supervisor.statuses,
            left_out=sorted(self.settings.without),
        )
        with contextlib.suppress(OSError):  # a full disk must not stop the watch over processes
            write_state(self.layout, state)

    def _running(self) -> Supervisor:
        if self._supervisor is None:
            raise StackError("the stack is not running")
        return self._supervisor

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None


def _prepare_data(data: Path, account: Account | None) -> None:
    prepare_private_folder(data, account)
    if account:
        require_reachable(account, data / "postgres")
