"""Migrations of a fleet: all declarations of a service or none, and shared ones when all their services migrate."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Service
from pytest_py312.gate.checks.version_consistency import check_consistency
from pytest_py312.gate.fixes.version_changes import MigrationPlan, plan_migrations
from pytest_py312.repository.edits.change_set import FileChange
from pytest_py312.repository.edits.declarations import MigrationTarget
from pytest_py312.repository.services.version_survey import VersionSurvey
from tests.support.fakes import service, service_tree

TARGET = Interpreter(3, 12)
USER = service("user-service")
AUTH = service("auth-service")
BOTH = (USER, AUTH)

each_old = pytest.mark.parametrize("old", ["3.9", "3.10"])


def planned(
    root: Path, services: Sequence[Service] = BOTH, *, old: str = "3.9", close: bool = False, full: str = "",
    written: Sequence[FileChange] = (),
) -> MigrationPlan:  # fmt: skip
    migration = MigrationTarget(
        baseline=Interpreter.parse(old), target=TARGET, drop_old_versions=close, full_version=full
    )
    migrations = {one.name: migration for one in BOTH}
    return plan_migrations(VersionSurvey(root, BOTH), root, migrations, services, earlier_changes=written)


def texts(plan: MigrationPlan) -> dict[str, str]:
    return {change.path: change.after.decode() for change in plan.changes}


def made(root: Path, plan: MigrationPlan) -> None:
    for change in plan.changes:
        assert (root / change.path).read_bytes() == change.before
        (root / change.path).write_bytes(change.after)


@each_old
def test_all_declarations_of_a_service_change_together(old: str, tmp_path: Path) -> None:
    """Its own files and the part of a root workflow that names it; a second time changes nothing."""
    root = service_tree(
        tmp_path,
        {
            f"{USER.path}/Dockerfile": f"FROM python:{old}-slim\nRUN python{old} -V\n",
            f"{USER.path}/pyproject.toml": f"[project]\nrequires-python = '>={old},<3.12'\n",
            f"{AUTH.path}/Dockerfile": f"FROM python:{old}\n",
            ".github/workflows/ci.yml": "jobs:\n"
            f"  user-service:\n    steps: [{{with: {{python-version: '{old}'}}}}]\n"
            f"  auth-service:\n    steps: [{{with: {{python-version: '{old}'}}}}]\n",
        },
    )
    plan = planned(root, [USER], old=old)
    assert texts(plan) == {
        ".github/workflows/ci.yml": "jobs:\n"
        "  user-service:\n    steps: [{with: {python-version: '3.12'}}]\n"
        f"  auth-service:\n    steps: [{{with: {{python-version: '{old}'}}}}]\n",
        f"{USER.path}/Dockerfile": "FROM python:3.12-slim\nRUN python3.12 -V\n",
        f"{USER.path}/pyproject.toml": f"[project]\nrequires-python = '>={old},<3.13'\n",
    }
    assert plan.migrated == (USER.name,)
    made(root, plan)
    assert planned(root, [USER], old=old) == MigrationPlan()


@each_old
def test_one_refused_declaration_keeps_its_whole_service(old: str, tmp_path: Path) -> None:
    """The other service is migrated."""
    root = service_tree(
        tmp_path,
        {
            f"{USER.path}/Dockerfile": f"FROM python:{old}-slim-buster\n",
            f"{USER.path}/.python-version": f"{old}\n",
            f"{AUTH.path}/.python-version": f"{old}\n",
        },
    )
    plan = planned(root, old=old)
    assert texts(plan) == {f"{AUTH.path}/.python-version": "3.12\n"}
    assert [kept.service for kept in plan.unmigrated] == [USER.name]
    assert "slim-bullseye" in plan.unmigrated[0].reason


def test_a_refused_shared_file_keeps_the_own_files_as_well(tmp_path: Path) -> None:
    """Half a migration would break."""
    root = service_tree(
        tmp_path,
        {f"{USER.path}/Dockerfile": "FROM python:3.9\n", "k8s/user-service.yaml": "image: python:3.9-slim-buster\n"},
    )
    plan = planned(root)
    assert (plan.changes, plan.migrated) == ((), ())
    assert [kept.service for kept in plan.unmigrated] == [USER.name]


def test_a_shared_declaration_waits_for_all_of_its_services(tmp_path: Path) -> None:
    """A note lists for which."""
    workflow = "jobs:\n  test:\n    strategy: {matrix: {service: [user-service, auth-service]}}\n"
    workflow += "    steps: [{with: {python-version: '3.9'}}]\n"
    files = {".github/workflows/ci.yml": workflow, f"{USER.path}/Dockerfile": "FROM python:3.9\n"}
    root = service_tree(tmp_path, files)
    alone = planned(root, [USER])
    assert list(texts(alone)) == [f"{USER.path}/Dockerfile"]
    assert [kept.reason for kept in alone.unmigrated] == [
        ".github/workflows/ci.yml:4 is shared with auth-service, and changes when all of them migrate."
    ]
    assert ".github/workflows/ci.yml" in texts(planned(root))


def test_a_declaration_of_no_service_changes_with_the_whole_fleet(tmp_path: Path) -> None:
    """A linter job at the root is for all services."""
    files = {".github/workflows/lint.yml": "jobs: {lint: {steps: [{with: {python-version: '3.9'}}]}}\n"}
    root = service_tree(tmp_path, files | {f"{one.path}/.python-version": "3.9\n" for one in BOTH})
    assert len(planned(root, [USER]).changes) == 1
    assert ".github/workflows/lint.yml" in texts(planned(root))


@each_old
def test_the_baseline_stays_in_matrices_until_the_rollout_is_closed(old: str, tmp_path: Path) -> None:
    """The target is added, and the older versions are removed later."""
    root = service_tree(tmp_path, {f"{USER.path}/tox.ini": f"[tox]\nenvlist = py{old.replace('.', '')}, lint\n"})
    opened = planned(root, old=old)
    assert texts(opened) == {f"{USER.path}/tox.ini": f"[tox]\nenvlist = py{old.replace('.', '')}, py312, lint\n"}
    made(root, opened)
    assert texts(planned(root, old=old, close=True)) == {f"{USER.path}/tox.ini": "[tox]\nenvlist = py312, lint\n"}


def test_a_patch_release_is_written_if_it_is_required(tmp_path: Path) -> None:
    """That of the used interpreter; without one the service is not migrated."""
    root = service_tree(tmp_path, {f"{USER.path}/.tool-versions": "python 3.10.13\n"})
    assert texts(planned(root, full="3.12.7")) == {f"{USER.path}/.tool-versions": "python 3.12.7\n"}
    assert planned(root).unmigrated[0].service == USER.name


def test_migrations_are_planned_on_top_of_other_changes(tmp_path: Path) -> None:
    """A requirement in the same file was changed before."""
    path = f"{USER.path}/pyproject.toml"
    text = "[project]\nrequires-python = '>=3.9,<3.12'\ndependencies = ['a==1']\n"
    root = service_tree(tmp_path, {path: text})
    change = FileChange(path=path, before=text.encode(), after=text.replace("a==1", "a==2").encode())
    plan = planned(root, written=[change])
    assert texts(plan) == {path: "[project]\nrequires-python = '>=3.9,<3.13'\ndependencies = ['a==2']\n"}
    assert plan.changes[0].before == text.encode()


def test_symbolic_links_are_not_followed(tmp_path: Path) -> None:
    """A service whose image is a link to another file is not migrated at all."""
    root = service_tree(tmp_path, {"shared/Dockerfile": "FROM python:3.9\n", f"{USER.path}/.python-version": "3.9\n"})
    (root / USER.path / "Dockerfile").symlink_to(root / "shared" / "Dockerfile")
    plan = planned(root, [USER])
    assert plan.changes == ()
    assert "link" in plan.unmigrated[0].reason


def test_a_linked_source_keeps_nothing_from_moving(tmp_path: Path) -> None:
    """Sources rarely name a Python, and a link to one of another folder is common."""
    root = service_tree(tmp_path, {"lib/common.py": "x = 1\n", f"{USER.path}/Dockerfile": "FROM python:3.9\n"})
    (root / USER.path / "common.py").symlink_to(root / "lib/common.py")
    assert texts(planned(root, [USER])) == {f"{USER.path}/Dockerfile": "FROM python:3.12\n"}


PARTS: Mapping[str, str] = {
    f"{USER.path}/Dockerfile": "FROM python:@-slim AS a\nCOPY --from=a /usr/local/lib/python@/x /y\n",
    f"{AUTH.path}/Dockerfile": "FROM python:@\n",
    f"{AUTH.path}/pyproject.toml": "[project]\nrequires-python = '>=@'\n",
    "docker-compose.yml": "services:\n  user-service: {image: 'python:@'}\n  auth-service: {image: 'python:@'}\n",
    ".github/workflows/a.yml": "jobs: {a: {strategy: {matrix: {python-version: ['@']}}}}\n",
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(
    versions=st.dictionaries(st.sampled_from(sorted(PARTS)), st.sampled_from(["3.9", "3.10", "3.12"]), min_size=1),
    services=st.sampled_from([[USER], [AUTH], [USER, AUTH]]),
)
def test_a_second_migration_changes_nothing(
    versions: dict[str, str], services: list[Service], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whichever services are migrated, from wherever; and only digits of versions change."""
    files = {path: PARTS[path].replace("@", version) for path, version in versions.items()}
    root = service_tree(tmp_path_factory.mktemp("moves"), files)
    plan = planned(root, services)
    made(root, plan)
    assert planned(root, services).changes == ()
    others = {one.path for one in BOTH} - {one.path for one in services}
    assert not [path for path in texts(plan) if path.startswith(tuple(f"{other}/" for other in others))]


