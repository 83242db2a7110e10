"""What is fuzzed: each subject takes one text and may only answer with a result or one of the package's own errors."""

import json
import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from pytest_py312.analysis.scanner.scan import scan_text
from pytest_py312.core.errors import Py312Error
from pytest_py312.core.model.findings import Interpreter, Location, SourceChange
from pytest_py312.core.serialization import decode
from pytest_py312.core.text import error_line, escape_terminal
from pytest_py312.core.text_edits import EditRefused
from pytest_py312.gate.fixes.version_changes import plan_migrations
from pytest_py312.gate.reports import github_annotations, html, json_report, markdown, sarif, terminal
from pytest_py312.gate.run.known_findings import parse_file
from pytest_py312.repository.edits.change_set import RequirementComment, SpecifierEdit, plan_changes
from pytest_py312.repository.edits.declarations import MigrationTarget
from pytest_py312.repository.edits.python.rewrite import rewrite
from pytest_py312.repository.plan.loader import default_plan, load_plan
from pytest_py312.repository.services.discovery import discover
from pytest_py312.repository.services.file_ownership import shared_files_digest
from pytest_py312.repository.services.images import service_images
from pytest_py312.repository.services.own_distributions import find_own_distributions
from pytest_py312.repository.services.requirements.compiled_files import compiled_for_older
from pytest_py312.repository.services.requirements.development import unnamed_modules
from pytest_py312.repository.services.requirements.requirement_set import read_requirement_set
from pytest_py312.repository.services.requirements.uninstalled import optional_requirements
from pytest_py312.repository.services.version_survey import VersionSurvey, with_all_declarations
from pytest_py312.repository.tree import Tree
from pytest_py312.rollout.domain.journal import JOURNAL_FILE, SCHEMA_VERSION, Journal
from pytest_py312.rollout.metrics.load_report import LoadReport
from pytest_py312.rollout.metrics.log_patterns import count_patterns
from tests.support.report_samples import finding, judged, report_of

JOURNALS = Path(__file__).parents[1] / "data" / "journals"
TARGET = MigrationTarget(baseline=Interpreter(3, 9), target=Interpreter(3, 12), full_version="3.12.7", for_review=True)

SURROUNDINGS: Mapping[str, str] = {
    "svc/requirements.txt": "flask==2.0\n-r more.txt\n",
    "svc/more.txt": "click>=7\n",
    "svc/app.py": "import flask\nimport click\n",
    "svc/tests/test_app.py": "def test_app():\n    import app\n",
    "other/requirements.txt": "requests\n",
    "other/main.py": "print(1)\n",
}
"""The rest of the repository in which a file is read."""

REPOSITORY_FILES = (
    "svc/requirements.txt", "svc/requirements.in", "svc/pyproject.toml", "svc/setup.cfg", "svc/setup.py",
    "svc/tox.ini", "svc/noxfile.py", "svc/Pipfile", "svc/Pipfile.lock", "svc/poetry.lock", "svc/uv.lock",
    "svc/pdm.lock", "svc/pylock.toml", "svc/environment.yml", "svc/Dockerfile", "svc/Makefile", "svc/.python-version",
    "svc/runtime.txt", "svc/.tool-versions", "svc/mise.toml", "svc/ruff.toml", "svc/pytest.ini", "svc/mypy.ini",
    "svc/app.py", "svc/tests/test_app.py", "svc/tests/conftest.py", "svc/gunicorn.conf.py", "svc/start.sh",
    "svc/scripts/run.sh", "svc/pants.toml", "svc/Jenkinsfile", "svc/docker-compose.yml", "svc/serverless.yml",
    "svc/template.yaml", "svc/manifest.yml", "svc/Procfile", "svc/.devcontainer/devcontainer.json",
    "docker-compose.yml", "skaffold.yaml", "kubernetes/svc.yaml", "Makefile", "tox.ini", "noxfile.py",
    "pyproject.toml", ".gitlab-ci.yml", "Dockerfile", ".github/workflows/ci.yml", ".circleci/config.yml",
    "azure-pipelines.yml", ".travis.yml", "cloudbuild.yaml", ".pre-commit-config.yaml", "Jenkinsfile",
    "scripts/test.sh", "uv.toml", "pip.conf", "setup.cfg", "helm/values.yaml",
)  # fmt: skip
"""Places at which a repository is read."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Something that takes text; ``path`` is the name of a file with such text, by which samples are chosen."""

    name: str
    path: str
    exercise: Callable[[str], object]


def _write(root: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text.encode("utf-8", "surrogatepass"))


