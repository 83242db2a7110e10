"""What the coordinator takes from the answers of workers."""

import sys
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from types import MappingProxyType, ModuleType, SimpleNamespace

import pytest

from pytest_py312.core.model.findings import Outcome, Status
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.plan import Plan
from pytest_py312.gate.checks import CHECKS
from pytest_py312.gate.checks.check import CheckResult
from pytest_py312.gate.cluster.assembly import ClusterAssembly
from pytest_py312.gate.cluster.jobs import ServiceAnswer, installed_plugins
from pytest_py312.gate.run.tasks import CheckTask
from pytest_py312.gate.sharding.packing import item_key
from tests.support.fakes import cell_of, service, service_tree


def task_of(name: str) -> CheckTask:
    suite = next(check for check in CHECKS if check.name == "suite")
    return CheckTask(cell=cell_of(of=service(name)), check=suite)


def passed(task: CheckTask) -> CheckResult:
    own, interpreter, check = task.key
    return CheckResult(outcome=Outcome.from_findings(service=own, interpreter=interpreter, check=check, findings=[]))


def assembly_of(root: Path, durations: Mapping[tuple[str, str], float] = MappingProxyType({})) -> ClusterAssembly:
    options = SimpleNamespace(
        plan=Plan(root=root), runner="local", isolation="", cache_folder=root, jobs=1, reuse_outcomes=True,
        reuse_failures=True, resolver="", offline=False, cluster="local:2", images=False, benchmark=False,
        known_findings=None,
    )  # fmt: skip
    return ClusterAssembly(
        options, fleet=Fleet(services=()), known_findings={}, durations=durations, show=lambda line: None
    )


def test_what_took_longest_is_started_first(tmp_path: Path) -> None:
    """Without recorded times, the number of test files is an estimate."""
    service_tree(tmp_path, {f"services/b/tests/test_{number}.py": "" for number in range(9)})
    tasks = [task_of("a"), task_of("b")]
    recorded = {item_key(tasks[0]): 70.0, item_key(tasks[1]): 2.0}

    by_files = {placed.job.service: placed.weight for placed in assembly_of(tmp_path)._jobs(tasks)}
    by_times = {placed.job.service: placed.weight for placed in assembly_of(tmp_path, recorded)._jobs(tasks)}

    assert by_files["a"] < by_files["b"]
    assert by_times == {"a": 70_000, "b": 2_000}


def test_a_plugin_beside_the_plan_is_sent_with_the_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is installed is not, although the tree may have a folder of that name."""
    places = {"rules.of_house": "plan/rules/of_house.py", "rules.more": "plan/rules/more/__init__.py",
              "installed_rules": "site-packages/installed_rules/__init__.py"}  # fmt: skip
    root = service_tree(tmp_path, {**dict.fromkeys(places.values(), ""), "plan/installed_rules/__init__.py": ""})
    for name, path in places.items():
        module = ModuleType(name)
        module.__file__ = str(root / path)
        monkeypatch.setitem(sys.modules, name, module)

    assert installed_plugins([*places, "nowhere"], root / "plan") == ("installed_rules", "nowhere")


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

    assembly = assembly_of(tmp_path)
    monkeypatch.setattr(assembly, "_dispatcher", SimpleNamespace(answer=answer))

    assert assembly.run(first).outcome.status is Status.PASSED
    lost = assembly.run(second).outcome
    assert lost.status is Status.ERRORED
    assert "its workers were lost" in lost.reason