@each_old
def test_a_comment_hands_no_image_of_others_to_a_service(old: str, tmp_path: Path) -> None:
    """The images of a taskcluster kind are for the tasks that are keyed by a service; the others wait for all."""
    kind = (
        f"tasks:\n  python{old.replace('.', '')}:\n    args:\n      PYTHON_VERSION: '{old}'\n"
        f"  base:\n    args:\n      BASE_IMAGE: python:{old}\n"
        f"  auth-service-test:\n    args:\n      BASE_IMAGE: python:{old}\n"
        f"  user-service-test:\n    args:\n      BASE_IMAGE: python:{old}\n"
        "      # copied from services/user-service/docker.d/image_setup.sh\n      APT_PACKAGES: ostree\n"
    )
    files = {"taskcluster/kinds/docker-image/kind.yml": kind, f"{USER.path}/Dockerfile": f"FROM python:{old}\n"}
    plan = planned(service_tree(tmp_path, files), [USER], old=old)
    head, _, own = kind.rpartition("  user-service-test:")
    assert texts(plan) == {
        f"{USER.path}/Dockerfile": "FROM python:3.12\n",
        "taskcluster/kinds/docker-image/kind.yml": head + "  user-service-test:" + own.replace(old, "3.12"),
    }
    of_all = kind.replace(f"python:{old}", "python:3.12").replace(
        "  base:\n", "  python312:\n    args:\n      PYTHON_VERSION: '3.12'\n  base:\n"
    )
    assert texts(planned(tmp_path, old=old))["taskcluster/kinds/docker-image/kind.yml"] == of_all