def read_repository(root: Path) -> None:
    """Do all that discovery, the survey of versions and the edits of versions do with the files below ``root``."""
    plan = default_plan(root)
    fleet = discover(plan)
    tree = Tree(root)
    survey = VersionSurvey(root, fleet.services)
    shared_files_digest(tree, fleet.services, ())
    with_all_declarations(fleet, plan, fleet)
    for service in fleet.services:
        files = survey.own_files(service)
        requirements = read_requirement_set(root, service.requirements, with_locks=True)
        read_requirement_set(root, service.test_requirements, with_locks=True)
        find_own_distributions(tree, service, requirements)
        optional_requirements(tree, service)
        unnamed_modules(tree, service, {"flask", "yaml"})
        service_images(tree, service, files)
        compiled_for_older(tree, requirements.files, Interpreter(3, 12))
        edits: list[SpecifierEdit | RequirementComment] = []
        for item in requirements.entries[:5]:
            path, line = item.location.path, item.location.line or 1
            edits.append(SpecifierEdit(path=path, line=line, name=item.name, old=item.entry.specifier, new=">=9"))
            edits.append(RequirementComment(path=path, line=line, comment="a note"))
        plan_changes(root, edits)
    plan_migrations(survey, root, {service.name: TARGET for service in fleet.services}, fleet.services)


def _repository_subject(path: str) -> Subject:
    def exercise(text: str) -> None:
        with tempfile.TemporaryDirectory(prefix="py312-fuzz-") as folder:
            _write(Path(folder), {**SURROUNDINGS, path: text})
            with suppress(Py312Error):
                read_repository(Path(folder))

    return Subject(name=f"repository {path}", path=path, exercise=exercise)


def _read_plan(text: str) -> None:
    with tempfile.TemporaryDirectory(prefix="py312-fuzz-") as folder:
        _write(Path(folder), {**SURROUNDINGS, "py312.toml": text})
        with suppress(Py312Error):
            discover(load_plan(Path(folder) / "py312.toml", today=date(2026, 1, 1)))


def _scan(text: str) -> None:
    facts = scan_text(text, "app.py")
    changes = [SourceChange(path="app.py", line=1, column=1, old="collections.Mapping", new="collections.abc.Mapping")]
    with suppress(EditRefused):
        rewrite(text, changes)
    assert facts.path == "app.py"


def _read_known_findings(text: str) -> None:
    with suppress(Py312Error):
        parse_file(text.encode("utf-8", "surrogatepass"), "py312-known.json")


def _decode_load_report(text: str) -> None:
    with suppress(ValueError):
        decode(LoadReport, json.loads(text))


def _read_output(text: str) -> None:
    """Read what a process printed, as errors and logs are read."""
    assert escape_terminal(text).replace("\u200c", "").replace("\u200d", "").isprintable()
    error_line(text)
    count_patterns(text.splitlines())


def _report(text: str) -> None:
    """Write a report in which everything that comes from a service is ``text``: no line of it may be torn."""
    location = Location(path=text, line=3)
    hostile = finding(path=text, message=text, remedy=text, names=(text,), detail=text, location=location)
    report = report_of(judged(hostile, of=text, check=text), judged(hostile))
    report = replace(report, assumptions=(text,))
    lines = terminal.summary_lines(report, width=80, unicode=True, verbosity=1, today=date(2026, 1, 1))
    assert all(line.text.isprintable() for line in lines), "a control character on the terminal"
    for line in github_annotations.command_lines(report):
        assert not re.search(r"[\r\n\x1b]", line), "a torn annotation"
    for render in (html.render, json_report.render, markdown.render, sarif.render):
        written = render(report)
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", written), f"a control character of {render.__module__}"


def _journal_subject(table: str) -> Subject:
    dump = (JOURNALS / "drifted-and-decided.sql").read_text(encoding="utf-8")

    def exercise(text: str) -> None:
        with tempfile.TemporaryDirectory(prefix="py312-fuzz-") as folder:
            with closing(sqlite3.connect(Path(folder) / JOURNAL_FILE)) as connection:
                connection.executescript(dump)
                connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
                connection.execute(f"UPDATE {table} SET document = ?", (text.encode("utf-8", "replace").decode(),))
                connection.commit()
            with suppress(Py312Error), closing(Journal(Path(folder))) as journal:
                journal.find_damage()
                for name in journal.run_names():
                    for read in (journal.load_run, journal.history, lambda run: journal.samples(run, "auth")):
                        with suppress(Py312Error):
                            read(name)

    return Subject(name=f"journal {table}", path=f"{table}.document", exercise=exercise)


def all_subjects() -> Iterator[Subject]:
    """Yield each subject."""
    yield from map(_repository_subject, REPOSITORY_FILES)
    yield Subject(name="plan", path="py312.toml", exercise=_read_plan)
    yield Subject(name="source", path="app.py", exercise=_scan)
    yield Subject(name="known findings", path="py312-known.json", exercise=_read_known_findings)
    yield Subject(name="load report", path="load.json", exercise=_decode_load_report)
    yield Subject(name="output", path="output.txt", exercise=_read_output)
    yield Subject(name="report", path="names.txt", exercise=_report)
    yield from map(_journal_subject, ("runs", "entries", "samples"))
