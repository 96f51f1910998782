"""De-identification against dicom-anonymizer and against pydicom that only reads and writes.

Each works on the same files in memory, one process each, in turns; CPU time counts. The peer runs
in an environment of its own that uv makes. ``python -m scripts.bench_deid [--json]``
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

PEER: Final = ("dicom-anonymizer==2.1.0", "pydicom==3.0.2")
_TOOLS: Final = ("ours", "certified", "anonymizer", "floor")
_ROUNDS: Final = 2
_ROUND_S: Final = 2.0
_MOST_FILES: Final = 60


def main() -> None:
    """Measure and print."""
    sys.stdout.write(json.dumps(_figures(), indent=2) + "\n")


def rows() -> list[tuple[str, str, str]]:
    """Measure, and return what was measured, the figure, and the peers' beside it."""
    return [
        (
            f"De-identification of {name}, one core",
            f"{one['ours_per_s']:.0f} instances/s, {one['certified_per_s']:.0f} with both hashes",
            f"dicom-anonymizer 2.1.0 {one['anonymizer_per_s']:.0f} "
            f"({one['ratio_to_anonymizer']} times), pydicom that reads and writes "
            f"{one['floor_per_s']:.0f} ({one['ratio_to_floor']} times)",
        )
        for name, one in _figures().items()
    ]


def _figures() -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _collect(folder)
        return {one.name: _compared(one) for one in sorted(folder.iterdir())}


def _collect(folder: Path) -> None:
    from tests.support.corpora import corpora_folder
    from tests.support.instances import ct_instance, part10

    sets: dict[str, Iterable[bytes]] = {
        "synthetic CT 512x512": (
            part10(ct_instance(size=512, number=number, study_uid="1.2.3", series_uid="1.2.3.4"))
            for number in range(30)
        )
    }
    corpora = corpora_folder()
    if corpora is not None:
        sets["real CT"] = _files(corpora / "ct-philips")
        sets["real MR"] = _files(corpora / "mr-nih")
    for name, files in sets.items():
        (folder / name).mkdir()
        for number, data in enumerate(files):
            (folder / name / f"{number:04}").write_bytes(data)


def _files(folder: Path) -> list[bytes]:
    found = (path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    return [data for data in found if data[128:132] == b"DICM"][:_MOST_FILES]


def _compared(folder: Path) -> dict[str, float]:
    rounds = [{name: _rate(name, folder) for name in _TOOLS} for _ in range(_ROUNDS)]
    best = {name: max(one[name] for one in rounds) for name in rounds[0]}
    return {
        **{f"{name}_per_s": round(rate) for name, rate in best.items()},
        "ratio_to_anonymizer": round(best["ours"] / best["anonymizer"], 1),
        "ratio_to_floor": round(best["ours"] / best["floor"], 1),
    }


def _rate(name: str, folder: Path) -> float:
    runner = [sys.executable]
    if name not in ("ours", "certified"):
        packages = [part for package in PEER for part in ("--with", package)]
        runner = ["uv", "run", "--quiet", "--no-project", "--python", "3.11", *packages, "python"]
    command = [*runner, __file__, name, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _worker(name: str, folder: Path) -> None:
    """Run in a process of its own: do the work for a while and print how often a second."""
    files = [path.read_bytes() for path in sorted(folder.iterdir())]
    works = {"ours": _ours, "certified": _certified, "anonymizer": _anonymizer, "floor": _floor}
    work = works[name]()
    for data in files:
        work(data)
    count, begun = 0, time.process_time()
    while (spent := time.process_time() - begun) < _ROUND_S:
        work(files[count % len(files)])
        count += 1
    sys.stdout.write(str(count / spent))


def _ours() -> Callable[[bytes], object]:
    deidentified = _deidentified()
    return lambda data: b"".join(deidentified(data).parts)


def _certified() -> Callable[[bytes], object]:
    """The same with what a certificate says: the hash of the source and of the object."""
    deidentified = _deidentified()

    def work(data: bytes) -> object:
        released = deidentified(data)
        return b"".join(released.parts), released.source_sha256, released.sha256

    return work


def _deidentified() -> Callable[[bytes], Any]:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from services.deid.deidentify import Deidentifier
    from services.deid.profile.options import options_of
    from services.deid.pseudonyms import Pseudonyms

    return Deidentifier(options_of("basic"), Pseudonyms(bytes(32))).deidentify


def _anonymizer() -> Callable[[bytes], object]:
    import pydicom
    from dicomanonymizer import anonymize_dataset  # type: ignore[import-not-found] # the peer's

    def work(data: bytes) -> object:
        dataset = pydicom.dcmread(io.BytesIO(data))
        anonymize_dataset(dataset)
        return _written(dataset)

    return work


def _floor() -> Callable[[bytes], object]:
    import pydicom

    def work(data: bytes) -> object:
        dataset = pydicom.dcmread(io.BytesIO(data))
        for _ in dataset.iterall():
            pass
        return _written(dataset)

    return work


def _written(dataset: Any) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


if __name__ == "__main__":
    if len(sys.argv) == 3:
        _worker(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
