"""``heimdallr deid``: de-identify files without a running stack, and verify what it certified."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from typer.core import TyperGroup

from services.cli.connection import EXIT_FAILED, JsonOption, print_json
from services.cli.deid_report import report_html
from services.deid.batch import RELEASED, FileOutcome, Job, deidentify_files, files_of
from services.deid.certificate import (
    InvalidCertificateError,
    certify,
    public_key_text,
    signing_key,
    verified,
)
from services.deid.key_files import make_key, read_key
from services.deid.profile.options import (
    PRESETS,
    ContradictingOptionsError,
    Option,
    UnknownOptionError,
    options_of,
)
from services.deid.project_key import InvalidKeyError, ProjectKey

CERTIFICATE: Final = "certificate.json"
_SHOWN_REFUSALS: Final = 20
_console = Console(stderr=True, highlight=False)


class _FilesOrCommand(TyperGroup):
    """``deid IN OUT`` is short for ``deid run IN OUT``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """See click's ``Group``."""
        known = bool(args) and args[0] in self.commands
        return super().resolve_command(ctx, args if known else ["run", *args])


app = typer.Typer(cls=_FilesOrCommand, no_args_is_help=True)

KeyFile = Annotated[
    Path,
    typer.Option(
        help="The project's key; made when it is not there. Keep it: who has it can link."
    ),
]


@app.callback()
def deid() -> None:
    """De-identify DICOM files (PS3.15 Annex E), and verify certificates of it."""


