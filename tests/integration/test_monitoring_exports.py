"""Alert rules, dashboard, metrics and notifications, checked with the programs that read them."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_py312.rollout.canary_analysis.time_series import CONTROL_PREFIX, ServiceMetrics
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.model import StageState
from pytest_py312.rollout.metrics.http_client import http_request
from pytest_py312.rollout.metrics.prometheus import run_query
from pytest_py312.rollout.metrics.reading import MetricReading
from pytest_py312.rollout.reporting.alert_rules import BudgetRule, alert_rules, budget_alerts, format_rules
from pytest_py312.rollout.reporting.grafana_dashboard import build_dashboard
from pytest_py312.rollout.reporting.notifications import Notice, notice_for_change
from pytest_py312.rollout.reporting.prometheus_metrics import (
    StageMetrics,
    exported_names,
    render_metrics,
    serve_metrics,
)
from tests.integration.local_servers import OK, Handler, answer_with, listening, never_answer, request_on
from tests.integration.prometheus_tools import alertmanager, prometheus, promtool
from tests.unit.rollout.runs import notifier, soaking

SERVICE = 'environment="test", stage="1", service="user"'
STAGE = 'environment="test", stage="1"'
WHERE = "user (stage 1, test)"


def failed(metric: str) -> str:
    return f'py312_measurement_failed{{{SERVICE}, metric="{metric}"}}'


def counted(result: str) -> str:
    return f'py312_measurement_total{{{SERVICE}, metric="availability", result="{result}"}}'


def value(metric: str, version: str) -> str:
    return f'py312_measurement_value{{{SERVICE}, metric="{metric}", version="{version}"}}'


def state(name: str) -> str:
    return f'py312_stage_state{{{STAGE}, state="{name}"}}'


FIRING: list[tuple[str, dict[str, str], str, str]] = [
    # (alert, series with a value each minute, minute at which it fires, its summary)
    (
        "Py312ServiceUnavailable",
        {failed("availability"): "0+0x10 1+0x30", counted("failed"): "0+0x10 1+1x30"},
        "15m",
        f"{WHERE} does not answer",
    ),
    (
        "Py312ErrorBudgetBurnsFast",
        {counted("failed"): "0+1x120", counted("successful"): "0+3x120"},
        "90m",
        f"{WHERE} uses up its error budget quickly",
    ),
    (
        "Py312ErrorBudgetBurns",
        {counted("failed"): "0+1x500", counted("successful"): "0+9x500"},
        "480m",
        f"{WHERE} uses up its error budget",
    ),
    (
        "Py312ServiceRestarts",
        {f"py312_service_restarts_total{{{SERVICE}}}": "0+0x10 1 2 3 4+0x10"},
        "16m",
        f"{WHERE} was restarted three times",
    ),
    ("Py312OutOfMemory", {failed("out of memory"): "1+0x5"}, "2m", f"{WHERE} was killed: out of memory"),
    (
        "Py312NewException",
        {failed("exceptions"): "1+0x5"},
        "2m",
        f"{WHERE} logs an exception that the previous version does not",
    ),
    (
        "Py312Slower",
        {value("latency", "new"): "3+0x200", value("latency", "old"): "2+0x200"},
        "150m",
        f"{WHERE} takes 1.5 times as long as the previous version",
    ),
    (
        "Py312MemoryGrows",
        {value("memory", "new"): "0+1048576x900"},
        "800m",
        f"{WHERE} grows by 60MiB per hour",
    ),
    ("Py312StageHeld", {state("held"): "1+0x5"}, "2m", "Stage 1 in test waits for a decision"),
    ("Py312RollbackFailed", {state("rollback failed"): "1+0x5"}, "2m", "Stage 1 in test could not be rolled back"),
    (
        "Py312RolledBack",
        {state("rolled back"): "0+0x100 1+0x200"},
        "120m",
        "Stage 1 in test was rolled back to the previous version",
    ),
    (
        "Py312NotMonitored",
        {f"py312_soak_last_sample_timestamp_seconds{{{STAGE}}}": "0+0x60", state("soaking"): "1+0x60"},
        "20m",
        "Stage 1 in test was last sampled 20m 0s ago",
    ),
    (
        "Py312MetricsAbsent",
        {"something_else": "1+0x60"},
        "40m",
        "No watcher exports metrics: it has ended, or Prometheus cannot reach it",
    ),
    (
        "Py312SoakInconclusive",
        {f"py312_soak_inconclusive{{{STAGE}}}": "2+0x60"},
        "40m",
        "Stage 1 in test earns no credit: 2 metrics are inconclusive",
    ),
]
SILENT: list[tuple[str, dict[str, str], str]] = [
    # (alert, series, minute at which it is silent)
    ("Py312ServiceUnavailable", {failed("availability"): "0 1 0+0x30", counted("failed"): "0 1+0x30"}, "5m"),
    ("Py312ErrorBudgetBurnsFast", {counted("failed"): "0+0x60 1+0x60", counted("successful"): "0+1x120"}, "90m"),
    ("Py312ServiceRestarts", {f"py312_service_restarts_total{{{SERVICE}}}": "0+0x10 1+0x20"}, "16m"),
    ("Py312Slower", {value("latency", "new"): "3+0x200"}, "150m"),
    ("Py312RolledBack", {state("rolled back"): "1+0x300"}, "200m"),
    ("Py312NotMonitored", {f"py312_soak_last_sample_timestamp_seconds{{{STAGE}}}": "0+0x60"}, "20m"),
    ("Py312MetricsAbsent", {state("accepted"): "1+0x60"}, "40m"),
]


def input_series(series: dict[str, str]) -> list[dict[str, str]]:
    return [{"series": name, "values": values} for name, values in series.items()]


def rule_test(alert: str, series: dict[str, str], at: str, expected: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "interval": "1m",
        "input_series": input_series(series),
        "alert_rule_test": [{"alertname": alert, "eval_time": at, "exp_alerts": expected}],
    }


def expected_alert(alert: str, series: dict[str, str], summary: str) -> dict[str, Any]:
    rule = next(rule for rule in alert_rules() if rule.name == alert)
    name = next(iter(series))
    written = name.partition("{")[2].rstrip("}").split(", ") if "{" in name else []
    labels = {key: value.strip('"') for key, value in (label.split("=") for label in written)}
    if alert.startswith("Py312ErrorBudget"):  # summed over the rest
        labels = {key: labels[key] for key in ("environment", "stage", "service")}
    if alert == "Py312Slower":
        labels.pop("version")
    notes = {"summary": summary} | ({"description": rule.description} if rule.description else {})
    return {"exp_labels": labels | {"severity": rule.severity}, "exp_annotations": notes}


def test_each_rule_fires_when_it_must_and_only_then(tmp_path: Path) -> None:
    assert {alert for alert, *_ in FIRING} == {rule.name for rule in alert_rules()}
    (tmp_path / "rules.yml").write_text(format_rules(alert_rules()))
    checked = promtool("check", "rules", str(tmp_path / "rules.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tests = [
        rule_test(name, series, at, [expected_alert(name, series, answer_with)])
        for name, series, at, answer_with in FIRING
    ]
    tests += [rule_test(name, series, at, []) for name, series, at in SILENT]
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(document))
    tested = promtool("test", "rules", str(tmp_path / "tests.yml"))
    assert tested.returncode == 0, tested.stdout + tested.stderr


ERRORS, REQUESTS = value("errors", "new"), value("errors requests", "new")
BUDGET = BudgetRule(metric="errors", share=0.001, services=("user", "a.b"), min_requests=50)
SAYS = f"{WHERE}: errors are {{}} times as frequent as allowed"
BURNING: list[tuple[str, dict[str, str], str, str]] = [
    ("Py312MetricBudgetBurnsFast", {ERRORS: "0.02+0x120", REQUESTS: "100+0x120"}, "90m", "14.4"),
    ("Py312MetricBudgetBurns", {ERRORS: "0.008+0x500", REQUESTS: "100+0x500"}, "480m", "6"),
    # most of the requests had errors, and most of the samples had few requests
    ("Py312MetricBudgetBurnsFast", {ERRORS: "0+0x59 0.03+0x60", REQUESTS: "1+0x59 1000+0x60"}, "90m", "14.4"),
]
KEPT: list[tuple[str, dict[str, str], str]] = [
    ("Py312MetricBudgetBurnsFast", {ERRORS: "0.01+0x120", REQUESTS: "100+0x120"}, "90m"),
    ("Py312MetricBudgetBurnsFast", {ERRORS: "0.5+0x90 0+0x60", REQUESTS: "100+0x150"}, "120m"),  # it has stopped
    ("Py312MetricBudgetBurnsFast", {ERRORS: "0.5+0x120", REQUESTS: "1+0x120"}, "90m"),  # of a handful of requests
    ("Py312MetricBudgetBurnsFast", {ERRORS: "0+0x120", REQUESTS: "0+0x120"}, "90m"),
    ("Py312MetricBudgetBurnsFast", {REQUESTS: "100+0x120"}, "90m"),
]


def test_an_error_budget_is_used_up_by_requests_and_not_by_samples(tmp_path: Path) -> None:
    rules = budget_alerts([BUDGET], interval=300.0)
    (tmp_path / "rules.yml").write_text(format_rules(rules))
    labels = {"environment": "test", "stage": "1", "service": "user", "metric": "errors"}
    severe = {rule.name: {"severity": rule.severity} for rule in rules}
    tests = [
        rule_test(
            name, series, at,
            [{"exp_labels": labels | severe[name], "exp_annotations": {"summary": SAYS.format(times)}}],
        )
        for name, series, at, times in BURNING
    ]  # fmt: skip
    tests += [rule_test(name, series, at, []) for name, series, at in KEPT]
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(document))
    tested = promtool("test", "rules", str(tmp_path / "tests.yml"))
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_each_expression_of_the_dashboard_is_valid() -> None:
    for panel in build_dashboard()["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "5m")
            parsed = promtool("--experimental", "promql", "format", expression)
            assert parsed.returncode == 0, f"{panel['title']}: {parsed.stderr}"


def test_promtool_accepts_the_metrics() -> None:
    """Its linter checks names as well."""
    text = render_metrics([StageMetrics(run=soaking(), metrics_by_service={"user": service_metrics()})]).decode()
    linted = promtool("check", "metrics", text=text)
    assert linted.returncode == 0, linted.stderr + linted.stdout


def service_metrics() -> ServiceMetrics:
    metrics = ServiceMetrics()
    row = tuple(
        Measurement(metric=name, result=result, value=number)
        for name, result, number in (
            ("availability", Result.FAILED, None),
            ("latency", Result.SUCCESSFUL, 0.2),
            (f"{CONTROL_PREFIX}latency", Result.SUCCESSFUL, 0.1),
        )
    )
    at = Timestamp(wall=time.time(), boottime=1.0, boot="b")
    metrics.add(Sample(service="user", slot=1, at=at, measurements=row))
    return metrics


async def until(answer: Callable[[], Awaitable[bool]], seconds: float = 25.0) -> None:
    """Poll until ``answer`` is true."""
    async with asyncio.timeout(seconds):
        while not await answer():
            await asyncio.sleep(0.1)


def test_a_real_prometheus_scrapes_the_metrics_and_alerts_a_webhook(tmp_path: Path) -> None:
    """End to end: metrics over HTTP, a scrape, the rules, an Alertmanager, and its webhook."""
    asyncio.run(export_and_alert(tmp_path))


async def export_and_alert(tmp_path: Path) -> None:
    alerts: list[dict[str, Any]] = []

    async def hook(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await request_on(reader)
        alerts.extend(json.loads(request.partition(b"\r\n\r\n")[2])["alerts"])
        writer.write(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await writer.drain()

    run = soaking(state=StageState.HELD)
    figures = [StageMetrics(run=run, metrics_by_service={"user": service_metrics()}, interval=300.0)]
    (tmp_path / "rules.yml").write_text(format_rules(alert_rules()))
    async with listening(hook) as hook_port, serve_metrics(lambda: render_metrics(figures), render_page=str) as port:
        with alertmanager(tmp_path, f"http://127.0.0.1:{hook_port}/") as manager:
            configuration = {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": ["rules.yml"],
                "alerting": {"alertmanagers": [{"static_configs": [{"targets": [manager]}]}]},
                "scrape_configs": [{"job_name": "py312", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
            }
            with prometheus(tmp_path, configuration) as address:
                await until(lambda: has_value(address, "py312_soak_duration_seconds", run.soak))
                await check_provider_answers(address)
                loaded = json.loads((await http_request(f"{address}/api/v1/rules", timeout=5.0)).body)["data"]["groups"]
                assert [rule["name"] for rule in loaded[0]["rules"]] == [rule.name for rule in alert_rules()]
                stored = json.loads((await http_request(f"{address}/api/v1/label/__name__/values", timeout=5.0)).body)[
                    "data"
                ]
                assert {name for name in stored if name.startswith("py312_")} <= exported_names()
                await until(lambda: has_alert(alerts, "Py312StageHeld"))
    held = next(alert for alert in alerts if alert["labels"]["alertname"] == "Py312StageHeld")
    assert held["annotations"]["summary"] == "Stage 1 in test waits for a decision"


async def has_value(address: str, expression: str, wanted: float) -> bool:
    return (await run_query(address, expression, timeout=5.0)).value == wanted


async def has_alert(alerts: list[dict[str, Any]], name: str) -> bool:
    return any(alert["labels"]["alertname"] == name for alert in alerts)


async def check_provider_answers(address: str) -> None:
    """Check how results without a value and invalid queries of a real Prometheus are read."""

    async def asked(expression: str) -> MetricReading:
        return await run_query(address, expression, timeout=5.0)

    nothing = await asked("sum(rate(errors_total[5m])) / sum(rate(requests_total[5m]))")
    assert (nothing.value, nothing.result) == (None, None)
    assert nothing.detail.startswith("no series")
    nothing_by_nothing = await asked("vector(0) / vector(0)")
    assert (nothing_by_nothing.value, nothing_by_nothing.result) == (None, None)
    assert nothing_by_nothing.detail.startswith("NaN")
    assert (await asked("scalar(vector(3))")).value == 3.0
    for wrong in ("sum(", "py312_stage_state", "up[5m]", '"text"'):
        assert (await asked(wrong)).result is Result.ERROR, wrong


# ---- notifications


def held() -> Notice:
    notice = notice_for_change(soaking(), soaking(state=StageState.HELD))
    assert notice is not None
    return notice


def posted_to(handler: Handler, limit: float = 5.0) -> list[str]:
    async def all_of_it() -> list[str]:
        async with listening(handler) as port:
            return await notifier(timeout=limit, webhooks=(f"http://127.0.0.1:{port}/secret",)).send(held())

    return asyncio.run(all_of_it())


def test_a_webhook_receives_the_notice() -> None:
    got: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await request_on(reader))
        writer.write(OK)
        await writer.drain()

    assert posted_to(handler) == []
    head, _, body = got[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /secret HTTP/1.1")
    assert json.loads(body)["text"] == "Stage 1 in test waits for a decision"


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (answer_with(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), "answers with HTTP 500"),
        (never_answer, "no complete answer within 0.3 s"),
    ],
)
def test_a_failing_webhook_is_reported_without_its_secret(handler: Handler, expected: str) -> None:
    (problem,) = posted_to(handler, limit=0.3 if handler is never_answer else 5.0)
    assert expected in problem
    assert "secret" not in problem


def test_a_command_receives_the_notice_on_stdin(tmp_path: Path) -> None:
    write = "import sys, os; open(sys.argv[1], 'w').write(sys.stdin.read() + os.environ['PY312_EVENT'])"
    argv = (sys.executable, "-c", write, str(tmp_path / "notice"))
    assert asyncio.run(notifier(notify=(argv,)).send(held())) == []
    assert (tmp_path / "notice").read_text() == held().document() + "held"


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ((sys.executable, "-c", "import sys; sys.exit('no mail today')"), "no mail today"),
        ((sys.executable, "-c", "import time; time.sleep(60)"), "time limit reached"),
        (("/no/such/program",), "not started"),
    ],
)
def test_a_failing_command_is_reported(argv: tuple[str, ...], expected: str) -> None:
    (problem,) = asyncio.run(notifier(timeout=1.0, notify=(argv,)).send(held()))
    assert expected in problem
