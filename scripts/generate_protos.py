"""Generate the committed Python code of the contracts into gen/python.

TypeScript comes from ``buf generate`` (buf.gen.yaml), because grpc_python is no plug-in that
buf can run without a registry.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import grpc_tools

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
OUTPUT = ROOT / "gen" / "python"


def _protoc(sources: list[Path]) -> None:
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"-I{PROTOS}",
            f"-I{well_known}",
            f"--python_out={OUTPUT}",
            f"--grpc_python_out={OUTPUT}",
            f"--mypy_out=quiet:{OUTPUT}",
            f"--mypy_grpc_out=quiet:{OUTPUT}",
            *map(str, sources),
        ],
        check=True,
    )


def _drop_empty_service_modules(sources: list[Path]) -> None:
    for source in sources:
        if "\nservice " in source.read_text(encoding="utf-8"):
            continue
        stem = (OUTPUT / source.relative_to(PROTOS)).with_suffix("")
        for suffix in ("_pb2_grpc.py", "_pb2_grpc.pyi"):
            Path(f"{stem}{suffix}").unlink(missing_ok=True)


def main() -> None:
    """Write the code of every contract anew."""
    sources = sorted(PROTOS.rglob("*.proto"))
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    _protoc(sources)
    _drop_empty_service_modules(sources)


if __name__ == "__main__":
    main()
