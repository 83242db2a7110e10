"""What the coordinator takes from the answers of workers."""

from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_py312.core.model.findings import Outcome, Status
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.plan import Plan
from pytest_py312.gate.checks import CHECKS
from pytest_py312.gate.checks.check import CheckResult
from pytest_py312.gate.cluster.assembly import ClusterAssembly
from pytest_py312.gate.cluster.jobs import ServiceAnswer
from pytest_py312.gate.run.tasks import CheckTask
from tests.support.fakes import cell_of, service


def task_of(name: str) -> CheckTask:
    suite = next(check for check in CHECKS if check.name == "suite")
    return CheckTask(cell=cell_of(of=service(name)), check=suite)


def passed(task: CheckTask) -> CheckResult:
    own, interpreter, check = task.key
    return CheckResult(outcome=Outcome.from_findings(service=own, interpreter=interpreter, check=check, findings=[]))


def test_a_worker_answers_for_its_own_job_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says of another service proves nothing: the worker of that one was lost."""
    first, second = task_of("a"), task_of("b")
    answers = {
        ("a", False): ServiceAnswer(results=(passed(first), passed(second))),
        ("b", False): ServiceAnswer(failure="its workers were lost"),
    }

    def answer(job_id: tuple[str, bool]) -> "Future[ServiceAnswer]":
        future: Future[ServiceAnswer] = Future()
        future.set_result(answers[job_id])
        return future

    options = SimpleNamespace(
        plan=Plan(root=tmp_path), runner="local", isolation="", cache_folder=tmp_path, jobs=1, reuse_outcomes=True,
        reuse_failures=True, resolver="", offline=False, cluster="local:2", images=False, benchmark=False,
        known_findings=None,
    )  # fmt: skip
    assembly = ClusterAssembly(options, fleet=Fleet(services=()), known_findings={}, show=lambda line: None)
    monkeypatch.setattr(assembly, "_dispatcher", SimpleNamespace(answer=answer))

    assert assembly.run(first).outcome.status is Status.PASSED
    lost = assembly.run(second).outcome
    assert lost.status is Status.ERRORED
    assert "its workers were lost" in lost.reason
