"""What a power cut leaves of a folder: names and bytes that nobody flushed are gone.

A machine that stays up keeps what its processes wrote, so killing them shows little. Here strace
tells what was written and what was flushed, and the rest is taken away.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

_CALLS: Final = "openat,write,writev,pwrite64,rename,renameat,renameat2,link,linkat,fsync,fdatasync"
_LINE: Final = re.compile(r"^(?P<pid>\d+)\s+(?P<rest>.*)$")
_UNFINISHED: Final = re.compile(r"^(?P<call>\w+)\((?P<arguments>.*) <unfinished \.\.\.>$")
_RESUMED: Final = re.compile(r"^<\.\.\. (?P<call>\w+) resumed>.*\)\s+= (?P<result>-?\d+)")
_WHOLE: Final = re.compile(r"^(?P<call>\w+)\((?P<arguments>.*)\)\s+= (?P<result>-?\d+)")
_DESCRIPTOR: Final = re.compile(r"^\d+<(?P<path>[^>]*)>")
_PATHS: Final = re.compile(r'"(?P<path>/[^"]*)"')


@dataclass
class _Call:
    name: str
    arguments: str
    result: int = -1


@dataclass
class _Disk:
    """What is durable of one folder."""

    written: dict[str, int] = field(default_factory=dict)
    flushed: dict[str, int] = field(default_factory=dict)
    unnamed: set[str] = field(default_factory=set)

    def apply(self, call: _Call) -> None:
        """Take over what a call did."""
        if call.name in ("write", "writev", "pwrite64"):
            path = _described(call)
            self.written[path] = self.written.get(path, 0) + max(call.result, 0)
        elif call.name in ("fsync", "fdatasync"):
            self._flush(_described(call))
        elif call.name == "openat":
            if "O_CREAT" in call.arguments:
                self.unnamed.update(_paths(call)[:1])
        else:
            self._name(*_paths(call)[:2])

    def _flush(self, path: str) -> None:
        self.flushed[path] = self.written.get(path, 0)
        self.unnamed = {name for name in self.unnamed if str(Path(name).parent) != path}

    def _name(self, old: str, new: str) -> None:
        for sizes in (self.written, self.flushed):
            if old in sizes:
                sizes[new] = sizes.pop(old)
        self.unnamed.discard(old)
        self.unnamed.add(new)


@contextmanager
def traced(pids: Iterable[int], output: Path) -> Iterator[None]:
    """Note what processes write and flush; skips the test where strace may not attach."""
    attach = [option for pid in pids for option in ("-p", str(pid))]
    command = ["strace", "-f", "-y", "-s", "400", "-e", f"trace={_CALLS}", "-o", str(output)]
    tracer = subprocess.Popen([*command, *attach], stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    first = tracer.stderr.readline()
    if "attached" not in first:
        tracer.kill()
        pytest.skip(f"strace may not attach: {first.strip()}")
    try:
        yield
    finally:
        tracer.terminate()
        tracer.communicate(timeout=30)


def cut_power(trace: str, folder: Path) -> int:
    """Take away what was not flushed under a folder, and return how many files were hurt.

    Args:
        trace: What strace printed until all processes were killed.
        folder: What lies elsewhere is left alone.
    """
    disk = _Disk()
    for call in _calls(trace):
        if str(folder) in call.arguments:
            disk.apply(call)
    hurt = 0
    for name in disk.unnamed:
        hurt += _remove(Path(name))
    for name, size in disk.written.items():
        hurt += _shorten(Path(name), disk.flushed.get(name, 0), size)
    return hurt


def _calls(trace: str) -> list[_Call]:
    """Return calls in the order in which they began; a flush that never ended did nothing."""
    begun: list[_Call] = []
    waiting: dict[str, _Call] = {}
    for line in trace.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        pid, rest = found["pid"], found["rest"]
        if whole := _WHOLE.match(rest):
            begun.append(_Call(whole["call"], whole["arguments"], int(whole["result"])))
        elif part := _UNFINISHED.match(rest):
            waiting[pid] = _Call(part["call"], part["arguments"])
            begun.append(waiting[pid])
        elif (end := _RESUMED.match(rest)) and pid in waiting:
            waiting.pop(pid).result = int(end["result"])
    return [call for call in begun if call.result >= 0]


def _described(call: _Call) -> str:
    found = _DESCRIPTOR.match(call.arguments)
    return found["path"] if found else ""


def _paths(call: _Call) -> list[str]:
    return [found["path"] for found in _PATHS.finditer(call.arguments)]


def _remove(path: Path) -> int:
    if not path.is_file():
        return 0
    path.unlink()
    return 1


def _shorten(path: Path, flushed: int, written: int) -> int:
    if flushed >= written or not path.is_file():
        return 0
    os.truncate(path, flushed)
    return 1
