"""The example fleet in examples/suoke matches its documentation. Reads files only."""

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.formats.requirements_file import read_requirements
from pytest_py312.repository.plan.fleet_check import check_against_fleet
from pytest_py312.repository.plan.loader import load_plan

FLEET = Path(__file__).parents[2] / "examples" / "suoke"
STAGES = {
    1: ("api-gateway", "auth-service", "message-bus"),
    2: ("user-service", "health-data-service", "med-knowledge", "medical-service"),
    3: (
        "rag-service",
        "agent-services/laoke-service",
        "agent-services/soer-service",
        "agent-services/xiaoai-service",
        "agent-services/xiaoke-service",
    ),
    4: (
        "accessibility-service",
        "blockchain-service",
        "corn-maze-service",
        "suoke-bench-service",
        "diagnostic-services/listen-service",
        "diagnostic-services/inquiry-service",
        "diagnostic-services/palpation-service",
        "diagnostic-services/look-service",
    ),
}
SERVICES = tuple(path for paths in STAGES.values() for path in paths)
EXPECTED: dict[str, Any] = json.loads((FLEET / "expected.json").read_text(encoding="utf-8"))
CHECKS_OF_A_CELL = ("dependencies", "suite")


def folder(path: str) -> Path:
    return FLEET / "services" / path


def name(path: str) -> str:
    return path.rpartition("/")[2]


def folder_of(service: str) -> Path:
    return next(folder(path) for path in SERVICES if name(path) == service)


def stage_of(service: str) -> int:
    return next(number for number, paths in STAGES.items() if service in map(name, paths))


def dockerfile(path: Path) -> Path:
    places = [path / "Dockerfile", path / "deploy" / "docker" / "Dockerfile"]
    existing = [place for place in places if place.is_file()]
    assert len(existing) == 1, f"{path} has {len(existing)} Dockerfiles"
    return existing[0]


def images(path: Path) -> list[str]:
    return re.findall(r"^FROM (\S+)", dockerfile(path).read_text(encoding="utf-8"), re.MULTILINE)


def baseline(path: Path) -> Interpreter:
    [version] = {image.removeprefix("python:").partition("-")[0] for image in images(path)}
    return Interpreter.parse(version)


def suite_files(path: Path) -> list[Path]:
    return [*path.glob("tests/test_*.py"), *path.glob("test/test_*.py")]


def code(path: Path) -> str:
    files = [file for file in path.rglob("*.py") if file not in suite_files(path) and file.name != "conftest.py"]
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(files))


