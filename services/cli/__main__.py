"""The ``heimdallr`` command."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from services.cli.backup.command import backup, restore
from services.cli.complete import complete
from services.cli.conformance import conformance
from services.cli.deid import app as deid
from services.cli.deid_crosswalk import reidentify
from services.cli.deid_projects import projects
from services.cli.deid_review import review, start
from services.cli.delete import delete
from services.cli.demo import demo
from services.cli.dicom import dicom
from services.cli.doctor import doctor
from services.cli.fetch import fetch
from services.cli.patients import patients
from services.cli.peers import peers
from services.cli.phantom import phantom
from services.cli.push import push
from services.cli.query import query
from services.cli.replay import replay
from services.cli.retention import retention
from services.cli.send import send
from services.cli.site import site
from services.cli.sources import sources
from services.cli.status import status
from services.cli.storage import collect, scrub
from services.cli.studies import studies
from services.cli.study import study
from services.cli.token import token
from services.cli.up import up
from services.cli.upload import upload
from services.cli.worklist import worklist


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"heimdallr {metadata.version('heimdallr')}")
        raise typer.Exit


app = typer.Typer(
    name="heimdallr",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def heimdallr(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Imaging operations as a typed gRPC mesh."""


app.command()(up)
app.command()(status)
app.command()(doctor)
app.command()(demo)
app.command()(send)
app.command()(upload)
app.add_typer(sources)
app.add_typer(dicom)
app.command()(conformance)
app.command()(studies)
app.command()(study)
app.command()(replay)
app.add_typer(patients)
app.add_typer(peers)
app.command()(push)
app.command()(query)
app.command()(fetch)
app.command()(complete)
app.add_typer(worklist)
app.command()(delete)
app.add_typer(retention)
app.command()(scrub)
app.command()(collect)
app.command()(backup)
app.command()(restore)
deid.add_typer(projects)
deid.command()(start)
deid.add_typer(review)
deid.add_typer(reidentify)
app.add_typer(deid, name="deid")
app.add_typer(site)
app.command()(token)
app.command()(phantom)


def main() -> None:
    """Run the command named by the arguments."""
    app()


if __name__ == "__main__":
    main()
