"""``--py312-known-findings``: recorded findings are known and do not block, and the file can only shrink."""

import json
from typing import Any

import pytest

from pytest_py312.core.model.findings import Finding, Location
from tests.plugin.gate_helpers import Faked, Real

FILE = "known.json"
WITH = f"--py312-known-findings={FILE}"
UPDATE = "--py312-update-known-findings"
APP = "services/user-service/app.py"

OWN_CHECK = """
class Style:
    name = "style"
    codes = ("PY202", "PY301")

    def run(self, cell, facts):
        raise AssertionError("the gate of this test answers from a table")


def pytest_py312_checks(config):
    return [Style()]
"""


def gone(name: str = "asyncio.coroutine", line: int = 2, code: str = "PY202") -> Finding:
    return Finding(
        code=code,
        message=f"{name} is gone",
        remedy="replace it",
        location=Location(path=APP, line=line, column=2),
        names=(name,),
    )


@pytest.fixture
def fleet(faked: Faked) -> Faked:
    """The services, with a check that finds what can be recorded."""
    faked.root.joinpath("conftest.py").write_text(OWN_CHECK)
    faked.root.joinpath(APP).write_text("import asyncio\n@asyncio.coroutine\ndef f(): ...\n")
    return faked


def set_findings(fleet: Faked, *findings: Finding, on: tuple[str, ...] = ("3.10", "3.12")) -> None:
    """What the check finds in user-service from now on."""
    fleet.gate.findings = {f"user-service-py{version}-style": list(findings) for version in on}


def recorded(fleet: Faked) -> list[dict[str, Any]]:
    document = json.loads(fleet.root.joinpath(FILE).read_text(encoding="utf-8"))
    entries: list[dict[str, Any]] = document["findings"]
    return entries


def names(fleet: Faked) -> list[str]:
    return [entry["names"][0] for entry in recorded(fleet)]


@pytest.fixture
def with_a_record(fleet: Faked) -> Faked:
    """Two findings, recorded."""
    set_findings(fleet, gone(), gone("imp.load_module"))
    assert fleet.run(WITH, UPDATE).ret == pytest.ExitCode.TESTS_FAILED
    assert names(fleet) == ["asyncio.coroutine", "imp.load_module"]
    return fleet


def test_the_first_update_records_and_still_fails(fleet: Faked) -> None:
    set_findings(fleet, gone())

    result = fleet.run(WITH, UPDATE)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*= recorded findings =*", "1 finding of 1 service recorded in *known.json*"])
    (entry,) = recorded(fleet)
    assert {name: entry[name] for name in ("code", "service", "path", "names")} == {
        "code": "PY202",
        "service": "user-service",
        "path": APP,
        "names": ["asyncio.coroutine"],
    }


def test_what_is_recorded_does_not_block(with_a_record: Faked) -> None:
    """And is shown as known, also in the JSON."""
    result = with_a_record.run(WITH, "--py312-report=all.json")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["*Non-blocking (2 known)*", "*known  PY202 services/user-service/app.py:2: asyncio.coroutine is gone*"]
    )
    result.stdout.fnmatch_lines(["*proven: 2 services ready*2 known findings)", "2 of 2 recorded findings *occur*"])
    report = json.loads(with_a_record.root.joinpath("all.json").read_text())
    states = {one["known"] for outcome in report["outcomes"] for one in outcome["findings"]}
    assert states == {True}


def test_what_is_new_blocks(with_a_record: Faked) -> None:
    set_findings(with_a_record, gone(), gone("imp.load_module"), gone("asyncio.async"))

    result = with_a_record.run(WITH)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*PY202 asyncio.async is gone*"])
    assert result.stdout.str().count("PY202 asyncio.coroutine is gone") == 0


