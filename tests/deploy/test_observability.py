"""Every query of the dashboard and the alerts asks for a metric that is exported."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client import Counter, Gauge, Histogram

from services.cli.stack.metrics import EXPOSING

FOLDER: Final = Path(__file__).resolve().parents[2] / "deploy/observability"
MODULES: Final = (
    "services.runtime.metrics",
    "services.runtime.database_metrics",
    "services.coordinator.operations.gauges",
    "services.coordinator.workflow.metrics",
    "services.coordinator.storage.metrics",
    "services.analysis.metrics",
    "services.conversion.metrics",
    "services.reporting.metrics",
    "services.deid.metrics",
    "gateway.metrics",
)
OF_THE_PROCESS: Final = frozenset(
    {"up", "process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"}
)
OF_PROMETHEUS: Final = frozenset({"job", "le"})
WORDS: Final = frozenset({"by", "sum", "rate", "max", "min", "topk", "histogram_quantile"})
STRING: Final = re.compile(r'"[^"]*"')
SELECTOR: Final = re.compile(r"([a-z_][a-z0-9_]*)\{([^}]*)\}")
LABEL: Final = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
GROUPING: Final = re.compile(r"by \(([^)]*)\)")
NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
ALERT: Final = re.compile(r"expr: (?:>-\n((?: {10}.+\n)+)|(.+))")


def exported() -> dict[str, frozenset[str]]:
    """Return the labels of every sample of ours by its name."""
    found: dict[str, frozenset[str]] = {}
    for module in map(importlib.import_module, MODULES):
        for metric in vars(module).values():
            if isinstance(metric, Counter | Gauge | Histogram):
                found |= dict.fromkeys(_samples(metric), frozenset(metric._labelnames))
    return found


def _samples(metric: Counter | Gauge | Histogram) -> Iterator[str]:
    [family] = metric.describe()
    if isinstance(metric, Histogram):
        yield from (f"{family.name}_{part}" for part in ("bucket", "sum", "count"))
    else:
        yield f"{family.name}_total" if isinstance(metric, Counter) else family.name


def dashboard() -> Any:
    return json.loads((FOLDER / "grafana-dashboard.json").read_text())


def dashboard_queries() -> list[str]:
    return [
        target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())
    ]


def alert_queries() -> list[str]:
    text = (FOLDER / "alerts.yml").read_text()
    return [" ".join((folded or plain).split()) for folded, plain in ALERT.findall(text)]


def faults(query: str, known: Mapping[str, frozenset[str]]) -> list[str]:
    """Return what a query asks for and nobody exports."""
    found = []
    bare = STRING.sub('""', query).replace("$__rate_interval", "1m")
    for name, selector in SELECTOR.findall(bare):
        allowed = known.get(name, frozenset()) | OF_PROMETHEUS
        found += [f"{name}.{label}" for label in LABEL.findall(selector) if label not in allowed]
    grouped = {label.strip() for labels in GROUPING.findall(bare) for label in labels.split(",")}
    plain = re.sub(r"\[[^\]]*\]", "", GROUPING.sub("", SELECTOR.sub(r"\1", bare)))
    names = set(NAME.findall(plain)) - WORDS
    labels = OF_PROMETHEUS.union(*(known.get(name, frozenset()) for name in names))
    return [*found, *(names - known.keys()), *(grouped - labels)]


def known_names() -> dict[str, frozenset[str]]:
    envoy = {
        "envoy_http_downstream_rq_xx": frozenset(
            {"envoy_response_code_class", "envoy_http_conn_manager_prefix"}
        )
    }
    return exported() | dict.fromkeys(OF_THE_PROCESS, frozenset()) | envoy


@pytest.mark.parametrize("query", [*dashboard_queries(), *alert_queries()])
def test_a_query_asks_for_what_is_exported(query: str) -> None:
    assert faults(query, known_names()) == []


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("sum(heimdallr_study)", "heimdallr_study"),
        ("sum(rate(heimdallr_denials[1m]))", "heimdallr_denials"),
        ('sum(heimdallr_studies{stage="x"})', "heimdallr_studies.stage"),
        ("sum by (way) (heimdallr_studies)", "way"),
    ],
)
def test_a_wrong_query_would_be_found(query: str, fault: str) -> None:
    assert faults(query, known_names()) == [fault]


def test_each_room_of_the_system_is_on_the_dashboard() -> None:
    shown = set(NAME.findall(" ".join(dashboard_queries())))

    unseen = {name for name in exported() if name.endswith("_total")} - shown
    assert unseen == set()


def test_the_alerts_cover_what_cannot_wait() -> None:
    text = (FOLDER / "alerts.yml").read_text()
    alerts = set(re.findall(r"alert: (\w+)", text))

    assert len(alert_queries()) == len(alerts)
    needed = {"ProcessDown", "StudiesHeld", "QueueWaits", "GatewayRefuses", "DiskAtWatermark"}
    assert needed <= alerts


def test_prometheus_has_one_job_for_each_process() -> None:
    text = (FOLDER / "prometheus.yml").read_text()
    jobs = re.findall(r"job_name: (\w+)\n    metrics_path: /metrics/(\w+)\n", text)

    assert sorted(jobs) == sorted((name, name) for name in (*EXPOSING, "envoy"))


def test_panels_do_not_overlap_and_have_their_own_number() -> None:
    panels = dashboard()["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)
