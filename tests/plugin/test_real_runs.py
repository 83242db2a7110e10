"""Whole runs with real cells on this machine: what is cached, what is computed again, and what is left behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.plugin.gate_helpers import IDS, PLAN, REAL_IDS, Real

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

IGNORING_INTERRUPTS = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
)
ENDED_BY_HANGUP = (
    "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
)
"""Starts a command as in a terminal, also where these tests were started by nohup."""
AUTH, USER = IDS[:4], IDS[4:]
BROKEN = "services/user-service::py3.12::suite"
SEEN = "services/user-service::source"
VERDICTS = {nodeid: "failed" if nodeid in (BROKEN, SEEN) else "passed" for nodeid in REAL_IDS}


def known_again(first: dict[str, str]) -> dict[str, str]:
    """The statuses of a second run in which nothing has changed."""
    return {nodeid: f"{word} cached" for nodeid, word in first.items()}


def append(file: Path, text: str) -> None:
    file.write_text(file.read_text() + text)


def test_a_fleet_is_judged(real: Real) -> None:
    """A test that fails on 3.12 only blocks its own service; the test and the failing line are reported."""
    run = real.run()
    assert run.code == pytest.ExitCode.TESTS_FAILED
    assert run.statuses == VERDICTS
    (finding,) = run.findings(BROKEN)
    assert finding["code"] == "PY401"
    assert finding["names"] == ["tests/test_user.py::Names::test_old_alias"]
    assert (finding["path"], finding["line"]) == ("services/user-service/tests/test_user.py", 10)
    assert "assertEquals" in finding["message"]
    (seen,) = run.findings(SEEN)
    assert (seen["code"], seen["path"], seen["line"]) == ("PY203", finding["path"], finding["line"])
    assert real.run_folders() == []


def test_what_passed_or_failed_is_known_in_the_next_run(real: Real) -> None:
    """Cached outcomes are marked; ``--lf`` checks failures again, and ``--py312-no-cache`` everything."""
    first = real.run()
    assert first.statuses == VERDICTS
    again = real.run("-v")
    assert again.statuses == known_again(VERDICTS)
    assert "PASSED (cached)" in again.out
    assert "FAILED (cached)" in again.out
    assert again.findings(BROKEN) == first.findings(BROKEN)
    assert real.run("--lf").statuses == {BROKEN: "failed", SEEN: "failed"}
    assert real.run("--py312-no-cache").statuses == VERDICTS


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("services/auth-service/auth.py", "\n# a comment\n"),
        ("services/auth-service/tests/data.txt", "new"),
        ("services/auth-service/requirements.txt", "iniconfig\n"),
        ("py312.toml", '[service."auth-service"]\nenvironment = { A = "1" }\n'),
    ],
)
def test_a_change_is_worked_out_for_its_service_only(real: Real, file: str, text: str) -> None:
    first = real.run().statuses
    path = real.root / file
    path.write_text((path.read_text() if path.exists() else "") + text)
    statuses = real.run().statuses
    computed = {nodeid: "passed" for nodeid in first if "auth" in nodeid}
    assert statuses == {**known_again(first), **computed}


def test_a_change_while_the_suite_runs_is_not_kept_as_the_answer_to_either(real: Real) -> None:
    """A pass that another source has earned must not be remembered for this one."""
    source, seen = real.root / "services/auth-service/auth.py", real.root / "seen"
    good, bad = source.read_text(), "def allowed(name):\n    return False\n"
    source.write_text(bad)
    # the cells' copies are made from a tree that is repaired just before, and broken again after
    append(
        real.root / "py312.toml",
        '[service."auth-service"]\n'
        f"prepare = [['python', '-c', 'import pathlib; "
        f'pathlib.Path("auth.py").write_text(pathlib.Path("{seen}").read_text()); '
        f'pathlib.Path("{source}").write_text(pathlib.Path("{seen}").read_text())\']]\n',
    )
    seen.write_text(good)
    first = real.run("services/auth-service::py3.12::suite").statuses
    assert first == {"services/auth-service::py3.12::suite": "passed"}
    source.write_text(bad)
    seen.write_text(bad)
    second = real.run("services/auth-service::py3.12::suite")
    assert [found["code"] for found in second.findings("services/auth-service::py3.12::suite")] == ["PY404"]


def waiver(**keys: str) -> str:
    fields = {"service": "user-service", "reason": "known", "owner": "the team", **keys}
    text = "".join(f'{name} = "{value}"\n' for name, value in fields.items())
    return f"\n[[waiver]]\n{text}until = 2099-01-31\n"


@pytest.mark.parametrize("accepted", [{"code": "PY401"}, {"test": "tests/test_user.py::*::test_old_alias"}])
def test_a_waiver_that_is_needed(real: Real, accepted: dict[str, str]) -> None:
    """It is shown and does not block."""
    append(real.root / "py312.toml", waiver(**accepted) + waiver(code="PY203"))
    run = real.run()
    assert run.code == pytest.ExitCode.OK
    assert [found["waived"] for found in run.findings(BROKEN)] == [True]
    assert "proven: 2 services" in run.out


def test_a_waiver_that_is_not_needed_any_more_fails(real: Real) -> None:
    append(real.root / "py312.toml", waiver(service="auth-service", code="PY401"))
    run = real.run("services/auth-service")
    assert run.code == pytest.ExitCode.TESTS_FAILED
    assert [found["code"] for found in run.findings("services/auth-service::py3.12::suite")] == ["PY901"]


def test_a_suite_that_the_plan_leaves_out_is_skipped_with_the_reason(real: Real) -> None:
    append(real.root / "py312.toml", '[service."user-service"]\nsuite = false\nreason = "it needs a cluster"\n')
    real.root.joinpath("services/user-service/tests/test_user.py").unlink()
    run = real.run("services/user-service", "-rs")
    assert [run.statuses[nodeid] for nodeid in USER if nodeid.endswith("suite")] == ["skipped"] * 3
    assert "SKIPPED [3] services/user-service/requirements.txt:1: it needs a cluster" in run.out
    assert "1 service without a suite" in run.out


def test_a_service_without_tests_is_an_error(real: Real) -> None:
    real.root.joinpath("services/auth-service/tests/test_auth.py").unlink()
    run = real.run("services/auth-service")
    assert run.code == pytest.ExitCode.TESTS_FAILED
    assert [run.statuses[nodeid] for nodeid in AUTH] == ["passed", "skipped", "passed", "errored"]
    assert "no tests were found: name them with `suite` in the plan" in run.out


def test_a_suite_of_which_nothing_ran_is_an_error(real: Real) -> None:
    """A green suite of skipped tests proves nothing."""
    real.root.joinpath("services/auth-service/tests/test_auth.py").write_text(
        "import pytest\n\n@pytest.mark.skip(reason='later')\ndef test_a(): pass\n"
    )
    run = real.run("services/auth-service")
    assert run.code == pytest.ExitCode.TESTS_FAILED
    assert [run.statuses[nodeid] for nodeid in AUTH] == ["passed", "errored", "passed", "errored"]


def test_a_service_on_the_target_is_judged_by_itself(real: Real) -> None:
    """There is nothing to compare with: what fails there blocks."""
    real.root.joinpath("services/user-service/Dockerfile").write_text("FROM python:3.12-slim\n")
    run = real.run("services/user-service")
    assert run.cells == {USER[4]: "passed", USER[5]: "failed"}


@pytest.mark.parametrize("options", [["-n", "2"], ["-n", "2", "--dist", "loadgroup"], ["-n", "0"]])
def test_workers_say_what_one_process_says(real: Real, options: list[str]) -> None:
    report = real.root.parent / "report.json"
    run = real.run(*options, f"--py312-report={report}")
    assert run.code == pytest.ExitCode.TESTS_FAILED
    assert run.statuses == VERDICTS
    assert real.run_folders() == []
    builds = json.loads(report.read_text(encoding="utf-8"))["builds"]
    assert [build["interpreter"] for build in builds] == ["3.9", "3.10", "3.12"]


def test_workers_run_each_suite_once(real: Real) -> None:
    """A cell's suite runs once, whichever worker needs it first."""
    log = real.root.parent / "log"
    real.root.joinpath("services/auth-service/tests/test_auth.py").write_text(
        f"import sys\n\ndef test_a():\n    with open({str(log)!r}, 'a') as file:\n"
        "        file.write(f'{sys.version_info[1]}\\n')\n"
    )
    assert real.run("-n", "2", "services/auth-service").code == pytest.ExitCode.OK
    assert sorted(log.read_text().split()) == ["10", "12"]


