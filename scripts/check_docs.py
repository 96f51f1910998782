"""Check the Markdown of the project.

Every relative link leads somewhere, every anchor exists, and every test that is named is there.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LINK: Final = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
HEADING: Final = re.compile(r"^#+\s+(.*)$", re.MULTILINE)
TEST_NAME: Final = re.compile(r"`(tests/[\w/.-]+?\.py)(?:::(\w+))?`")


def _tracked_markdown() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"],  # noqa: S607 - git of the PATH
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).exists()]


def _anchors(page: Path) -> set[str]:
    headings = HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in headings}


def _broken_links(page: Path) -> list[str]:
    broken = []
    for match in LINK.finditer(page.read_text(encoding="utf-8")):
        target = match.group(1) or match.group(2)
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in _anchors(file)):
            broken.append(target)
    return broken


def _missing_tests(page: Path) -> list[str]:
    missing = []
    for path, name in TEST_NAME.findall(page.read_text(encoding="utf-8")):
        file = ROOT / path
        if not file.exists() or (name and f"def {name}(" not in file.read_text(encoding="utf-8")):
            missing.append(f"{path}::{name}" if name else path)
    return missing


def main() -> int:
    """Print each broken link and missing test; exit 1 when there is one."""
    faults = 0
    for page in _tracked_markdown():
        for target in _broken_links(page) + _missing_tests(page):
            sys.stderr.write(f"{page.relative_to(ROOT)}: {target} leads nowhere\n")
            faults += 1
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
