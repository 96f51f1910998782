"""The built page: files that never change under their name, and one entry for every other path."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from aiohttp import hdrs, web

from gateway.http.problem import not_found

_IMMUTABLE: Final = "public, max-age=31536000, immutable"
_ALWAYS_ASKED: Final = "no-cache"
_HASHED_FOLDER: Final = "assets"
_LONGEST_PATH: Final = 1024
_TYPES: Final = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".html": "text/html; charset=utf-8",
        ".ico": "image/x-icon",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".map": "application/json",
        ".mjs": "text/javascript; charset=utf-8",
        ".png": "image/png",
        ".svg": "image/svg+xml",
        ".txt": "text/plain; charset=utf-8",
        ".wasm": "application/wasm",
        ".webmanifest": "application/manifest+json",
        ".webp": "image/webp",
        ".woff2": "font/woff2",
    }
)
"""Types of files that are served; no other file is."""

_NOT_BUILT: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Heimdallr</title></head>
<body><h1>The page is not built</h1>
<p>Run <code>make web</code> and load this page again. Nothing needs to be restarted.</p>
</body></html>
"""


@dataclass(frozen=True, slots=True)
class Page:
    """Serves a folder of built files.

    Attributes:
        folder: Where ``index.html`` and ``assets/`` lie.
    """

    folder: Path

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer with a file, or with the entry for a path that only the page itself knows."""
        found = await asyncio.to_thread(self._find, request.path)
        if found is not None:
            return self._file(found)
        if _names_a_file(request.path):
            raise not_found()
        entry = await asyncio.to_thread(self._find, "/index.html")
        if entry is None:
            return _not_built()
        return self._file(entry)

    def _find(self, path: str) -> Path | None:
        names = path.split("/")[1:]
        if len(path) > _LONGEST_PATH or not all(map(_is_plain, names)):
            return None
        root = self.folder.resolve()
        # A link out of the folder is no file of the page.
        file = root.joinpath(*names).resolve()
        if file.suffix not in _TYPES or not file.is_relative_to(root) or not file.is_file():
            return None
        return file

    def _file(self, file: Path) -> web.FileResponse:
        hashed = file.parent == self.folder.resolve() / _HASHED_FOLDER
        headers = {
            hdrs.CONTENT_TYPE: _TYPES[file.suffix],
            hdrs.CACHE_CONTROL: _IMMUTABLE if hashed else _ALWAYS_ASKED,
        }
        # Takes the .br or .gz beside the file where the browser knows how.
        return web.FileResponse(file, headers=headers)


def _is_plain(name: str) -> bool:
    return bool(name) and not name.startswith(".") and "\\" not in name and name.isprintable()


def _names_a_file(path: str) -> bool:
    return "." in path.rpartition("/")[2] or path.startswith(f"/{_HASHED_FOLDER}/")


def _not_built() -> web.Response:
    headers = {hdrs.CACHE_CONTROL: "no-store"}
    return web.Response(status=503, text=_NOT_BUILT, content_type="text/html", headers=headers)
