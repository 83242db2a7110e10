"""The commands for a stage that is up, as they are typed, on a target in memory."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_py312.cli import monitor_commands
from pytest_py312.core.errors import OptionError, RolloutRefused
from pytest_py312.rollout.domain.model import Usage
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


def test_a_stage_is_accepted_tick_by_tick(py312: Shell) -> None:
    """75 means: come back. Whoever does so in time has it accepted."""
    assert "the next sample is due in 60 s" in py312("tick --stage 1", code=75)
    for credited in (60.0, 120.0):
        assert py312.ticked()["credited"] == credited
    done = py312.ticked(code=0)
    assert (done["state"], done["verdict"], done["exit_status"]) == ("accepted", "passed", 0)
    assert 'py312_stage_state{environment="test",stage="1",state="accepted"} 1.0' in textfile(py312)
    assert py312("tick --stage 1").startswith("stage 1 in test is accepted"), "once more changes nothing"
    assert py312.target.locks == {}


def test_a_severe_breach_is_brought_back_and_told(py312: Shell) -> None:
    py312.ticked()
    py312.target.usage = Usage(cpu_seconds=1.0, memory=5, restarts=0, out_of_memory=True)
    done = py312.ticked(code=1)
    assert (done["state"], done["verdict"]) == ("rolled back", "failed")
    assert done["reason"] == "auth: out of memory: the kernel ended it for want of memory"
    assert py312.target.serving()["auth"] == "old-3.9"
    assert f"Stage 1 in test is back on the old version: {done['reason']}" in py312.told
    assert any(text.startswith("the webhook at 127.0.0.1: ") for text in py312.told)
    assert 'py312_rollback_total{environment="test",reason="breach",stage="1"} 1.0' in textfile(py312)


def held(py312: Shell) -> None:
    """Somebody deploys by hand."""
    py312.ticked()
    for one in py312.target.containers.values():
        one.running = one.running and one.name != "auth"
        one.name = one.name.replace("auth", "gone")
    py312.target.serve("auth", "hand-3.12")
    assert py312.ticked(code=1)["state"] == "held"


def test_a_held_stage_waits_for_an_answer(py312: Shell) -> None:
    with pytest.raises(RolloutRefused, match="nothing to decide"):
        py312("decide accept --stage 1 --reason fine")
    held(py312)
    text = py312("decide accept --stage 1 --reason fine")
    assert text.startswith("stage 1 in test is soaking")
    assert py312.ticked(code=1)["state"] == "held", "something else still serves, and no answer makes that proof"
    assert py312("decide rollback --stage 1 --reason no").startswith("stage 1 in test is rolled back: decided by")
    assert py312.target.serving()["auth"] == "old-3.9"


def test_a_plan_that_was_changed_since_is_not_gone_on_with_by_itself(py312: Shell) -> None:
    py312.plan.write_text(py312.plan.read_text() + "\n[soak.compare]\nmax-ratio = 9\n")
    with pytest.raises(RolloutRefused, match="--accept-config-change"):
        py312("tick --stage 1")
    py312("tick --stage 1 --accept-config-change", code=75)


def test_a_soak_goes_on_as_it_was_asked_for_when_it_began(py312: Shell) -> None:
    """Who comes back need not say it again; who says something else is refused, as its limits would be others."""
    py312("rollback --stage 1 --reason again")
    py312("deploy --stage 1 --duration 2m --interval 30s")
    first = json.loads(py312("tick --stage 1 --json", code=75))
    assert (first["soak"], first["next_in"]) == (120.0, 30.0)
    py312("tick --stage 1 --duration 120 --interval 30s", code=75)
    with pytest.raises(
        RolloutRefused,
        match=r"the soak that is asked for \(60 s, .* is not the one that stage 1 was deployed for \(120 s",
    ):
        py312("tick --stage 1 --duration 1m")
    py312.seconds += 30.0
    assert json.loads(py312("tick --stage 1 --json", code=75))["credited"] == 30.0


def test_what_the_plan_says_as_well_changes_nothing(py312: Shell) -> None:
    py312("tick --stage 1 --duration 180 --interval 1m", code=75)


def test_a_stage_is_named_by_its_services_too(py312: Shell) -> None:
    assert "stage 1 in test is soaking" in py312("tick --services auth", code=75)
    with pytest.raises(OptionError, match="no such service was deployed"):
        py312("tick --services gateway")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--duration soon", "--duration soon: it is a time, such as 172800"),
        ("--duration 8d", "at most 7 days"),
        ("--interval 0", "more than 0 seconds"),
        ("--interval 5m", "no sample fits in"),
    ],
)
def test_times_that_are_none_are_refused(py312: Shell, words: str, message: str) -> None:
    for command in ("tick --stage 1", "deploy --stage 2"):
        with pytest.raises(OptionError, match=message):
            py312(f"{command} {words}")


def test_a_stage_that_was_never_deployed_cannot_be_watched(py312: Shell) -> None:
    with pytest.raises(OptionError, match="stage 2 was never deployed in test"):
        py312("watch --stage 2")


def test_watching_until_it_is_decided(py312: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    async def rest(seconds: float) -> None:
        py312.seconds += seconds

    monkeypatch.setattr("pytest_py312.core.clock.asyncio.sleep", rest)
    assert py312("watch --stage 1").startswith("stage 1 in test is accepted")
    assert "stage 1 is soaked" in py312.told


def test_rules_and_dashboard_are_printed(py312: Shell) -> None:
    assert yaml.safe_load(py312("rules"))["groups"]
    assert json.loads(py312("dashboard"))["panels"]
    assert "> 180)" in py312("rules"), "three samples of a minute"


@pytest.mark.parametrize("step", ["--step 5", "--step axb", "", "--warm-up 5x5", "--step 1e9x1"])
def test_a_load_that_is_none_is_refused(py312: Shell, step: str) -> None:
    with pytest.raises(OptionError, match="200 requests a second"):
        py312(f"load http://127.0.0.1:1/ {step}")


@pytest.mark.parametrize("port", [1, 99999])
def test_a_port_that_cannot_be_had_is_told(py312: Shell, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise PermissionError("not for you")

    if port == 1:  # which root may have
        monkeypatch.setattr(monitor_commands, "serving", refused)
    with pytest.raises(OptionError, match=f"--port {port}: cannot be listened on"):
        py312(f"watch --stage 1 --port {port}")


@pytest.mark.parametrize("url", ["nonsense", "http://", "http://[::1", "ftp://127.0.0.1/", "http://127.0.0.1:99999/"])
def test_what_is_no_address_is_not_a_service_that_fails(py312: Shell, url: str) -> None:
    with pytest.raises(OptionError, match=r"cannot be asked: an address is such as http://127\.0\.0\.1:8000/health"):
        py312(f"load {url} --step 1x1")
