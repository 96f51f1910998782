"""The ``heimdallr`` command."""

from __future__ import annotations

import typer

from services.cli.demo import demo
from services.cli.doctor import doctor
from services.cli.phantom import phantom
from services.cli.replay import replay
from services.cli.send import send
from services.cli.status import status
from services.cli.studies import studies
from services.cli.study import study
from services.cli.token import token
from services.cli.up import up

app = typer.Typer(
    name="heimdallr",
    help="Imaging operations as a typed gRPC mesh.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(up)
app.command()(status)
app.command()(doctor)
app.command()(demo)
app.command()(send)
app.command()(studies)
app.command()(study)
app.command()(replay)
app.command()(token)
app.command()(phantom)


def main() -> None:
    """Run the command named by the arguments."""
    app()


if __name__ == "__main__":
    main()
