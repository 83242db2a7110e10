"""The commands for a deployed stage, on a target in memory."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_py312.cli import monitor_commands
from pytest_py312.core.errors import OptionError, RolloutRefused
from pytest_py312.rollout.domain.target_model import Usage
from tests.unit.rollout.shells import Shell, shell_in

PLAN = """
[deploy]
image = "new-{version}"
readiness-delay = 0

[deploy.environments]
test = { textfile = "TEXTFILE", webhooks = ["http://127.0.0.1:1/secret"] }

[soak]
interval = "60s"
duration = "180s"
initial-delay = 0
"""


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    plan = PLAN.replace("TEXTFILE", str(tmp_path / "py312.prom"))
    shell = shell_in(tmp_path, monkeypatch, plan=plan)
    shell("deploy --stage 1")
    return shell


def textfile(py312: Shell) -> str:
    return (py312.root / "py312.prom").read_text(encoding="utf-8")


def test_a_stage_is_accepted_after_repeated_samples(py312: Shell) -> None:
    """Exit code 75 means: call again."""
    assert "the next sample is due in 1 m" in py312("sample --stage 1", code=75)
    for credited in (60.0, 120.0):
        assert py312.sample_once()["credited"] == credited
    done = py312.sample_once(code=0)
    assert (done["state"], done["verdict"], done["exit_status"]) == ("accepted", "passed", 0)
    assert 'py312_stage_state{environment="test",stage="1",state="accepted"} 1.0' in textfile(py312)
    assert py312("sample --stage 1").startswith("stage 1 in test is accepted"), "another call changes nothing"
    assert py312.target.locks == {}


def test_a_severe_breach_is_rolled_back_and_reported(py312: Shell) -> None:
    py312.sample_once()
    py312.target.usage = Usage(cpu_seconds=1.0, memory=5, restarts=0, out_of_memory=True)
    done = py312.sample_once(code=1)
    assert (done["state"], done["verdict"]) == ("rolled back", "failed")
    assert done["reason"] == "auth: out of memory: killed by the kernel: out of memory"
    assert py312.target.serving()["auth"] == "old-3.9"
    assert f"Stage 1 in test was rolled back to the previous version: {done['reason']}" in py312.logged
    assert any(text.startswith("the webhook at 127.0.0.1: ") for text in py312.logged)
    assert 'py312_rollback_total{environment="test",reason="breach",stage="1"} 1.0' in textfile(py312)


def held(py312: Shell) -> None:
    """Put the stage into the state *held* by deploying another container manually."""
    py312.sample_once()
    for one in py312.target.containers.values():
        one.running = one.running and one.name != "auth"
        one.name = one.name.replace("auth", "gone")
    py312.target.serve("auth", "hand-3.12")
    assert py312.sample_once(code=1)["state"] == "held"


def test_a_held_stage_waits_for_a_decision(py312: Shell) -> None:
    with pytest.raises(RolloutRefused, match="nothing to decide"):
        py312("promote --stage 1 --reason fine")
    held(py312)
    text = py312("promote --stage 1 --reason fine")
    assert text.startswith("stage 1 in test is soaking")
    assert py312.sample_once(code=1)["state"] == "held", (
        "another container still serves, and no decision can change that"
    )
    assert py312("abort --stage 1 --reason no").startswith("stage 1 in test is rolled back: decided by")
    assert py312.target.serving()["auth"] == "old-3.9"


def test_a_changed_plan_needs_confirmation(py312: Shell) -> None:
    py312.plan.write_text(py312.plan.read_text() + "\n[soak.compare]\nmax-ratio = 9\n")
    with pytest.raises(RolloutRefused, match="--accept-config-change"):
        py312("sample --stage 1")
    py312("sample --stage 1 --accept-config-change", code=75)


def test_a_soak_keeps_its_initial_settings(py312: Shell) -> None:
    """They need not be repeated; others are refused, since other limits would apply."""
    py312("rollback --stage 1 --reason again")
    py312("deploy --stage 1 --duration 2m --interval 30s")
    first = json.loads(py312("sample --stage 1 --json", code=75))
    assert (first["soak"], first["next_in"]) == (120.0, 30.0)
    py312("sample --stage 1 --duration 120 --interval 30s", code=75)
    with pytest.raises(
        RolloutRefused,
        match=r"the requested soak \(60 s, .* is not the one that stage 1 was deployed for \(120 s",
    ):
        py312("sample --stage 1 --duration 1m")
    py312.seconds += 30.0
    assert json.loads(py312("sample --stage 1 --json", code=75))["credited"] == 30.0


def test_options_equal_to_the_plan_change_nothing(py312: Shell) -> None:
    assert "stage 1 in test is soaking" in py312("sample --stage 1 --duration 180 --interval 1m", code=75)


def test_a_stage_can_be_selected_by_its_services(py312: Shell) -> None:
    assert "stage 1 in test is soaking" in py312("sample --services auth", code=75)
    with pytest.raises(OptionError, match="no such service was deployed"):
        py312("sample --services gateway")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--duration soon", "--duration soon: expected a duration such as 172800"),
        ("--duration 8d", "at most 7 days"),
        ("--interval 0", "more than 0 seconds"),
        ("--interval 5m", "an interval of 300 s is longer than the soak"),
    ],
)
def test_invalid_durations_are_refused(py312: Shell, words: str, message: str) -> None:
    for command in ("sample --stage 1", "deploy --stage 2"):
        with pytest.raises(OptionError, match=message):
            py312(f"{command} {words}")


def test_a_stage_that_was_never_deployed_cannot_be_monitored(py312: Shell) -> None:
    with pytest.raises(OptionError, match="stage 2 was never deployed in test"):
        py312("watch --stage 2")


def test_monitoring_until_the_soak_is_decided(py312: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    async def rest(seconds: float) -> None:
        py312.seconds += seconds

    monkeypatch.setattr("pytest_py312.core.clock.asyncio.sleep", rest)
    assert py312("watch --stage 1").startswith("stage 1 in test is accepted")
    assert "stage 1 is soaked" in py312.logged


def test_rules_and_dashboard_are_printed(py312: Shell) -> None:
    assert yaml.safe_load(py312("export alert-rules"))["groups"]
    assert json.loads(py312("export dashboard"))["panels"]
    assert "> 180)" in py312("export alert-rules"), "three samples of a minute"


@pytest.mark.parametrize("step", ["--step 5", "--step axb", "", "--warm-up 5x5", "--step 1e9x1"])
def test_an_invalid_load_is_refused(py312: Shell, step: str) -> None:
    with pytest.raises(OptionError, match="200 requests a second"):
        py312(f"load-test http://127.0.0.1:1/ {step}")


@pytest.mark.parametrize("port", [1, 99999])
def test_an_unavailable_port_is_reported(py312: Shell, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise PermissionError("not for you")

    if port == 1:  # root may use this port
        monkeypatch.setattr(monitor_commands, "serve_metrics", refused)
    with pytest.raises(OptionError, match=f"--port {port}: cannot listen on this port"):
        py312(f"watch --stage 1 --port {port}")


@pytest.mark.parametrize("url", ["nonsense", "http://", "http://[::1", "ftp://127.0.0.1/", "http://127.0.0.1:99999/"])
def test_an_invalid_address_is_not_a_failing_service(py312: Shell, url: str) -> None:
    with pytest.raises(OptionError, match=r"is not an HTTP address, such as http://127\.0\.0\.1:8000/health"):
        py312(f"load-test {url} --step 1x1")