def test_an_update_never_adds(with_a_record: Faked) -> None:
    original = with_a_record.root.joinpath(FILE).read_bytes()
    set_findings(with_a_record, gone(), gone("imp.load_module"), gone("asyncio.async"))

    assert with_a_record.run(WITH, UPDATE).ret == pytest.ExitCode.TESTS_FAILED

    assert with_a_record.root.joinpath(FILE).read_bytes() == original


def test_what_is_fixed_is_a_warning_until_it_is_taken_out(with_a_record: Faked) -> None:
    set_findings(with_a_record, gone())

    result = with_a_record.run(WITH)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "1 recorded finding no longer occurs: --py312-update-known-findings removes*",
            "*PY202 user-service*imp.load_*",
        ]
    )
    assert len(recorded(with_a_record)) == 2

    result = with_a_record.run(WITH, UPDATE)
    assert result.ret == pytest.ExitCode.OK
    assert names(with_a_record) == ["asyncio.coroutine"]

    set_findings(with_a_record, gone(), gone("imp.load_module"))
    assert with_a_record.run(WITH).ret == pytest.ExitCode.TESTS_FAILED


def test_a_second_use_in_the_same_file_blocks(with_a_record: Faked) -> None:
    set_findings(with_a_record, gone(line=2), gone(line=3), gone("imp.load_module"))

    result = with_a_record.run(WITH, UPDATE)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*asyncio.coroutine: 1 recorded, 2 found: it is not clear which are new, so all block"]
    )
    assert names(with_a_record) == ["asyncio.coroutine", "imp.load_module"]


@pytest.mark.parametrize(
    "part",
    [
        ["-m", "py312_suite"],
        ["--py312-python=3.12"],
        ["-k", "user-service-py3.12"],
        ["--py312-stage=1"],
        ["services/user-service::py3.12::style"],
        ["--deselect", "services/user-service::py3.10::style"],
    ],
)
def test_a_run_of_a_part_takes_nothing_out(with_a_record: Faked, part: list[str]) -> None:
    """Even where what it has looked at has nothing of it."""
    set_findings(with_a_record)

    assert with_a_record.run(WITH, UPDATE, *part).ret == pytest.ExitCode.OK

    assert len(recorded(with_a_record)) == 2


def test_a_run_of_the_check_on_all_interpreters_of_the_service_takes_out(with_a_record: Faked) -> None:
    set_findings(with_a_record)

    with_a_record.run(WITH, UPDATE, "-m", "py312_style", "services/user-service")

    assert recorded(with_a_record) == []


@pytest.mark.parametrize("status", ["errored", "skipped"])
def test_what_could_not_be_checked_takes_nothing_out(with_a_record: Faked, status: str) -> None:
    set_findings(with_a_record)
    del with_a_record.gate.findings["user-service-py3.12-style"]
    with_a_record.gate.answers["user-service-py3.12-style"] = (status, "lost")

    with_a_record.run(WITH, UPDATE)

    assert len(recorded(with_a_record)) == 2


def test_a_service_that_is_gone_is_taken_out_by_a_run_of_everything(with_a_record: Faked) -> None:
    with_a_record.root.joinpath("services/user-service").rename(with_a_record.root / "services/people-service")
    plan = with_a_record.root / "py312.toml"
    plan.write_text(plan.read_text().replace("user-service", "people-service"))
    with_a_record.gate.findings = {}

    with_a_record.run(WITH, UPDATE, "--py312-stage=1")
    assert len(recorded(with_a_record)) == 2
    with_a_record.run(WITH, UPDATE)
    assert recorded(with_a_record) == []


@pytest.mark.parametrize("options", [["-x"], ["-k", "nothing"]])
def test_a_run_that_did_not_come_to_its_end_records_nothing(fleet: Faked, options: list[str]) -> None:
    set_findings(fleet, gone())

    result = fleet.run(WITH, UPDATE, *options)

    result.stdout.fnmatch_lines(["nothing was recorded: *"])
    assert not fleet.root.joinpath(FILE).exists()