@each_old
def test_the_versions_of_a_task(old: str, tmp_path: Path) -> None:
    """``python-versions: [39]`` of a task is a list: the target is added."""
    compact = old.replace(".", "")
    kind = f"tasks:\n  user-service:\n    python-versions: [38, {compact}]\n  init:\n    python-versions: [{compact}]\n"
    files = {"taskcluster/kinds/tox/kind.yml": kind, f"{USER.path}/Dockerfile": f"FROM python:{old}\n"}
    plan = planned(service_tree(tmp_path, files), [USER], old=old)
    assert texts(plan)["taskcluster/kinds/tox/kind.yml"] == kind.replace(f"38, {compact}", f"38, {compact}, 312")


@each_old
def test_the_environments_of_a_service_in_a_root_tox(old: str, tmp_path: Path) -> None:
    """Its entry and its section get those of the target; the others' stay."""
    compact = old.replace(".", "")
    names = [f"{one.name}-py{compact}" for one in BOTH]
    sections = [f"\n[testenv:{name}]\nchangedir = x\ncommands = tox -e py{compact}\n" for name in names]
    head = f"[tox]\nenvlist =\n    {names[0]}\n"
    files = {"tox.ini": f"{head}    {names[1]}\n{''.join(sections)}", f"{USER.path}/Dockerfile": f"FROM python:{old}\n"}
    plan = planned(service_tree(tmp_path, files), [USER], old=old)
    new_section = sections[0].replace(f"py{compact}", "py312")
    assert (
        texts(plan)["tox.ini"]
        == f"{head}    user-service-py312\n    {names[1]}\n{sections[0]}{new_section}{sections[1]}"
    )


@each_old
def test_the_argument_of_a_test_image_stands_in_the_tox_ini_beside_it(old: str, tmp_path: Path) -> None:
    """Dockerfile.test has none; both are moved where it stands, and nothing is unclear."""
    compact = old.replace(".", "")
    tox = (
        f"[testenv:docker]\ncommands =\n    docker build --build-arg PYTHON_VERSION={old}.7 -f Dockerfile.test .\n"
        f"    docker run x py{compact}\n\n[testenv]\ndeps =\n    py{compact}: -r requirements/test.txt\n"
    )
    files = {
        f"{USER.path}/Dockerfile": f"FROM python:{old}\n",
        f"{USER.path}/Dockerfile.test": "ARG PYTHON_VERSION\nFROM python:${PYTHON_VERSION}\n",
        f"{USER.path}/tox.ini": tox,
    }
    root = service_tree(tmp_path, files)
    migration = MigrationTarget(baseline=Interpreter.parse(old), target=TARGET)
    declarations = VersionSurvey(root, BOTH).read(USER).declarations
    assert check_consistency(declarations, migration, service=USER.path).unclear == ()
    assert texts(planned(root, [USER], old=old))[f"{USER.path}/tox.ini"] == (
        "[testenv:docker]\ncommands =\n    docker build --build-arg PYTHON_VERSION=3.12 -f Dockerfile.test .\n"
        f"    docker run x py312\n\n[testenv]\ndeps =\n    py{compact}: -r requirements/test.txt\n"
        "    py312: -r requirements/test.txt\n"
    )