def test_a_conftest_may_add_a_check(real: Real) -> None:
    """By the hook ``pytest_py312_checks``: it has its own items, marker and verdicts, also in workers."""
    real.root.joinpath("conftest.py").write_text(
        "from pytest_py312.gate.checks.check import CheckResult\n"
        "from pytest_py312.core.model.findings import Outcome\n\n"
        "class Licence:\n"
        "    name, codes = 'licence', ('XX1',)\n"
        "    def run(self, cell, facts):\n"
        "        return CheckResult(outcome=Outcome.from_findings(service=cell.service.name, check='licence',\n"
        "                                                interpreter=cell.interpreter, findings=[]))\n\n"
        "def pytest_py312_checks(config):\n    return [Licence()]\n\n"
        "def pytest_configure(config):\n    config.addinivalue_line('markers', 'py312_licence: licences')\n"
    )
    expected = [f"{nodeid.rpartition('::')[0]}::licence" for nodeid in IDS if nodeid.endswith("suite")]
    for options in ([], ["-n", "2"]):
        run = real.run("--strict-markers", "-m", "py312_licence", "--py312-no-cache", *options)
        assert run.code == pytest.ExitCode.OK, run.out + run.err
        assert sorted(run.statuses) == sorted(expected)


def test_a_check_may_ask_about_a_service_as_a_whole(real: Real) -> None:
    """With ``per_service = True``: one item, right under the service, whose outcome has no interpreter."""
    real.root.joinpath("conftest.py").write_text(
        "from pytest_py312.gate.checks.check import CheckResult\n"
        "from pytest_py312.core.model.findings import Outcome\n\n"
        "class Owner:\n"
        "    name, codes, per_service = 'owner', ('XX2',), True\n"
        "    def run(self, cell, facts):\n"
        "        return CheckResult(outcome=Outcome.from_findings(service=cell.service.name, interpreter=None,\n"
        "                                                check='owner', findings=[]))\n\n"
        "def pytest_py312_checks(config):\n    return [Owner()]\n"
    )
    report = real.root / "report.json"
    services = dict.fromkeys(nodeid.split("::")[0] for nodeid in IDS)
    expected = [f"{service}::owner" for service in services]

    run = real.run("-m", "py312_owner", "--py312-no-cache", f"--py312-report={report}")

    assert run.code == pytest.ExitCode.OK, run.out + run.err
    assert sorted(run.statuses) == sorted(expected)
    assert [outcome["interpreter"] for outcome in json.loads(report.read_text())["outcomes"]] == [None] * len(expected)
    assert real.run(expected[0], "--py312-no-cache").statuses == {expected[0]: "passed"}
    assert "not proven" in run.out


