"""Rules, dashboard, figures and notices with the programs that they are for."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_py312.rollout.canary_analysis.time_series import OLD, Tally
from pytest_py312.rollout.domain.model import Measurement, Moment, Result, Sample, StageState
from pytest_py312.rollout.metrics.http_client import ask
from pytest_py312.rollout.metrics.prometheus import query
from pytest_py312.rollout.metrics.reading import Reading
from pytest_py312.rollout.reporting.alert_rules import BudgetRule, alert_rules, budget_alerts, rules_text
from pytest_py312.rollout.reporting.grafana_dashboard import dashboard
from pytest_py312.rollout.reporting.notifications import Notice, Notifier, notice_of
from pytest_py312.rollout.reporting.prometheus_metrics import exported_names, figures_of, serving, text_of
from tests.integration.local_servers import OK, Handler, listening, never_answers, request_on, says
from tests.integration.prometheus_tools import alertmanager, prometheus, promtool
from tests.unit.rollout.runs import soaking

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
    # (alert, series of a value each minute, minute at which it fires, what it says)
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
        f"{WHERE} fails more often than can be waited for",
    ),
    (
        "Py312ErrorBudgetBurns",
        {counted("failed"): "0+1x500", counted("successful"): "0+9x500"},
        "480m",
        f"{WHERE} fails more often than it may",
    ),
    (
        "Py312ServiceRestarts",
        {f"py312_service_restarts_total{{{SERVICE}}}": "0+0x10 1 2 3 4+0x10"},
        "16m",
        f"{WHERE} was started again three times",
    ),
    ("Py312OutOfMemory", {failed("out of memory"): "1+0x5"}, "2m", f"{WHERE} was ended for want of memory"),
    (
        "Py312NewException",
        {failed("exceptions"): "1+0x5"},
        "2m",
        f"{WHERE} logs an exception that the old version does not",
    ),
    (
        "Py312Slower",
        {value("latency", "new"): "3+0x200", value("latency", "old"): "2+0x200"},
        "150m",
        f"{WHERE} takes 1.5 times as long as the old version",
    ),
    (
        "Py312MemoryGrows",
        {value("memory", "new"): "0+1048576x900"},
        "800m",
        f"{WHERE} grows by 60MiB an hour",
    ),
    ("Py312StageHeld", {state("held"): "1+0x5"}, "2m", "Stage 1 in test waits for a decision"),
    ("Py312RollbackFailed", {state("rollback failed"): "1+0x5"}, "2m", "Stage 1 in test could not be brought back"),
    (
        "Py312RolledBack",
        {state("rolled back"): "0+0x100 1+0x200"},
        "120m",
        "Stage 1 in test was brought back to the old version",
    ),
    (
        "Py312NobodyWatches",
        {f"py312_soak_last_sample_timestamp_seconds{{{STAGE}}}": "0+0x60", state("soaking"): "1+0x60"},
        "20m",
        "Stage 1 in test was last looked at 20m 0s ago",
    ),
    (
        "Py312NothingIsTold",
        {"something_else": "1+0x60"},
        "40m",
        "No watcher tells anything: it is gone, or its figures do not get here",
    ),
    (
        "Py312CannotTell",
        {f"py312_soak_untold{{{STAGE}}}": "2+0x60"},
        "40m",
        "Stage 1 in test is not credited: 2 metrics cannot be told",
    ),
]
SILENT: list[tuple[str, dict[str, str], str]] = [
    # (alert, series, minute at which it is silent)
    ("Py312ServiceUnavailable", {failed("availability"): "0 1 0+0x30", counted("failed"): "0 1+0x30"}, "5m"),
    ("Py312ErrorBudgetBurnsFast", {counted("failed"): "0+0x60 1+0x60", counted("successful"): "0+1x120"}, "90m"),
    ("Py312ServiceRestarts", {f"py312_service_restarts_total{{{SERVICE}}}": "0+0x10 1+0x20"}, "16m"),
    ("Py312Slower", {value("latency", "new"): "3+0x200"}, "150m"),
    ("Py312RolledBack", {state("rolled back"): "1+0x300"}, "200m"),
    ("Py312NobodyWatches", {f"py312_soak_last_sample_timestamp_seconds{{{STAGE}}}": "0+0x60"}, "20m"),
    ("Py312NothingIsTold", {state("accepted"): "1+0x60"}, "40m"),
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
    labels = {key: value.strip('"') for key, value in (one.split("=") for one in written)}
    if alert.startswith("Py312ErrorBudget"):  # summed over the rest
        labels = {key: labels[key] for key in ("environment", "stage", "service")}
    if alert == "Py312Slower":
        labels.pop("version")
    notes = {"summary": summary} | ({"description": rule.description} if rule.description else {})
    return {"exp_labels": labels | {"severity": rule.severity}, "exp_annotations": notes}


def test_each_rule_fires_when_it_has_to_and_not_when_it_must_not(tmp_path: Path) -> None:
    assert {alert for alert, *_ in FIRING} == {rule.name for rule in alert_rules()}
    (tmp_path / "rules.yml").write_text(rules_text(alert_rules()))
    checked = promtool("check", "rules", str(tmp_path / "rules.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tests = [rule_test(name, series, at, [expected_alert(name, series, says)]) for name, series, at, says in FIRING]
    tests += [rule_test(name, series, at, []) for name, series, at in SILENT]
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(document))
    tested = promtool("test", "rules", str(tmp_path / "tests.yml"))
    assert tested.returncode == 0, tested.stdout + tested.stderr


ERRORS, REQUESTS = value("errors", "new"), value("errors requests", "new")
BUDGET = BudgetRule(metric="errors", share=0.001, services=("user", "a.b"), fewest=50)
SAYS = f"{WHERE}: errors come {{}} times as often as they may"
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


def test_a_budget_of_the_plan_burns_by_requests_and_not_by_samples(tmp_path: Path) -> None:
    rules = budget_alerts([BUDGET], interval=300.0)
    (tmp_path / "rules.yml").write_text(rules_text(rules))
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


def test_each_expression_of_the_dashboard_is_one() -> None:
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "5m")
            parsed = promtool("--experimental", "promql", "format", expression)
            assert parsed.returncode == 0, f"{panel['title']}: {parsed.stderr}"


def test_the_figures_are_what_promtool_calls_good() -> None:
    """Its linter has an opinion about names as well."""
    text = text_of([figures_of(soaking(), tallies={"user": watched()})]).decode()
    linted = promtool("check", "metrics", text=text)
    assert linted.returncode == 0, linted.stderr + linted.stdout


def watched() -> Tally:
    tally = Tally()
    row = tuple(
        Measurement(metric=name, result=result, value=number)
        for name, result, number in (
            ("availability", Result.FAILED, None),
            ("latency", Result.SUCCESSFUL, 0.2),
            (f"{OLD}latency", Result.SUCCESSFUL, 0.1),
        )
    )
    at = Moment(wall=time.time(), boottime=1.0, boot="b")
    tally.add(Sample(service="user", slot=1, at=at, measurements=row))
    return tally


async def until(answer: Callable[[], Awaitable[bool]], seconds: float = 25.0) -> None:
    """Ask again until it is so."""
    async with asyncio.timeout(seconds):
        while not await answer():
            await asyncio.sleep(0.1)


def test_a_real_prometheus_reads_it_and_an_alert_reaches_a_webhook(tmp_path: Path) -> None:
    """All the way: figures over HTTP, a scrape, the rules, an Alertmanager, and somebody who is told."""
    asyncio.run(all_the_way(tmp_path))


async def all_the_way(tmp_path: Path) -> None:
    alerts: list[dict[str, Any]] = []

    async def hook(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await request_on(reader)
        alerts.extend(json.loads(request.partition(b"\r\n\r\n")[2])["alerts"])
        writer.write(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await writer.drain()

    run = soaking(state=StageState.HELD)
    figures = [figures_of(run, tallies={"user": watched()}, interval=300.0)]
    (tmp_path / "rules.yml").write_text(rules_text(alert_rules()))
    async with listening(hook) as hook_port, serving(lambda: text_of(figures)) as port:
        with alertmanager(tmp_path, f"http://127.0.0.1:{hook_port}/") as manager:
            configuration = {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": ["rules.yml"],
                "alerting": {"alertmanagers": [{"static_configs": [{"targets": [manager]}]}]},
                "scrape_configs": [{"job_name": "py312", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
            }
            with prometheus(tmp_path, configuration) as address:
                await until(lambda: has_value(address, "py312_soak_wanted_seconds", run.soak))
                await the_provider_asks(address)
                loaded = json.loads((await ask(f"{address}/api/v1/rules", limit=5.0)).body)["data"]["groups"]
                assert [rule["name"] for rule in loaded[0]["rules"]] == [rule.name for rule in alert_rules()]
                stored = json.loads((await ask(f"{address}/api/v1/label/__name__/values", limit=5.0)).body)["data"]
                assert {name for name in stored if name.startswith("py312_")} <= exported_names()
                await until(lambda: told_of(alerts, "Py312StageHeld"))
    held = next(alert for alert in alerts if alert["labels"]["alertname"] == "Py312StageHeld")
    assert held["annotations"]["summary"] == "Stage 1 in test waits for a decision"


async def has_value(address: str, expression: str, wanted: float) -> bool:
    return (await query(address, expression, limit=5.0)).value == wanted


async def told_of(alerts: list[dict[str, Any]], name: str) -> bool:
    return any(alert["labels"]["alertname"] == name for alert in alerts)


async def the_provider_asks(address: str) -> None:
    """What the real one answers to the questions that others have stumbled over."""

    async def asked(expression: str) -> Reading:
        return await query(address, expression, limit=5.0)

    nothing = await asked("sum(rate(errors_total[5m])) / sum(rate(requests_total[5m]))")
    assert (nothing.value, nothing.result) == (None, None)
    assert nothing.detail.startswith("no series")
    nothing_by_nothing = await asked("vector(0) / vector(0)")
    assert (nothing_by_nothing.value, nothing_by_nothing.result) == (None, None)
    assert nothing_by_nothing.detail.startswith("NaN")
    assert (await asked("scalar(vector(3))")).value == 3.0
    for wrong in ("sum(", "py312_stage_state", "up[5m]", '"text"'):
        assert (await asked(wrong)).result is Result.ERROR, wrong


# ---- notices


def held() -> Notice:
    notice = notice_of(soaking(), soaking(state=StageState.HELD))
    assert notice is not None
    return notice


def posted_to(handler: Handler, limit: float = 5.0) -> list[str]:
    async def all_of_it() -> list[str]:
        async with listening(handler) as port:
            return await Notifier(webhooks=(f"http://127.0.0.1:{port}/secret",), limit=limit).tell(held())

    return asyncio.run(all_of_it())


def test_a_webhook_is_given_the_notice() -> None:
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
    ("handler", "told"),
    [
        (says(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), "answers with HTTP 500"),
        (never_answers, "no whole answer within 0.3 s"),
    ],
)
def test_a_webhook_that_is_broken_is_told_of_without_its_secret(handler: Handler, told: str) -> None:
    (trouble,) = posted_to(handler, limit=0.3 if handler is never_answers else 5.0)
    assert told in trouble
    assert "secret" not in trouble


def test_a_command_has_the_notice_on_its_stdin(tmp_path: Path) -> None:
    write = "import sys, os; open(sys.argv[1], 'w').write(sys.stdin.read() + os.environ['PY312_EVENT'])"
    argv = (sys.executable, "-c", write, str(tmp_path / "told"))
    assert asyncio.run(Notifier(commands=(argv,)).tell(held())) == []
    assert (tmp_path / "told").read_text() == held().document() + "held"


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ((sys.executable, "-c", "import sys; sys.exit('no mail today')"), "no mail today"),
        ((sys.executable, "-c", "import time; time.sleep(60)"), "time limit reached"),
        (("/no/such/program",), "not started"),
    ],
)
def test_a_command_that_fails_is_told_of(argv: tuple[str, ...], told: str) -> None:
    (trouble,) = asyncio.run(Notifier(commands=(argv,), limit=1.0).tell(held()))
    assert told in trouble
