"""Which services are migrated: those that were checked and have no other problem."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Finding, Interpreter, Outcome, Severity, SpecifierChange
from pytest_py312.core.model.plan import Plan, ServiceSettings
from pytest_py312.gate.fixes.ready_services import blocking_reason, merge_changes, plan_ready_migrations
from pytest_py312.gate.fixes.version_changes import MigrationPlan
from pytest_py312.repository.edits.change_set import FileChange
from tests.support.fakes import build_of, service, service_tree

USER = service("user-service")
BROKEN = Finding(code="PY401", message="it broke")
FIX = SpecifierChange(path="requirements.txt", line=1, name="six", old="==1", new="==2")
EXCLUDED = Finding(code="PY301", message="excluded")


def judged(check: str, *findings: Finding, interpreter: str = "") -> Outcome:
    on = Interpreter.parse(interpreter) if interpreter else None
    return Outcome.from_findings(service=USER.name, interpreter=on, check=check, findings=findings)


def errored(check: str) -> Outcome:
    return Outcome.errored(service=USER.name, interpreter=None, check=check, reason="nobody knows")


@pytest.mark.parametrize(
    ("outcomes", "obstacle"),
    [
        ([judged("versions"), judged("suite", interpreter="3.12")], ""),
        ([judged("versions", EXCLUDED)], ""),  # the migration fixes it
        ([judged("versions"), judged("suite", BROKEN, interpreter="3.12")], "suite on 3.12 failed"),
        ([judged("versions"), judged("source", BROKEN)], "source failed"),
        ([judged("versions"), errored("dependencies")], "dependencies could not be checked"),
        ([errored("versions")], "not all of its version declarations could be understood (nobody knows)"),
    ],
)
def test_reasons_that_block_a_migration(outcomes: Sequence[Outcome], obstacle: str) -> None:
    """Everything that is not proven, of the selected checks."""
    assert blocking_reason(outcomes) == obstacle


def moved(root: Path, outcomes: Sequence[Outcome], version: str = "3.9") -> MigrationPlan:
    service_tree(root, {f"{USER.path}/Dockerfile": f"FROM python:{version}\n"})
    return plan_ready_migrations(Plan(root=root), [USER], outcomes)


def test_a_ready_service_is_migrated(tmp_path: Path) -> None:
    """To the target of the plan."""
    plan = moved(tmp_path, [judged("versions")])
    assert [(change.path, change.after) for change in plan.changes] == [
        (f"{USER.path}/Dockerfile", b"FROM python:3.12\n")
    ]


def test_the_advice_is_to_declare_the_baseline_in_the_plan(tmp_path: Path) -> None:
    """No file contains it after the migration; if the plan already does, there is no advice."""
    assert 'baseline = "3.9"' in moved(tmp_path, [judged("versions")]).advice[0]
    stated = service("user-service", settings=ServiceSettings(baseline=Interpreter(3, 9)))
    assert plan_ready_migrations(Plan(root=tmp_path), [stated], [judged("versions")]).advice == ()
    assert plan_ready_migrations(Plan(root=tmp_path), [USER], [judged("versions")], drop_old_versions=True).advice == ()


def test_tests_that_fail_on_the_baseline_too_wait_for_a_baseline_in_the_plan(tmp_path: Path) -> None:
    """After the move no file says the baseline, and they would count as failures of the target."""
    failing = Finding(code="PY404", message="1 test also fails on 3.9", severity=Severity.NOTE, preexisting=True)
    outcomes = [judged("versions"), judged("suite", failing, interpreter="3.12")]
    plan = moved(tmp_path, outcomes)
    assert plan.changes == ()
    assert [one.reason for one in plan.unmigrated] == [
        'tests fail on 3.9 as well: to have them compared after the move, set [service."user-service"] baseline = "3.9"'
    ]
    stated = service("user-service", settings=ServiceSettings(baseline=Interpreter(3, 9)))
    assert plan_ready_migrations(Plan(root=tmp_path), [stated], outcomes).changes
    assert plan_ready_migrations(Plan(root=tmp_path), [USER], outcomes, drop_old_versions=True).changes


def test_a_service_that_is_not_ready_stays_with_a_reason(tmp_path: Path) -> None:
    """The reason is the failed check."""
    plan = moved(tmp_path, [judged("versions"), judged("suite", BROKEN, interpreter="3.12")])
    assert (plan.changes, [(one.service, one.reason) for one in plan.unmigrated]) == (
        (),
        [(USER.name, "suite on 3.12 failed")],
    )


def test_a_service_of_which_a_check_was_not_run_stays(tmp_path: Path) -> None:
    """What was run of it passed; in a proposal it is named as not proven."""
    service_tree(tmp_path, {f"{USER.path}/Dockerfile": "FROM python:3.9\n"})
    missing = {USER.name: "not run: suite on 3.12"}
    plan = plan_ready_migrations(Plan(root=tmp_path), [USER], [judged("versions", EXCLUDED)], incomplete=missing)
    assert (plan.changes, list(map(str, plan.unmigrated))) == ((), [f"{USER.name}: {missing[USER.name]}"])
    proposal = plan_ready_migrations(
        Plan(root=tmp_path), [USER], [judged("versions")], incomplete=missing, propose_unproven=True
    )
    assert [(unproven.service, unproven.reason) for unproven in proposal.unproven] == list(missing.items())
    assert len(proposal.changes) == 1


def test_a_migrated_service_is_not_listed(tmp_path: Path) -> None:
    """Nothing is waiting there, even if a check fails."""
    assert moved(tmp_path, [judged("versions"), errored("suite")], version="3.12") == MigrationPlan()


def test_a_run_without_the_check_of_versions_migrates_nothing(tmp_path: Path) -> None:
    """``-m py312_suite`` proves nothing about declarations."""
    assert moved(tmp_path, [judged("suite", interpreter="3.12")]) == MigrationPlan()


def test_the_patch_release_is_that_of_the_used_interpreter(tmp_path: Path) -> None:
    """Of the target, and no other."""
    root = service_tree(tmp_path, {f"{USER.path}/.tool-versions": "python 3.9.1\n"})
    builds = [build_of("3.9", patch=2), build_of("3.12", patch=8)]
    plan = plan_ready_migrations(Plan(root=root), [USER], [judged("versions")], builds=builds)
    assert plan.changes[0].after == b"python 3.12.8\n"


def test_changes_of_one_file_are_merged() -> None:
    """The second one was planned on top of the first."""
    first = [FileChange(path="a", before=b"1", after=b"2"), FileChange(path="c", before=b"1", after=b"2")]
    then = [FileChange(path="a", before=b"1", after=b"3"), FileChange(path="b", before=b"1", after=b"2")]
    assert [(one.path, one.after) for one in merge_changes(first, then)] == [("a", b"3"), ("b", b"2"), ("c", b"2")]


def proposed(root: Path, outcomes: Sequence[Outcome], files: dict[str, str]) -> MigrationPlan:
    service_tree(root, {f"{USER.path}/{name}": text for name, text in files.items()})
    return plan_ready_migrations(Plan(root=root), [USER], outcomes, propose_unproven=True)


@pytest.mark.parametrize(
    ("outcomes", "doubt"),
    [
        ([errored("suite")], "suite could not be checked"),
        ([errored("suite"), judged("source", BROKEN)], "blocked: source failed (not every remedy is in this diff)"),
        (
            [judged("source", replace(BROKEN, changes=(FIX,)))],
            "blocked: source failed (the remedies are in this diff)",
        ),
        ([errored("versions")], "not all of its version declarations could be understood (nobody knows)"),
    ],
)
def test_the_migration_of_an_unproven_service_is_proposed(
    outcomes: Sequence[Outcome], doubt: str, tmp_path: Path
) -> None:
    """With the reason why nothing writes it; what blocks comes before what could not be checked."""
    plan = proposed(tmp_path, [judged("versions"), *outcomes], {"Dockerfile": "FROM python:3.9\n"})
    assert [change.after for change in plan.changes] == [b"FROM python:3.12\n"]
    assert [str(unproven) for unproven in plan.unproven] == [f"{USER.name}: {doubt}"]
    assert (plan.migrated, plan.unmigrated, plan.advice) == ((), (), ())


def test_a_proven_service_is_not_proposed_but_migrated(tmp_path: Path) -> None:
    """The diff of both is the same."""
    plan = proposed(tmp_path, [judged("versions"), judged("suite")], {"Dockerfile": "FROM python:3.9\n"})
    assert (plan.migrated, plan.unproven, len(plan.changes)) == ((USER.name,), (), 1)


@pytest.mark.parametrize(
    ("path", "text", "named"),
    [
        (f"{USER.path}/Dockerfile", "FROM python:3.9\n", {}),
        (".python-version", "3.9\n", {"auth-service": "suite could not be checked"}),  # for the fleet
    ],
)
def test_who_is_not_proven_is_named_for_what_waits(path: str, text: str, named: dict[str, str], tmp_path: Path) -> None:
    """A file that is for all services waits for the other one."""
    other = service("auth-service")
    root = service_tree(tmp_path, {f"{USER.path}/a.py": "", f"{other.path}/a.py": "", path: text})
    checked = [judged("versions"), replace(judged("versions"), service=other.name)]
    outcomes = [*checked, replace(errored("suite"), service=other.name)]
    plan = plan_ready_migrations(Plan(root=root), [USER, other], outcomes, propose_unproven=True)
    assert [change.path for change in plan.changes] == [path]
    assert {unproven.service: unproven.reason for unproven in plan.unproven} == named


def test_a_version_that_is_shared_waits_for_the_other_service(tmp_path: Path) -> None:
    """The proven one is named as well."""
    other = service("auth-service")
    text = (
        "jobs:\n  a:\n    steps:\n    - run: services/user-service/x services/auth-service/y\n"
        "    - with: {python-version: 3.9}\n"
    )
    files = {f"{USER.path}/a.py": "", f"{other.path}/a.py": "", ".github/workflows/ci.yml": text}
    outcomes = [
        judged("versions"),
        *(replace(one, service=other.name) for one in (judged("versions"), errored("suite"))),
    ]
    plan = plan_ready_migrations(
        Plan(root=service_tree(tmp_path, files)), [USER, other], outcomes, propose_unproven=True
    )
    assert {unproven.service: unproven.reason for unproven in plan.unproven} == {
        USER.name: "its versions are shared with services that are not proven",
        other.name: "suite could not be checked",
    }


def test_what_nobody_can_decide_here_is_left_out_of_a_proposal(tmp_path: Path) -> None:
    """The other declarations are proposed, also if the service is proven; the remark names the place."""
    files = {"Dockerfile": "FROM python:3.9\n", "docker/Dockerfile": "FROM circleci/python:3.9\nRUN python3.9 -V\n"}
    plan = proposed(tmp_path, [judged("versions")], files)
    assert [change.path for change in plan.changes] == [f"{USER.path}/Dockerfile"]
    assert plan.remarks == (
        f"{USER.path}/docker/Dockerfile:1 is left as it is. "
        "The image is discontinued and has no tags for newer Pythons; use cimg/python.",
    )
    assert [unproven.service for unproven in plan.unproven] == [USER.name]


def test_a_digest_is_left_out_of_a_proposal(tmp_path: Path) -> None:
    """Only a registry knows the digest of another image; nothing is written without it."""
    text = f"FROM python:3.9.5-slim@sha256:{'0' * 64} AS base\nCOPY x /usr/local/lib/python3.9/\n"
    plan = proposed(tmp_path, [judged("versions")], {"Dockerfile": text})
    assert plan.changes[0].after == b"FROM python:3.12-slim AS base\nCOPY x /usr/local/lib/python3.12/\n"
    assert "pin it again" in plan.remarks[0]
    assert [unproven.service for unproven in plan.unproven] == [USER.name]
    assert plan_ready_migrations(Plan(root=tmp_path), [USER], [judged("versions")]).changes == ()


@pytest.mark.parametrize(
    ("tag", "new"), [("slim-buster", "slim-bullseye"), ("alpine3.13", "alpine3.17"), ("stretch", "bullseye")]
)
def test_the_nearest_variant_of_an_image_is_proposed(tag: str, new: str, tmp_path: Path) -> None:
    """Where the same one does not exist for the target."""
    plan = proposed(tmp_path, [judged("versions")], {"Dockerfile": f"FROM python:3.9-{tag}\n"})
    assert plan.changes[0].after.decode() == f"FROM python:3.12-{new}\n"
    assert plan.remarks == (
        f"{USER.path}/Dockerfile:1: python:3.12-{tag} does not exist, so the nearest variant is proposed.",
    )


def test_requirement_files_of_an_older_python_are_named(tmp_path: Path) -> None:
    """Others are not: of the target, of uv, or written by hand. Nothing moves without a version that moves."""
    head = "# This file is autogenerated by pip-compile with {}\n#\n#    pip-compile {}.in\n"
    files = {
        "Dockerfile": "FROM python:3.9\n", "old.in": "", "old.txt": head.format("Python 3.9", "old"),
        "older.txt": head.format("python 3.8", "missing"), "new.txt": head.format("Python 3.12", "old"),
        "requirements.txt": "six\n",
    }  # fmt: skip
    plan = proposed(tmp_path, [judged("versions")], files)
    assert [(file.path, bool(file.problem)) for file in plan.outdated] == [
        (f"{USER.path}/old.txt", False),
        (f"{USER.path}/older.txt", True),
    ]
    (tmp_path / USER.path / "Dockerfile").write_text("FROM python:3.12\n", encoding="utf-8")
    assert (
        plan_ready_migrations(Plan(root=tmp_path), [USER], [judged("versions")], propose_unproven=True).outdated == ()
    )


def test_a_compiled_file_is_for_one_python(tmp_path: Path) -> None:
    """What a version needs that stays in a list is named."""
    head = "# This file is autogenerated by pip-compile with Python 3.9\n#\n#    pip-compile a.in\n"
    files = {"a.in": "", "a.txt": head, "tox.ini": "[tox]\nenvlist = py38,py39\n"}
    (remark,) = proposed(tmp_path, [judged("versions")], files).remarks
    assert remark.startswith(f"{USER.path}/a.txt: compiled with 3.12, a file lacks what only 3.8, 3.9 needs")
    (tmp_path / USER.path / "tox.ini").write_text("[tox]\nenvlist = py39\n", encoding="utf-8")
    plan = plan_ready_migrations(
        Plan(root=tmp_path), [USER], [judged("versions")], drop_old_versions=True, propose_unproven=True
    )
    assert [bool(plan.outdated), plan.remarks] == [True, ()]


def test_the_package_of_distutils_is_taken_out_of_a_proposal(tmp_path: Path) -> None:
    """The target has none; what needs distutils is found by other checks."""
    text = (
        "FROM debian\nRUN add-apt-repository ppa:deadsnakes/ppa && apt-get install \\\n    python3.9-dev \\\n"
        "    python3.9-distutils \\\n    -y\nRUN apt-get install -y python3.9-distutils git\n"
    )
    plan = proposed(tmp_path, [judged("versions")], {"Dockerfile": text})
    assert plan.changes[0].after.decode() == (
        "FROM debian\nRUN add-apt-repository ppa:deadsnakes/ppa && apt-get install \\\n    python3.12-dev \\\n"
        "    -y\nRUN apt-get install -y git\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        f"ARG V=3.9\nARG D=@sha256:{'0' * 64}\nFROM python:${{V}}-slim${{D}}\n",  # the digest stands elsewhere
        "FROM python:3.9-windowsservercore\n",  # nobody here knows whether it exists
    ],
)
def test_other_tags_are_left_to_decide(text: str, tmp_path: Path) -> None:
    """With the reason."""
    plan = proposed(tmp_path, [judged("versions")], {"Dockerfile": text})
    assert plan.changes == ()
    assert "is left as it is" in plan.remarks[0]