def with_waiting_suite(real: Real, file: str) -> Path:
    """Let a test write the id of its process into a pipe, and wait; return the pipe."""
    fifo = real.root.parent / "begun"
    os.mkfifo(fifo)
    real.root.joinpath(file).write_text(
        f"import os, time\n\ndef test_a():\n    with open({str(fifo)!r}, 'w') as file:\n"
        "        file.write(str(os.getpid()))\n    time.sleep(600)\n"
    )
    return fifo


@pytest.mark.parametrize("start", ["in the foreground", "in the background"])
def test_an_interrupted_run_leaves_nothing_behind(real: Real, start: str) -> None:
    """SIGINT in the middle of a suite: exit code 2, no process of a cell, no run folder.

    Without job control a shell starts what runs in the background with SIGINT ignored.
    """
    fifo = with_waiting_suite(real, "services/auth-service/tests/test_auth.py")
    argv = real.command("services/auth-service::py3.12::suite", "--py312-jobs=1")
    if start == "in the background":
        argv = [sys.executable, "-c", IGNORING_INTERRUPTS, *argv]
    with subprocess.Popen(
        argv, cwd=real.root, env=real.variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        cell = psutil.Process(int(fifo.read_text()))
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=60)
    assert running.returncode == pytest.ExitCode.INTERRUPTED, out
    assert "Traceback" not in out
    assert not cell.is_running() or cell.status() == psutil.STATUS_ZOMBIE
    assert real.run_folders() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_that_is_ended_reports_what_is_known(real: Real, number: signal.Signals, workers: int) -> None:
    """As with SIGINT, also if a second signal follows while the reports are written."""
    if workers and number == signal.SIGHUP:
        pytest.skip("as SIGTERM")
    fifo = with_waiting_suite(real, "services/user-service/tests/test_user.py")
    report = real.root.parent / "report.json"
    argv = real.command(
        "services/auth-service::py3.12::dependencies",
        "services/user-service::py3.12::suite",
        "--py312-jobs=1",
        f"--py312-report={report}",
        *(["-n", str(workers)] if workers else []),
    )
    argv = [sys.executable, "-c", ENDED_BY_HANGUP, *argv]
    with subprocess.Popen(
        argv, cwd=real.root, env=real.variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        cell = psutil.Process(int(fifo.read_text()))
        running.send_signal(number)
        running.send_signal(number)
        out, _ = running.communicate(timeout=60)
    assert running.returncode == pytest.ExitCode.INTERRUPTED, out
    assert "Traceback" not in out
    assert f"the run was interrupted by {number.name}" in out
    document = json.loads(report.read_text())
    assert document["complete"] is False
    assert [found["status"] for found in document["outcomes"]] == ["passed"]
    assert not cell.is_running() or cell.status() == psutil.STATUS_ZOMBIE
    assert real.run_folders() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_nobody_reads_any_more_ends(real: Real, number: signal.Signals) -> None:
    """``pytest --py312 | head``, or a CI that has gone: writing fails, also while the session ends."""
    fifo = with_waiting_suite(real, "services/user-service/tests/test_user.py")
    argv = real.command("services/user-service::py3.12::suite", "--py312-jobs=1")
    with subprocess.Popen(
        [sys.executable, "-c", ENDED_BY_HANGUP, *argv], cwd=real.root, env=real.variables,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as running:  # fmt: skip
        cell = psutil.Process(int(fifo.read_text()))
        assert running.stdout is not None
        running.stdout.close()
        running.send_signal(number)
        assert running.wait(timeout=60) != 0
    assert not cell.is_running() or cell.status() == psutil.STATUS_ZOMBIE
    assert real.run_folders() == []


def test_the_plans_words_hold_over_a_repository_without_stages(real: Real) -> None:
    """All services count as stage 1 then."""
    real.root.joinpath("py312.toml").write_text(PLAN.split("[[stage]]")[0])
    run = real.run("--py312-stage=1", "--collect-only", "-q")
    assert [line for line in run.out.splitlines() if "::" in line] == REAL_IDS


TESTS_WITH_CHANGING_IDS = """
import json, os, sys, tempfile, uuid
import pytest

THING = object()


@pytest.mark.parametrize("path", [__file__, os.getcwd(), pytest.__file__, json.__file__, sys.executable, sys.prefix,
                                  tempfile.mkdtemp(), str(THING), sys.version.split()[0]])
def test_folder(path):
    assert path != json.__file__ or not OLD


@pytest.mark.parametrize("value", [str(uuid.uuid4()), str(uuid.uuid4())])
def test_random(value, request):
    assert request.node.callspec.indices["value"] or not OLD
"""


def test_a_regression_is_seen_although_the_id_of_its_test_differs_in_every_run(real: Real) -> None:
    """Scratch folders, environments, versions and random values in ids: neither flaky nor missing."""
    tests = real.root / "services/auth-service/tests/test_auth.py"
    tests.write_text(f"import sys\nOLD = sys.version_info >= (3, 12)\n{TESTS_WITH_CHANGING_IDS}")

    run = real.run("services/auth-service")

    findings = run.findings("services/auth-service::py3.12::suite")
    function = "tests/test_auth.py::test_random"
    assert sorted((found["code"], *found["names"]) for found in findings) == [
        ("PY401", "tests/test_auth.py::test_folder[<stdlib>/json/__init__.py]"),
        ("PY401", f"{function}[<unpaired 2>]"),
        ("PY406", function),
    ]
    tests.write_text(f"OLD = False\n{TESTS_WITH_CHANGING_IDS}")
    assert real.run("services/auth-service").statuses["services/auth-service::py3.12::suite"] == "passed"


@pytest.mark.parametrize(
    "conftest",
    [
        "import sys\nif sys.version_info >= (3, 12):\n    raise AttributeError('removed in 3.12')\n",
        "import sys\ndef pytest_configure():\n    if sys.version_info >= (3, 12):\n"
        "        raise AttributeError('removed in 3.12')\n",
        "import sys\ndef pytest_sessionstart():\n    if sys.version_info >= (3, 12):\n"
        "        raise AttributeError('removed in 3.12')\n",
        "import sys\nif sys.version_info >= (3, 12):\n    raise SystemExit('AttributeError: removed in 3.12')\n",
    ],
    ids=["import", "configure", "session start", "exit"],
)
def test_a_pytest_that_fails_at_its_start_on_the_target_is_a_regression(real: Real, conftest: str) -> None:
    (real.root / "services/auth-service/conftest.py").write_text(conftest)

    run = real.run("services/auth-service::py3.12::suite")

    (finding,) = run.findings("services/auth-service::py3.12::suite")
    assert run.statuses["services/auth-service::py3.12::suite"] == "failed"
    assert finding["code"] == "PY402"
    assert (
        "pytest fails at its start: AttributeError: removed in 3.12" in finding["message"]
        or "SystemExit" in (finding["message"])
    )


def test_a_suite_gets_the_variables_of_its_recipe(real: Real) -> None:
    """Of tox and workflows; what the plan says takes precedence."""
    tox = "[testenv]\ndeps = -r requirements.txt\nsetenv =\n  A_URL = redis://fake\n  LEVEL = 1\n"
    tox += "  PYTHONPATH = {toxinidir}/extra\ncommands =\n  mkdir -p data\n  pytest tests\n"
    service = real.root / "services/auth-service"
    service.joinpath("tox.ini").write_text(f"[tox]\nenvlist = py312\n{tox}")
    service.joinpath("extra").mkdir()
    service.joinpath("extra/helper.py").write_text("A = 1\n")
    test = (
        "import os, helper\ndef test_a(): assert (os.environ['A_URL'], os.environ['LEVEL']) == ('redis://fake', '2')\n"
    )
    service.joinpath("tests/test_auth.py").write_text(test)
    append(real.root / "py312.toml", '[service."auth-service"]\nenvironment = { LEVEL = "2" }\n')
    run = real.run("services/auth-service")
    assert run.cells == dict.fromkeys(AUTH, "passed")
    assert "is tested with the variables of services/auth-service/tox.ini" in " ".join(run.out.split())