def findings(*checks: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for service, expected in EXPECTED.items():
        for finding in expected["findings"]:
            if finding["check"] in checks:
                yield service, finding


def trouble_table() -> dict[str, tuple[int, str]]:
    """Return stage and baseline of each service in TROUBLE.md."""
    text = (FLEET / "TROUBLE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| (\d) \| (3\.\d+) \|", text, re.MULTILINE)
    return {service: (int(stage), version) for service, stage, version in rows}


# ---- the plan


def test_the_plan_fits_the_fleet() -> None:
    """The plan is valid, and each of its patterns matches a service."""
    plan = load_plan(FLEET / "py312.toml", today=date(2026, 1, 1))
    check_against_fleet(plan, [(name(path), f"services/{path}") for path in SERVICES])
    assert plan.target == Interpreter(3, 12)
    assert plan.interpreters == tuple(Interpreter(3, minor) for minor in (9, 10, 11, 12))
    assert [(stage.number, stage.critical) for stage in plan.stages] == [(1, True), (2, False), (3, False), (4, False)]


def test_the_globs_of_the_plan_match_these_services() -> None:
    """No more folders, and no fewer."""
    globs = tomllib.loads((FLEET / "py312.toml").read_text(encoding="utf-8"))["services"]
    meant = {folder.relative_to(FLEET / "services").as_posix() for glob in globs for folder in FLEET.glob(glob)}
    assert meant == set(SERVICES)


def test_each_minor_is_the_baseline_of_several_services() -> None:
    """3.9, 3.10 and 3.11: at least four times each."""
    minors = [baseline(folder(path)) for path in SERVICES]
    assert {minor: minors.count(minor) >= 4 for minor in set(minors)} == {
        Interpreter(3, 9): True,
        Interpreter(3, 10): True,
        Interpreter(3, 11): True,
    }


# ---- each service


@pytest.mark.parametrize("path", SERVICES)
def test_requirements_are_pinned(path: str) -> None:
    """At run time and for the suite."""
    for file in ("requirements.txt", "requirements-test.txt"):
        requirements = read_requirements((folder(path) / file).read_text(encoding="utf-8"), file)
        assert requirements.entries
        assert not requirements.problems
        assert all(re.fullmatch(r"==[\w.]+", entry.specifier) for entry in requirements.entries), file


@pytest.mark.parametrize("path", SERVICES)
def test_the_images_of_a_service_agree(path: str) -> None:
    """All stages of its Dockerfile begin with the same minor, and paths into site-packages name it too."""
    assert all(re.fullmatch(r"python:3\.\d+-slim", image) for image in images(folder(path)))
    text = dockerfile(folder(path)).read_text(encoding="utf-8")
    mentioned = set(re.findall(r"lib/python(3\.\d+)/", text))
    assert mentioned <= {str(baseline(folder(path)))}


@pytest.mark.parametrize("path", SERVICES)
def test_a_service_can_be_started_and_has_a_health_path(path: str) -> None:
    """The image starts a package that exists, and the health path names the service and its Python."""
    text = dockerfile(folder(path)).read_text(encoding="utf-8")
    [package] = re.findall(r'^CMD \["python", "-m", "(?!pytest)(\w+)"\]', text, re.MULTILINE)
    homes = [home for home in (folder(path) / package, folder(path) / "src" / package) if home.is_dir()]
    assert [(home / "__main__.py").is_file() for home in homes] == [True]
    assert '@app.get("/health")' in code(folder(path))
    assert f'"service": "{name(path)}", "python": platform.python_version()' in code(folder(path))


@pytest.mark.parametrize("path", SERVICES)
def test_a_service_has_a_suite(path: str) -> None:
    """A handful of tests in two files or more."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in suite_files(folder(path)))
    assert len(suite_files(folder(path))) >= 2
    assert len(re.findall(r"^ *def test_", text, re.MULTILINE)) >= 6


@pytest.mark.parametrize("path", SERVICES)
def test_called_services_are_in_the_fleet(path: str) -> None:
    """Each ``..._URL`` in a service's settings names a service, at the port where it listens."""
    ports = {
        name(other): re.findall(
            r'"PORT", "(\d+)"', next(folder(other).rglob("settings.py")).read_text(encoding="utf-8")
        )
        for other in SERVICES
    }
    settings = next(folder(path).rglob("settings.py")).read_text(encoding="utf-8")
    for variable, host, port in re.findall(r'"(\w+)_URL", "http://([\w-]+):(\d+)"', settings):
        assert variable.lower().replace("_", "-") == host
        assert ports[host] == [port]


# ---- the planted problems


def test_both_documents_name_the_same_services() -> None:
    """TROUBLE.md for people, and expected.json for programs."""
    assert set(trouble_table()) == set(EXPECTED)


def test_the_table_has_the_right_stages_and_baselines() -> None:
    """Those of the plan and the images."""
    assert trouble_table() == {
        service: (stage_of(service), str(baseline(folder_of(service)))) for service in trouble_table()
    }


def test_stage_one_is_ready_and_the_others_are_mixed() -> None:
    """In stages 2 to 4 there are green services and others."""
    troubled = {number: [name(path) in EXPECTED for path in paths] for number, paths in STAGES.items()}
    assert not any(troubled[1])
    assert all(any(troubled[number]) and not all(troubled[number]) for number in (2, 3, 4))


def test_every_cell_of_a_troubled_service_has_a_status() -> None:
    """From its baseline to the target, for both checks of a cell."""
    for service, expected in EXPECTED.items():
        first = baseline(folder_of(service)).minor
        assert list(expected["status"]) == list(CHECKS_OF_A_CELL)
        for statuses in expected["status"].values():
            assert list(statuses) == [f"3.{minor}" for minor in range(first, 13)], service


def test_a_cell_fails_where_a_finding_blocks() -> None:
    """The statuses follow from the findings: nothing fails without one, and no blocking one leaves its cell passed."""
    blocking = {"newly_failing", "missing", "too_new", "cannot_build", "import_fails", "start_fails"}
    failing = {
        (service, finding["check"], finding["interpreter"])
        for service, finding in findings(*CHECKS_OF_A_CELL)
        if finding["kind"] in blocking
    }
    assert failing == {
        (service, check, interpreter)
        for service, expected in EXPECTED.items()
        for check, statuses in expected["status"].items()
        for interpreter, status in statuses.items()
        if status == "failed"
    }


def test_first_bad_is_the_lowest_affected_interpreter() -> None:
    """``first_bad`` is the lowest interpreter that has the finding."""
    affected: dict[tuple[str, str, str], list[Interpreter]] = {}
    first_bad: dict[tuple[str, str, str], set[Interpreter]] = {}
    for service, finding in findings(*CHECKS_OF_A_CELL):
        if "first_bad" in finding:
            key = (service, finding["check"], finding["kind"])
            affected.setdefault(key, []).append(Interpreter.parse(finding["interpreter"]))
            first_bad.setdefault(key, set()).add(Interpreter.parse(finding["first_bad"]))
    assert first_bad == {key: {min(interpreters)} for key, interpreters in affected.items()}


def test_named_tests_exist() -> None:
    """File, class and function."""
    for service, finding in findings("suite"):
        for test in finding["names"]:
            file, *classes, function = test.split("::")
            text = (folder_of(service) / file).read_text(encoding="utf-8")
            assert f"def {function}(" in text, test
            assert all(f"class {name}(" in text for name in classes), test


def test_named_lines_contain_the_culprit() -> None:
    """The name of a dependencies, libraries or source finding is in the line of the finding.

    Except for a start module: its finding stands at the line on which its import fails.
    """
    for service, finding in findings("dependencies", "libraries", "source"):
        if finding["kind"] == "start_fails":
            continue
        [culprit] = finding["names"]
        line = (FLEET / finding["path"]).read_text(encoding="utf-8").splitlines()[finding["line"] - 1]
        assert culprit.rpartition(".")[2].lower() in line.lower(), service
