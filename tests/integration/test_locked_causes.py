"""All locked versions that block are named in one run, each with its line in the lock file, as what really fails."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import fake_index
from tests.integration.indexed_repository import Repository, repository_of
from tests.integration.test_lock_files import poetry_lock_entry

INDEX = {
    "framework": {"1.0": "base"},
    "other": {"1.0": "base"},
    "base": {"1.0": "", "2.0": ""},
    "old": {"1.0": "", "2.0": ""},
    "needs-old": {"1.0": "old"},
}
"""``old`` 1.0 installs on 3.9 only; ``base`` 1.0 cannot be imported on 3.12."""
BASE = "import sys\nif sys.version_info >= (3, 12):\n    raise TypeError('not an acceptable base type')\n"
LOCKED = ("framework", "other", "needs-old")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    importing = {(name, "1.0"): "import base\n" for name in ("framework", "other")}
    monkeypatch.setattr(fake_index, "SOURCES", {("base", "1.0"): BASE, **importing})
    with repository_of(tmp_path, INDEX, monkeypatch) as made:
        yield made


def findings_of(repository: Repository, *required: str, locked: bool) -> list[tuple[str, list[str], str, str]]:
    """Return code, names, place and remedy of what blocks the service on 3.12."""
    folder = repository.root / "services/app"
    folder.mkdir(parents=True)
    if locked:
        needed = "".join(f'{name} = "*"\n' for name in required)
        (folder / "pyproject.toml").write_text(f'[tool.poetry.dependencies]\npython = "^3.9"\n{needed}')
        needs = {"framework": "base", "other": "base", "needs-old": "old"}
        entries = [poetry_lock_entry(name, "1.0", needs[name]) for name in required]
        entries += [poetry_lock_entry(name, "1.0") for name in sorted({needs[name] for name in required})]
        (folder / "poetry.lock").write_text("".join(entries))
    else:
        repository.require("".join(f"{name}\n" for name in required) + "base==1.0\n")
    done = repository.gate("-m", "py312_dependencies", "--py312-report=report.json")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    outcomes = json.loads((repository.root / "report.json").read_text())["outcomes"]
    (target,) = [outcome for outcome in outcomes if outcome["interpreter"] == "3.12"]
    assert target["status"] == "failed"
    return [
        (found["code"], found["names"], found["path"] + f":{found['line']}", found["remedy"])
        for found in target["findings"]
        if found["severity"] == "error"
    ]


def test_what_another_import_fails_for_is_named_once(repository: Repository) -> None:
    """Two projects import a third one, which fails: it is the cause."""
    (finding,) = findings_of(repository, "framework", "other", locked=False)
    assert finding[:3] == ("PY105", ["base"], "services/app/requirements.txt:3")
    assert "base==1.0 -> base==2.0 (verified: resolves, installs and imports on 3.12 and 3.9" in finding[3]


def test_a_locked_cause_is_named_with_its_line_in_the_lock_file(repository: Repository) -> None:
    """No requirement names it."""
    (finding,) = findings_of(repository, "framework", "other", locked=True)
    assert finding[:3] == ("PY115", ["base"], "services/app/poetry.lock:14")
    assert (
        "`poetry update --lock base` (verified: the requirements resolve and install on 3.12 with base 2.0)"
        in (finding[3])
    )


def test_what_blocks_once_a_locked_version_is_updated_is_named_as_well(repository: Repository) -> None:
    """A version without a wheel keeps the set from being installed, and so its imports from being tried."""
    findings = findings_of(repository, *LOCKED, locked=True)
    assert sorted(finding[:2] for finding in findings) == [("PY115", ["base"]), ("PY115", ["old"])]
    assert all("poetry update --lock" in finding[3] for finding in findings)
    assert all("the requirements resolve and install on 3.12 with" in finding[3] for finding in findings)
