"""What fuzzing found worth keeping: small, and harmless still."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.fuzz.test_fuzz import CORPUS, TARGETS

MOST_BYTES: Final = 200_000
# Without the fuzzer, which takes its time to mark every branch.
_REPLAY: Final = """
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
sys.modules["atheris"] = SimpleNamespace(instrument_imports=lambda include: nullcontext())
from tests.fuzz.targets import TARGETS
for path in map(Path, sys.stdin.read().split()):
    TARGETS[path.parent.name](path.read_bytes())
    print(path.name)
"""


def _kept(target: str) -> list[Path]:
    return sorted(path for path in (CORPUS / target).iterdir() if path.is_file())


def test_every_target_begins_with_what_was_found_before() -> None:
    kept = {target: _kept(target) for target in TARGETS}

    assert min(len(files) for files in kept.values()) > 20
    assert sum(path.stat().st_size for files in kept.values() for path in files) < MOST_BYTES


def test_nothing_kept_raises_anything_but_what_it_may() -> None:
    paths = [str(path) for target in TARGETS for path in _kept(target)]

    done = subprocess.run(
        [sys.executable, "-c", _REPLAY],
        input="\n".join(paths),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.split()) == len(paths)