@app.command()
def run(
    source: Annotated[Path, typer.Argument(exists=True, readable=True, help="File or folder.")],
    target: Annotated[Path, typer.Argument(help="Folder for what is released; new or empty.")],
    key_file: KeyFile,
    profile: Annotated[str, typer.Option(help=f"One of {', '.join(PRESETS)}.")] = "basic",
    options: Annotated[
        str, typer.Option(help="More options of the profile by name, separated by commas.")
    ] = "",
    key_version: Annotated[
        int, typer.Option(min=0, help="Version of the key, after it was rotated; 0 is the newest.")
    ] = 0,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes.")] = os.cpu_count() or 1,
    report: Annotated[
        Path | None,
        typer.Option(help="Write a report without values, an HTML file; costs some time."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """De-identify files: those that are proved clean go to TARGET, with a signed certificate.

    What cannot be proved is refused and named with its reason. Exit codes: 0 all are released,
    1 some are refused, 2 wrong usage.
    """
    chosen = _options(profile, options)
    if target.exists() and any(target.iterdir()):
        raise typer.BadParameter("must be new or empty", param_hint="TARGET")
    key = _project_key(key_file)
    secret = _version(key, key_version)
    files = files_of(source)
    if not files:
        _console.print("No DICOM files there.", style="red")
        raise typer.Exit(EXIT_FAILED)
    outcomes = _deidentified(files, Job(target, chosen, secret, counts=report is not None), workers)
    target.mkdir(parents=True, exist_ok=True)
    os.sync()  # once for all files, before anything is certified
    (target / CERTIFICATE).write_text(_certificate(key, chosen, outcomes), encoding="utf-8")
    if report is not None:
        page = report_html(outcomes, chosen, version("heimdallr"), _now())
        report.write_text(page, encoding="utf-8")
    _print(outcomes, target, as_json=as_json)
    if any(outcome.reason for outcome in outcomes):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def verify(
    target: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="What was released.")
    ],
    key_file: Annotated[Path | None, typer.Option(help="The project's key.")] = None,
    public_key: Annotated[str, typer.Option(help="Or the public key of who signed.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Verify the certificate of a folder, and that its files are those it names.

    Exit codes: 0 all is as certified, 1 something is not, 2 wrong usage.
    """
    if (key_file is None) == (not public_key):
        raise typer.BadParameter("give either --key-file or --public-key")
    if key_file is not None:
        public_key = public_key_text(signing_key(_read_key(key_file).first.key).public_key())
    try:
        content = verified((target / CERTIFICATE).read_text(encoding="utf-8"), public_key)
    except (InvalidCertificateError, FileNotFoundError) as error:
        _console.print(f"The certificate is not valid: {error}.", style="red")
        raise typer.Exit(EXIT_FAILED) from None
    found = _compared(target, content)
    if as_json:
        print_json({"valid": not any(found.values()), **found})
    else:
        _tell(content, found)
    if any(found.values()):
        raise typer.Exit(EXIT_FAILED)


@app.command(name="options")
def list_options() -> None:
    """List the options of the profile and the presets."""
    table = Table("option", "code", "meaning", box=None)
    for one in Option:
        table.add_row(one.label, one.code, one.meaning)
    Console().print(table)
    for name, chosen in PRESETS.items():
        labels = ", ".join(sorted(one.label for one in chosen)) or "no option"
        Console().print(f"[bold]{name}[/]: {labels}")


def _options(profile: str, options: str) -> frozenset[Option]:
    try:
        return options_of(profile, [name for name in options.split(",") if name.strip()])
    except (UnknownOptionError, ContradictingOptionsError) as error:
        raise typer.BadParameter(str(error), param_hint="--profile, --options") from None


def _project_key(path: Path) -> ProjectKey:
    """Read the key, or make one that only its owner can read."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = make_key(path)
        _console.print(f"Made a new project key: {path}. Without it nothing can be linked again.")
        return made
    return _read_key(path)


def _read_key(path: Path) -> ProjectKey:
    try:
        return read_key(path)
    except (InvalidKeyError, OSError) as error:
        rule = str(error) if isinstance(error, InvalidKeyError) else "cannot be read"
        raise typer.BadParameter(rule, param_hint="--key-file") from None


def _version(key: ProjectKey, number: int) -> bytes:
    if number and number not in key.versions:
        raise typer.BadParameter("the key has no such version", param_hint="--key-version")
    return key.versions[number or key.newest.number].key


def _deidentified(files: Sequence[Path], job: Job, workers: int) -> list[FileOutcome]:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=_console,
    ) as progress:
        steps = deidentify_files(files, job, workers)
        return list(progress.track(steps, len(files), description="De-identifying"))


def _certificate(
    key: ProjectKey, options: frozenset[Option], outcomes: Sequence[FileOutcome]
) -> str:
    entries = [outcome.entry for outcome in outcomes]
    return certify(key.first.key, key.key_id, options, version("heimdallr"), _now(), entries)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _print(outcomes: Sequence[FileOutcome], target: Path, *, as_json: bool) -> None:
    refused = [outcome for outcome in outcomes if outcome.reason]
    if as_json:
        print_json(
            {
                "files": len(outcomes),
                "released": len(outcomes) - len(refused),
                "refused": [
                    {"path": str(one.path), "code": one.entry.outcome, "reason": one.reason}
                    for one in refused
                ],
                "actions": dict(_counted(outcomes)),
                "certificate": str(target / CERTIFICATE),
            }
        )
        return
    _console.print(f"{len(outcomes) - len(refused)} of {len(outcomes)} released to {target}.")
    for code, count in Counter(one.entry.outcome for one in refused).most_common():
        _console.print(f"  {count} refused: {code}", style="yellow")
    for one in refused[:_SHOWN_REFUSALS]:
        _console.print(f"    {one.path}: {one.reason}", style="dim", markup=False)


def _counted(outcomes: Sequence[FileOutcome]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        counts.update(outcome.actions)
    return counts


def _compared(target: Path, content: Any) -> dict[str, list[str]]:
    certified = {entry["sha256"] for entry in content["entries"] if entry["outcome"] == RELEASED}
    there = {path.stem: path for path in target.rglob("*.dcm")}
    changed = [
        name
        for name, path in there.items()
        if hashlib.sha256(path.read_bytes()).hexdigest() != name
    ]
    return {
        "missing": sorted(certified - there.keys()),
        "not_certified": sorted(there.keys() - certified),
        "changed": sorted(changed),
    }


def _tell(content: Any, found: dict[str, list[str]]) -> None:
    released = sum(entry["outcome"] == RELEASED for entry in content["entries"])
    _console.print(f"Signed {content['time']} by {content['tool']}, key {content['key_id']}.")
    _console.print(f"{content['table']}: {released} of {len(content['entries'])} files released.")
    for what, names in found.items():
        for name in names:
            _console.print(f"{what.replace('_', ' ')}: {name}", style="red")
    if not any(found.values()):
        _console.print("Every file is as it was certified.", style="green")
