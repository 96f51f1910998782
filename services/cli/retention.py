"""``heimdallr retention``: rules by which studies are deleted, and holds that keep them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from heimdallr.retention.v1 import retention_service_pb2 as pb
from heimdallr.retention.v1.retention_service_pb2_grpc import RetentionServiceStub
from services.cli.connection import DataOption, JsonOption, mesh, print_json, run
from services.cli.results import StudyArgument, get_study
from services.cli.sizes import size_text

retention = typer.Typer(
    name="retention", no_args_is_help=True, help="What is deleted by itself, and what is held."
)

_BASES: Final = {"received": pb.AGE_BASIS_RECEIVED, "study-date": pb.AGE_BASIS_STUDY_DATE}
NameArgument = Annotated[str, typer.Argument(help="Name of the rule: a-z, 0-9, '-', '_'.")]
DaysOption = Annotated[int, typer.Option("--days", min=1, help="Age in days.")]
ModalityOption = Annotated[
    list[str] | None,
    typer.Option("--modality", help="Only studies of this modality alone; may be repeated."),
]
BasisOption = Annotated[
    str, typer.Option("--age-from", help="received (last instance) or study-date.")
]


@retention.command("rules")
def rules(data: DataOption, as_json: JsonOption = False) -> None:
    """List the rules, and what each has deleted."""

    async def ask(stub: Any) -> Message:
        return await stub.ListRules(pb.ListRulesRequest())  # type: ignore[no-any-return]

    def tell(answer: Any) -> str:
        lines = [f"{_rule_text(one.rule)}; {one.deleted_count} deleted" for one in answer.rules]
        return "\n".join(lines) or "There is no rule: nothing is deleted by itself."

    run(_call(data, ask, tell, as_json=as_json))


@retention.command("set")
def set_rule(
    name: NameArgument,
    data: DataOption,
    days: DaysOption,
    modality: ModalityOption = None,
    age_from: BasisOption = "received",
    disabled: Annotated[bool, typer.Option("--disabled", help="Keep it for later.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a rule or change it. Studies that are ready, old enough and not held are deleted."""
    rule = _rule(name, days, modality, age_from, enabled=not disabled)

    async def ask(stub: Any) -> Message:
        return (await stub.SetRule(pb.SetRuleRequest(rule=rule))).rule  # type: ignore[no-any-return]

    run(_call(data, ask, lambda answer: f"Set: {_rule_text(answer.rule)}", as_json=as_json))


@retention.command("preview")
def preview(
    data: DataOption,
    days: DaysOption,
    modality: ModalityOption = None,
    age_from: BasisOption = "received",
    as_json: JsonOption = False,
) -> None:
    """Tell what a rule would delete now."""
    rule = _rule("preview", days, modality, age_from, enabled=True)

    async def ask(stub: Any) -> Message:
        return await stub.PreviewRule(pb.PreviewRuleRequest(rule=rule))  # type: ignore[no-any-return]

    def tell(answer: Any) -> str:
        return (
            f"Would delete {answer.study_count} studies with {answer.instance_count} images,"
            f" {size_text(answer.size_bytes)}; {answer.held_count} more are held."
        )

    run(_call(data, ask, tell, as_json=as_json))


@retention.command("remove")
def remove(name: NameArgument, data: DataOption) -> None:
    """Forget a rule."""

    async def ask(stub: Any) -> Message:
        return await stub.DeleteRule(pb.DeleteRuleRequest(name=name))  # type: ignore[no-any-return]

    run(_call(data, ask, lambda _: f"Forgotten: {name}", as_json=False))


@retention.command("hold")
def hold(
    uid: StudyArgument,
    data: DataOption,
    reason: Annotated[str, typer.Option(help="Why. No patient data.")],
) -> None:
    """Keep a study from being deleted until it is released."""

    async def ask(stub: Any, study_id: str) -> str:
        await stub.HoldStudy(pb.HoldStudyRequest(study_id=study_id, reason=reason))
        return "Held."

    run(_of_study(data, uid, ask))


@retention.command("release")
def release(uid: StudyArgument, data: DataOption) -> None:
    """End a hold."""

    async def ask(stub: Any, study_id: str) -> str:
        await stub.ReleaseStudy(pb.ReleaseStudyRequest(study_id=study_id))
        return "Released."

    run(_of_study(data, uid, ask))


@retention.command("holds")
def holds(data: DataOption, as_json: JsonOption = False) -> None:
    """List the studies that are held."""

    async def ask(stub: Any) -> Message:
        return await stub.ListHolds(pb.ListHoldsRequest())  # type: ignore[no-any-return]

    def tell(answer: Any) -> str:
        lines = [f"{one.study_id}  {one.subject}: {one.reason!r}" for one in answer.holds]
        return "\n".join(lines) or "No study is held."

    run(_call(data, ask, tell, as_json=as_json))


async def _call(
    data: Path | None,
    ask: Callable[[Any], Awaitable[Message]],
    tell: Callable[[Any], str],
    *,
    as_json: bool,
) -> int:
    async with mesh(data) as channel:
        answer = await ask(RetentionServiceStub(channel))
    if as_json:
        print_json(
            MessageToDict(
                answer,
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
            )
        )
    else:
        typer.echo(tell(answer))
    return 0


async def _of_study(data: Path | None, uid: str, ask: Callable[[Any, str], Awaitable[str]]) -> int:
    async with mesh(data) as channel:
        study_id = (await get_study(channel, uid)).study.study_id
        typer.echo(await ask(RetentionServiceStub(channel), study_id))
    return 0


def _rule(
    name: str, days: int, modality: list[str] | None, age_from: str, *, enabled: bool
) -> pb.Rule:
    if age_from not in _BASES:
        raise typer.BadParameter(" or ".join(_BASES), param_hint="--age-from")
    return pb.Rule(
        name=name,
        modalities=[one.upper() for one in modality or ()],
        age_basis=_BASES[age_from],
        age_days=days,
        enabled=enabled,
    )


def _rule_text(rule: pb.Rule) -> str:
    basis = next(word for word, value in _BASES.items() if value == rule.age_basis)
    which = "/".join(rule.modalities) or "any modality"
    state = "" if rule.enabled else " (disabled)"
    return f"{rule.name}{state}: {which}, {rule.age_days} days from {basis}"
