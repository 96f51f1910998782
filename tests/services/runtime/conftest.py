"""Fixtures of this folder."""

from __future__ import annotations

from tests.support.postgres import pool, postgres_dsn, postgres_server_dsn

__all__ = ["pool", "postgres_dsn", "postgres_server_dsn"]
