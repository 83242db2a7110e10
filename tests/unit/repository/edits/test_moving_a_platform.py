"""A platform of twenty services, with the shapes in which a real one was written: every place is found and moved.

The real one's own scripts changed FROM lines only: four images then copied a folder that did not exist any more, two
compose files stayed behind, and the verifier reported all of it as upgraded.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Interpreter, Severity
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.plan import Plan
from pytest_py312.gate.checks.version_consistency import check_consistency
from pytest_py312.gate.fixes.version_changes import plan_migrations
from pytest_py312.repository.declarations.declaration import DeclarationRole
from pytest_py312.repository.declarations.reader import read_declarations
from pytest_py312.repository.edits.declarations import MigrationTarget
from pytest_py312.repository.services.discovery import discover
from pytest_py312.repository.services.version_survey import VersionSurvey
from tests.support.fakes import service_tree
from tests.support.migrations import migrate_files

TARGET = Interpreter(3, 12)

TWO = "python:{0} AS builder|python:{0}"
GRPC = "python:{0} AS builder|builder AS grpc-builder|python:{0}"
DOCKERFILES = {
    "accessibility-service/deploy/docker/Dockerfile": "python:3.10-slim",
    "accessibility-service/test/client/Dockerfile": "python:3.10-slim",
    "agent-services/laoke-service/Dockerfile": "python:3.10-slim AS builder|builder AS schema-builder|python:3.10-slim",
    "agent-services/laoke-service/deploy/docker/Dockerfile": "python:3.11-slim",
    "agent-services/laoke-service/test/platform/Dockerfile.edu-mock": "python:3.11-slim",
    "agent-services/soer-service/Dockerfile": "python:3.10-slim as builder|python:3.10-slim",
    "agent-services/xiaoai-service/Dockerfile": GRPC.format("3.10-slim"),
    "agent-services/xiaoke-service/Dockerfile": GRPC.format("3.10-slim"),
    "api-gateway/deploy/docker/Dockerfile": "python:3.10-slim",
    "auth-service/deploy/docker/Dockerfile": TWO.format("3.11-slim"),
    "blockchain-service/deploy/docker/Dockerfile": "python:3.9-slim as builder|python:3.9-slim",
    "corn-maze-service/Dockerfile": GRPC.format("3.10-slim"),
    "corn-maze-service/deploy/docker/Dockerfile": "python:3.9-slim",
    "diagnostic-services/inquiry-service/Dockerfile": GRPC.format("3.10-slim"),
    "diagnostic-services/inquiry-service/deploy/docker/Dockerfile": "python:3.9-slim",
    "diagnostic-services/listen-service/Dockerfile": "python:3.10-slim as builder|python:3.10-slim",
    "diagnostic-services/look-service/Dockerfile": TWO.format("3.10-slim"),
    "diagnostic-services/look-service/deploy/docker/Dockerfile": "python:3.11-slim",
    "diagnostic-services/palpation-service/Dockerfile": GRPC.format("3.10-slim"),
    "health-data-service/Dockerfile": "python:3.11-slim-bullseye",
    "med-knowledge/Dockerfile": "python:3.11-slim as builder|python:3.11-slim as runner",
    "medical-service/deploy/docker/Dockerfile": "python:3.10-slim",
    "message-bus/deploy/docker/Dockerfile": "python:3.11-slim AS builder|python:3.11-slim AS development|"
    "python:3.11-slim AS production",
    "rag-service/Dockerfile": "python:3.10-slim as builder|python:3.10-slim",
    "rag-service/deploy/docker/Dockerfile": TWO.format("3.10-slim"),
    "suoke-bench-service/Dockerfile": "python:3.10-slim as builder|python:3.10-slim",
    "user-service/Dockerfile": "python:3.10-slim",
}
"""The FROM lines of each, separated by ``|``."""

COPIES_PACKAGES = (
    "agent-services/laoke-service/Dockerfile",
    "med-knowledge/Dockerfile",
    "rag-service/Dockerfile",
    "rag-service/deploy/docker/Dockerfile",
)
WORKFLOWS = (
    ("accessibility-service/.github/workflows/accessibility-ci.yml", "3.10"),
    ("accessibility-service/.github/workflows/ci.yml", "3.11"),
    ("auth-service/.github/workflows/ci-cd.yaml", "3.11"),
    ("corn-maze-service/.github/workflows/ci-cd.yaml", "3.9"),
)
COMPOSE = ("api-gateway/docker-compose.yml", "api-gateway/deploy/docker-compose.test.yaml")


def dockerfile(path: str, stages: str) -> str:
    lines = ["# the service's image"]
    for stage in stages.split("|"):
        lines += [
            f"FROM {stage}",
            "WORKDIR /app",
            "RUN pip install --no-cache-dir -r requirements.txt \\",
            "    && true",
        ]
    if path in COPIES_PACKAGES:
        version = re.search(r"python:(3\.\d+)", stages)
        assert version is not None
        folder = f"/usr/local/lib/python{version[1]}/site-packages"
        lines.append(f"COPY --from=builder {folder} {folder}")
    return "\n".join([*lines, 'CMD ["python", "-m", "cmd.server"]', ""])


def platform() -> dict[str, str]:
    """All files that say a Python version."""
    files = {path: dockerfile(path, stages) for path, stages in DOCKERFILES.items()}
    for path, version in WORKFLOWS:
        files[path] = (
            "name: CI\njobs:\n  test:\n    steps:\n"
            f"      - name: Set up Python {version}\n        uses: actions/setup-python@v4\n        with:\n"
            f"          python-version: '{version}'\n          cache: pip\n"
        )
    for path in COMPOSE:
        files[path] = "services:\n  mock:\n    image: python:3.10-slim\n    command: python -m http.server\n"
    files["rag-service/pyproject.toml"] = (
        '[tool.poetry.dependencies]\npython = ">=3.9,<3.11"\n[tool.black]\ntarget-version = ["py39"]\n'
        '[tool.mypy]\npython_version = "3.9"\n'
    )
    files["suoke-bench-service/pyproject.toml"] = (
        '[tool.poetry.dependencies]\npython = "^3.10"\n[tool.black]\ntarget-version = ["py310"]\n'
    )
    files["message-bus/setup.py"] = (
        'from setuptools import setup\n\nsetup(name="message-bus", python_requires=">=3.9")\n'
    )
    files["accessibility-service/mypy.ini"] = "[mypy]\npython_version = 3.10\n"
    return files


def services() -> Iterator[tuple[str, dict[str, str]]]:
    files = platform()
    names = sorted({"/".join(path.split("/")[: 2 if "-services/" in path else 1]) for path in files})
    for name in names:
        yield name, {path: text for path, text in files.items() if path.startswith(f"{name}/")}


def fleet_on_disk(root: Path) -> tuple[Plan, Fleet]:
    requirements = {f"{name}/requirements.txt": "" for name, _ in services()}
    service_tree(root, platform() | requirements)
    plan = Plan(root=root)
    return plan, discover(plan)


def test_every_place_is_found() -> None:
    """44 images in 27 Dockerfiles, four copies of two paths each, nine workflows' and compose files' places."""
    places = [place for path, text in platform().items() for place in read_declarations(text, path)]
    images = [place for place in places if place.kind == "image" and place.images and "ockerfile" in place.path]
    assert (len(DOCKERFILES), len(images)) == (27, 44)
    assert len([place for place in places if place.role is DeclarationRole.PATH]) == 8
    assert len([place for place in places if place.kind == "workflow" and place.role is DeclarationRole.EXACT]) == 4
    assert len([place for place in places if place.role is DeclarationRole.LABEL]) == 4
    assert len([place for place in places if place.path in COMPOSE]) == 2
    assert [place for place in places if place.role is DeclarationRole.UNKNOWN] == []


def test_every_service_moves_as_a_whole() -> None:
    """Nothing of the baseline is left in what runs, and what else the files say is byte for byte the same."""
    for name, files in services():
        moved, refused = migrate_files(files, MigrationTarget(baseline=Interpreter(3, 9), target=TARGET))
        assert refused == (), name
        for path, before in files.items():
            after = moved.get(path, before)
            assert re.sub(r"3\.\d+", "", after).replace(', "py312"', "") == re.sub(r"3\.\d+", "", before)
            if path.endswith((".yml", ".yaml")) or "ockerfile" in path:
                assert set(re.findall(r"3\.\d+", after)) == {"3.12"}
        again, _ = migrate_files({**files, **moved}, MigrationTarget(baseline=Interpreter(3, 9), target=TARGET))
        assert again == {}


@pytest.mark.parametrize("path", COPIES_PACKAGES)
def test_what_a_search_for_from_lines_leaves_broken_is_an_error(path: str) -> None:
    """FROM lines alone were changed: the folder that is copied does not exist in the new images."""
    text = re.sub(r"(?m)^(FROM python:)3\.\d+", r"\g<1>3.12", platform()[path])
    aim = MigrationTarget(baseline=Interpreter(3, 10), target=TARGET)
    found = check_consistency(read_declarations(text, path), aim).findings
    assert [(one.code, one.severity) for one in found] == [("PY303", Severity.ERROR)] * 2
    moved, _ = migrate_files({path: text}, aim)
    assert check_consistency(read_declarations(moved[path], path), aim).findings == ()


def test_workflows_below_services_are_inert() -> None:
    """GitHub runs none of them: one finding for each folder."""
    places = [place for path, text in platform().items() for place in read_declarations(text, path)]
    found = check_consistency(places, MigrationTarget(baseline=Interpreter(3, 9), target=TARGET)).findings
    assert len([one for one in found if one.code == "PY305"]) == 3


def test_the_whole_platform_is_moved_on_disk(tmp_path: Path) -> None:
    """Every service is discovered, migrated and then consistent; a second migration changes nothing."""
    plan, fleet = fleet_on_disk(tmp_path)
    assert len(fleet.services) == 20
    survey = VersionSurvey(plan.root, fleet.services)
    targets = {service.name: MigrationTarget(baseline=service.baseline, target=TARGET) for service in fleet.services}
    results = {
        service.name: check_consistency(survey.read(service).declarations, targets[service.name], service=service.path)
        for service in fleet.services
    }
    blocked = [
        name
        for name, result in results.items()
        if any(finding.severity is Severity.ERROR for finding in result.findings)
    ]
    assert blocked == ["rag-service"]  # python = ">=3.9,<3.11"
    moves = plan_migrations(survey, plan.root, targets, fleet.services)
    assert (moves.unmigrated, len(moves.migrated)) == ((), 20)
    assert len(moves.changes) == 27 + len(WORKFLOWS) + len(COMPOSE) + 2  # both pyproject files
    for change in moves.changes:
        (tmp_path / change.path).write_bytes(change.after)
    again = discover(plan)
    survey = VersionSurvey(plan.root, again.services)
    assert {str(service.baseline) for service in again.services} == {"3.12"}
    for service in again.services:
        result = check_consistency(survey.read(service).declarations, targets[service.name], service=service.path)
        assert {finding.code for finding in result.findings} <= {"PY305"}, service.name
        assert result.unclear == ()
    assert plan_migrations(survey, plan.root, targets, again.services).changes == ()
