"""Which files say a service's Python: those in its folder, and those around it that name it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.services.discovery import discover
from pytest_py312.repository.services.version_survey import DeclaredVersions, VersionSurvey, with_all_declarations
from tests.support.fakes import service, service_tree

USER = service("user-service")
AUTH = service("auth-service")


def versions_by_path(declared: DeclaredVersions) -> dict[str, list[str]]:
    """Path to the versions that stand there."""
    versions: dict[str, list[str]] = {}
    for place in declared.declarations:
        versions.setdefault(place.path, []).append(str(place.version))
    return versions


def survey(root: Path, files: Mapping[str, str]) -> VersionSurvey:
    return VersionSurvey(service_tree(root, files), [USER, AUTH])


def test_a_service_at_the_root_has_what_names_no_other(tmp_path: Path) -> None:
    """Its own files, and the jobs that are for none of those beneath it."""
    workflow = (
        "jobs:\n  test:\n    steps: [{with: {python-version: '3.9'}}]\n"
        "  user-service:\n    steps: [{with: {python-version: '3.10'}}]\n"
    )
    files = {"Dockerfile": "FROM python:3.9\n", ".github/workflows/ci.yml": workflow}
    root = service("shop", path=".")
    reader = VersionSurvey(service_tree(tmp_path, files), [root, USER])
    assert versions_by_path(reader.read(root)) == {"Dockerfile": ["3.9"], ".github/workflows/ci.yml": ["3.9"]}
    assert versions_by_path(reader.read(USER)) == {".github/workflows/ci.yml": ["3.10"]}


IN_ITS_FOLDER = {
    "Dockerfile": "FROM python:@\n",
    "deploy/docker/api.Dockerfile": "FROM python:@\n",
    "docker-compose.yml": "services: {mock: {image: 'python:@'}}\n",
    "k8s/deployment.yaml": "containers:\n- image: python:@\n",
    ".github/workflows/ci.yml": "jobs: {a: {steps: [{with: {python-version: '@'}}]}}\n",
    "pyproject.toml": "[project]\nrequires-python = '==@.*'\n",
    "setup.cfg": "[options]\npython_requires = ==@.*\n",
    "tox.ini": "[testenv]\nbasepython = python@\n",
    "mypy.ini": "[mypy]\npython_version = @\n",
    ".python-version": "@\n",
    "runtime.txt": "python-@.1\n",
    ".tool-versions": "python @.1\n",
    ".pre-commit-config.yaml": "default_language_version: {python: python@}\n",
    ".gitlab-ci.yml": "test: {image: 'python:@'}\n",
}


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.12"])
def test_all_in_the_folder_of_a_service_is_its_own(version: str, tmp_path: Path) -> None:
    """And of no other one."""
    files = {f"{USER.path}/{name}": text.replace("@", version) for name, text in IN_ITS_FOLDER.items()}
    found = survey(tmp_path, files)
    assert versions_by_path(found.read(USER)) == {path: [version] for path in sorted(files)}
    assert found.read(AUTH) == DeclaredVersions()


def test_files_of_others_are_left_out(tmp_path: Path) -> None:
    """Copies of foreign code, data of tests, and services beneath a service."""
    inner = service("inner", path=f"{USER.path}/parts/inner")
    root = service_tree(
        tmp_path,
        {
            f"{USER.path}/{folder}/Dockerfile": "FROM python:3.9\n"
            for folder in ("vendor/x", "tests/fixtures", "tests/data/a", "parts/inner")
        },
    )
    found = VersionSurvey(root, [USER, inner])
    assert versions_by_path(found.read(USER)) == {}
    assert versions_by_path(found.read(inner)) == {f"{inner.path}/Dockerfile": ["3.9"]}


def test_jobs_of_a_root_workflow_belong_to_the_services_that_they_name(tmp_path: Path) -> None:
    """Each service gets its own jobs; a job that names none belongs to none of them."""
    job = "    steps: [{{with: {{python-version: '{}'}}}}]\n"
    workflow = (
        f"jobs:\n  user-service:\n{job.format('3.10')}  auth-service:\n{job.format('3.12')}  lint:\n{job.format('3.9')}"
    )
    found = survey(tmp_path, {".github/workflows/ci.yml": workflow})
    assert versions_by_path(found.read(USER)) == {".github/workflows/ci.yml": ["3.10"]}
    assert versions_by_path(found.read(AUTH)) == {".github/workflows/ci.yml": ["3.12"]}


def test_a_computed_version_that_names_no_service_blocks_no_service(tmp_path: Path) -> None:
    """It applies to the whole fleet, and is no declaration of any service."""
    text = "jobs: {a: {steps: [{with: {python-version: '${{ steps.x.outputs.y }}'}}]}}\n"
    assert survey(tmp_path, {".github/workflows/ci.yml": text}).read(USER) == DeclaredVersions()


def test_an_image_of_the_repository_says_the_version_of_those_that_build_on_it(tmp_path: Path) -> None:
    """Also if only the build hands it over."""
    files = {
        "images/app-common/Dockerfile": "ARG BASE_PYTHON\nFROM $BASE_PYTHON\n",
        "images/base-python/Dockerfile": "FROM python:3.12 AS tools\nFROM python:3.9\n",
        "services/user-service/Dockerfile": "ARG APP_COMMON\nFROM ${APP_COMMON} AS a\nFROM ${APP_COMMON}\n",
    }
    declared = survey(tmp_path, files).read(USER)
    assert versions_by_path(declared) == {"images/base-python/Dockerfile": ["3.9"]}


def test_the_image_of_another_service_with_code_of_this_one_decides_nothing(tmp_path: Path) -> None:
    """What it is based on is up to the service that it installs; its own image decides, whatever it is called."""
    requirements = {f"{name}/requirements.txt": "six\n" for name in ("services/worker", "services/order_api")}
    files = {
        "docker/x.Dockerfile": "FROM python:3.9\nCOPY services/worker /app/worker\nCOPY services/order_api /app/api\n"
        "RUN pip install -r /app/worker/requirements.txt\n",
        "docker/Dockerfile-order-api": "FROM python:3.10\nCOPY services/order_api /app\n"
        "RUN pip install -r /app/requirements.txt\n",
        **requirements,
    }
    root = service_tree(tmp_path, files)
    fleet = discover(Plan(root=root))
    reader = VersionSurvey(root, fleet.services)
    declared = {
        each.path: {str(place.version): place.declared for place in reader.read(each).declarations}
        for each in fleet.services
    }
    assert declared["services/order_api"]["3.10"]
    assert not declared["services/order_api"].get("3.9", False)
    assert declared["services/worker"]["3.9"]


def test_reusable_workflows_and_actions_belong_to_those_who_call_them(tmp_path: Path) -> None:
    """However far the work is handed on."""
    files = {
        ".github/workflows/user.yml": "on: {push: {paths: ['services/user-service/**']}}\n"
        "jobs: {a: {uses: ./.github/workflows/tests.yml}}\n",
        ".github/workflows/tests.yml": "jobs: {a: {steps: [{uses: ./.github/actions/python}]}}\n",
        ".github/actions/python/action.yml": "inputs: {python-version: {default: '3.10'}}\n",
    }
    found = survey(tmp_path, files)
    assert versions_by_path(found.read(USER)) == {".github/actions/python/action.yml": ["3.10"]}
    assert versions_by_path(found.read(AUTH)) == {}


def test_of_a_fleet_of_one_everything_is_that_one_s(tmp_path: Path) -> None:
    """Whatever the files name."""
    root = service_tree(
        tmp_path, {".github/workflows/ci.yml": "a: {python-version: '3.10'}\n", ".python-version": "3.10"}
    )
    assert versions_by_path(VersionSurvey(root, [USER]).read(USER)) == {
        ".github/workflows/ci.yml": ["3.10"],
        ".python-version": ["3.10"],
    }


def test_a_service_at_the_root_has_the_root_s_files(tmp_path: Path) -> None:
    """Once."""
    root = service_tree(
        tmp_path, {"Dockerfile": "FROM python:3.10\n", ".github/workflows/a.yml": "python-version: '3.9'\n"}
    )
    here = service("here", path=".")
    assert versions_by_path(VersionSurvey(root, [here]).read(here)) == {
        "Dockerfile": ["3.10"],
        ".github/workflows/a.yml": ["3.9"],
    }


def test_the_inventory_names_what_lies_around_a_service(tmp_path: Path) -> None:
    """Compose files and workflows beside its Dockerfile, also where only a part of the fleet is shown."""
    root = service_tree(
        tmp_path,
        {
            f"{USER.path}/Dockerfile": "FROM python:3.9\n",
            f"{USER.path}/docker-compose.yml": "services: {mock: {image: 'python:3.10'}}\n",
            ".github/workflows/user-service.yml": "python-version: '3.12'\n",
            ".github/workflows/all.yml": "python-version: '3.11'\n",
        },
    )
    shown = with_all_declarations(Fleet(services=(USER,)), Plan(root=root), Fleet(services=(USER, AUTH)))
    assert [
        (one.location.path.rpartition("/")[2], str(one.interpreter)) for one in shown["user-service"].declarations
    ] == [
        ("user-service.yml", "3.12"),
        ("Dockerfile", "3.9"),
        ("docker-compose.yml", "3.10"),
    ]
    assert shown.assumptions == (
        ".github/workflows/all.yml declares a Python version and names no service: this applies to the whole fleet, "
        "and is migrated once all services are.",
    )


def test_excluded_folders_are_not_looked_into(tmp_path: Path) -> None:
    """The services that they name do not get their declarations."""
    root = service_tree(tmp_path, {"old/user-service/Dockerfile": "FROM python:3.8\n"})
    assert versions_by_path(VersionSurvey(root, [USER, AUTH]).read(USER)) == {"old/user-service/Dockerfile": ["3.8"]}
    assert versions_by_path(VersionSurvey(root, [USER, AUTH], exclude=["old"]).read(USER)) == {}


def test_nothing_is_read_outside_of_the_root(tmp_path: Path) -> None:
    """A link that leads out, and a folder of links."""
    service_tree(tmp_path, {"elsewhere/Dockerfile": "FROM python:3.9\n"})
    root = service_tree(tmp_path / "root", {f"{USER.path}/requirements.txt": ""})
    (root / USER.path / "Dockerfile").symlink_to(tmp_path / "elsewhere" / "Dockerfile")
    (root / "user-service").symlink_to(tmp_path / "elsewhere")
    assert VersionSurvey(root, [USER]).read(USER) == DeclaredVersions()


def test_a_link_to_another_file_of_the_service_is_that_file(tmp_path: Path) -> None:
    """Which is read once."""
    root = service_tree(tmp_path, {f"{USER.path}/docker/Dockerfile": "FROM python:3.10\n"})
    (root / USER.path / "Dockerfile").symlink_to("docker/Dockerfile")
    assert versions_by_path(VersionSurvey(root, [USER, AUTH]).read(USER)) == {
        f"{USER.path}/docker/Dockerfile": ["3.10"]
    }


def test_a_file_that_is_too_large_is_reported_where_it_would_be_missed(tmp_path: Path) -> None:
    """A Dockerfile is; a YAML file is nearly always data."""
    large = "# python:3.10\n" * 200_000
    found = survey(tmp_path, {f"{USER.path}/Dockerfile": large, f"{USER.path}/data.yaml": large})
    assert found.read(USER).unread == ((f"{USER.path}/Dockerfile", "is larger than 2048 KiB"),)


@pytest.mark.parametrize(
    ("files", "starts"),
    [
        ({"entry.sh": "exec python3.9 -m a\n", "Dockerfile": 'FROM python:3.12\nENTRYPOINT ["./entry.sh"]\n'}, True),
        ({"run.py": "#!/usr/bin/env python3.9\n", "Dockerfile": "FROM python:3.12\nCMD ./run.py\n"}, True),
        ({"run.py": "#!/usr/bin/env python3.9\n", "Procfile": "a: flask run\nc: ./run.py\n"}, True),
        ({"run.py": "#!/usr/bin/env python3.9\n", "Dockerfile": "FROM python:3.12\nCMD ./rerun.py\n"}, False),
        ({"entry.sh": "exec python3.9 -m a\n", "Dockerfile.test": "FROM python:3.12\nCMD ./entry.sh\n"}, False),
        ({"entry.sh": "exec python3.9 -m a\n"}, False),
        ({"entry.sh": "exec python3.9 -m a\n", "Dockerfile": "FROM python:3.12\n# entry.sh\nRUN rm entry.sh\n"}, False),
        (
            {
                "old/run.py": "#!/usr/bin/env python3.9\n",
                "run.py": "",
                "Dockerfile": "FROM python:3.12\nCMD ./run.py\n",
            },
            False,
        ),
        ({"old/run.py": "#!/usr/bin/env python3.9\n", "Dockerfile": "FROM python:3.12\nCMD /srv/old/run.py\n"}, True),
    ],
    ids=[
        "script",
        "its first line",
        "of a Procfile",
        "another file",
        "of an image for tests",
        "nothing names it",
        "not started",
        "another one of that name",
        "with its folder",
    ],
)
def test_production_runs_the_scripts_that_its_files_name(
    tmp_path: Path, files: Mapping[str, str], starts: bool
) -> None:
    found = survey(tmp_path, {f"{USER.path}/{name}": text for name, text in files.items()}).read(USER)
    script = next(one for one in found.declarations if one.path.endswith(("entry.sh", "run.py")))
    assert script.starts_service is starts


def test_sources_are_read_last_and_only_in_services(tmp_path: Path) -> None:
    """There are many of them, and few name a Python."""
    script = "#!/usr/bin/env python3.9\n"
    files = {f"{USER.path}/a.py": script, f"{USER.path}/entry.sh": "python3.9 a.py\n", "tools/b.py": script}
    found = survey(tmp_path, files)
    assert [path.rpartition("/")[2] for path in found.own_files(USER)] == ["entry.sh", "a.py"]
    assert found.shared_files() == ()