@pytest.mark.parametrize("code", ["PY401", "PY104"])
def test_suites_and_dependencies_are_not_recorded(fleet: Faked, code: str) -> None:
    set_findings(fleet, gone(code=code))

    assert fleet.run(WITH, UPDATE).ret == pytest.ExitCode.TESTS_FAILED
    assert recorded(fleet) == []
    assert fleet.run(WITH).ret == pytest.ExitCode.TESTS_FAILED


def test_a_file_that_cannot_be_written_is_reported(fleet: Faked) -> None:
    """It appeared while the run was going on."""
    set_findings(fleet, gone())
    fleet.root.joinpath("conftest.py").write_text(
        OWN_CHECK + f"\n\ndef pytest_py312_report(config, report):\n    open({FILE!r}, 'w').close()\n"
    )

    result = fleet.run(WITH, UPDATE)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["--py312-known-findings=*known.json was not written: known.json: The file exists."])


def test_the_ini_settings(with_a_record: Faked) -> None:
    """The path of an ini setting is relative to pytest's root folder, wherever pytest is started."""
    with_a_record.root.joinpath("pytest.ini").write_text(
        f"[pytest]\npy312_known_findings = {FILE}\npy312_update_known_findings = true\n"
    )
    set_findings(with_a_record, gone())
    with_a_record.pytester.chdir()

    assert with_a_record.run("--strict-config").ret == pytest.ExitCode.OK
    assert names(with_a_record) == ["asyncio.coroutine"]


@pytest.mark.parametrize(
    ("options", "text", "says"),
    [
        ([WITH], None, "known.json: there is no such file; record it with --py312-update-known-findings"),
        ([UPDATE], None, "--py312-update-known-findings needs --py312-known-findings=FILE"),
        (["--py312-known-findings=nowhere/known.json", UPDATE], None, "there is no folder"),
        (["--py312-known-findings=services", UPDATE], None, "it is a folder; name a file"),
        ([WITH], "{\n\n,", "known.json:3: this is not JSON"),
        ([WITH, UPDATE], '{"schema": 1, "findings": [\n3]}', "known.json:2: a known finding must be an object"),
    ],
)
def test_mistakes(faked: Faked, options: list[str], text: str | None, says: str) -> None:
    if text is not None:
        faked.root.joinpath(FILE).write_text(text)

    result = faked.run(*options)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in result.stderr.str()
    assert says in result.stderr.str()


def test_a_link_is_not_followed(faked: Faked) -> None:
    (faked.root / "elsewhere.json").write_text('{"schema": 1, "findings": []}')
    (faked.root / FILE).symlink_to("elsewhere.json")

    result = faked.run(WITH)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "known.json: The file is a link." in result.stderr.str()


REAL_CHECK = """
from pytest_py312.gate.checks.check import CheckResult
from pytest_py312.core.model.findings import Finding, Location, Outcome


class Style:
    name = "style"
    codes = ("PY202",)

    def run(self, cell, facts):
        path = f"{cell.service.path}/requirements.txt"
        gone = Finding(code="PY202", message="gone", names=("x",), location=Location(path=path, line=1))
        return CheckResult(outcome=Outcome.from_findings(
            service=cell.service.name, interpreter=cell.interpreter, check="style", findings=[gone]
        ))


def pytest_py312_checks(config):
    return [Style()]
"""


def test_with_workers(real: Real) -> None:
    """Workers mark known findings, and only the controller writes the file."""
    real.root.joinpath("conftest.py").write_text(REAL_CHECK)
    options = ("-n", "2", "-m", "py312_style", WITH)

    first = real.run(*options, UPDATE)
    assert first.code == pytest.ExitCode.TESTS_FAILED, first.out + first.err
    entries = json.loads(real.root.joinpath(FILE).read_text())["findings"]
    assert [entry["service"] for entry in entries] == ["auth-service", "user-service"]

    second = real.run(*options)
    assert second.code == pytest.ExitCode.OK, second.out + second.err
    assert "2 of 2 recorded findings" in second.out
