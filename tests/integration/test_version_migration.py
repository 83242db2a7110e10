"""``--py312-diff``, ``--py312-fix`` and ``--py312-drop-old-versions`` on services with declarations to migrate."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.integration import gate_runs
from tests.support.fakes import service_tree

pytestmark = pytest.mark.timeout(900)

USER, AUTH = "services/user-service", "services/auth-service"
WORKFLOW = ".github/workflows/user-service.yml"


def fleet(root: Path, old: str) -> Path:
    """Write one service that can be migrated and one that needs a decision; both are on ``old``."""
    compact = old.replace(".", "")
    return service_tree(
        root,
        {
            f"{USER}/requirements.txt": "",
            f"{USER}/Dockerfile": f"FROM python:{old}-slim AS b\nFROM python:{old}-slim\n"
            f"COPY --from=b /usr/local/lib/python{old}/site-packages /usr/local/lib/python{old}/site-packages\n",
            f"{USER}/pyproject.toml": f"[project]\nname = 'user'\nversion = '1'\nrequires-python = '>={old},<3.12'\n",
            f"{USER}/tox.ini": f"[tox]\nenvlist = py{compact}\n",
            WORKFLOW: f"jobs: {{a: {{strategy: {{matrix: {{python-version: ['{old}']}}}}}}}}\n",
            f"{AUTH}/requirements.txt": "",
            f"{AUTH}/Dockerfile": f"FROM python:{old}-slim-buster\n",
            f"{AUTH}/.python-version": f"{old}\n",
        },
    )


def gate(root: Path, *arguments: str, checks: str = "py312_versions") -> "subprocess.CompletedProcess[str]":
    return gate_runs.gate(root, root.parent / "cache", *arguments, checks=checks, seconds=800)


def texts(root: Path) -> dict[str, str]:
    files = [path for path in root.rglob("*") if path.is_file() and not {".py312", ".git"} & {*path.parts}]
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in files}


@pytest.mark.parametrize("old", ["3.9", "3.10"])
def test_all_declarations_of_a_service_are_migrated_or_none(old: str, tmp_path: Path) -> None:
    """The diff is shown, then written; a second run changes nothing; finally old versions are dropped."""
    root = fleet(tmp_path / "repository", old)
    original = texts(root)

    shown = gate(root, "--py312-diff")
    assert texts(root) == original
    assert "# not proven on 3.12: auth-service: " in shown.stdout
    assert "+FROM python:3.12-slim-bullseye\n" in shown.stdout  # the nearest one, which nothing writes
    # requires-python excludes the target until it is migrated
    assert (shown.returncode, "PY301" in shown.stdout) == (1, True)

    written = gate(root, "--py312-fix")
    assert written.returncode == 0, written.stdout
    assert "4 file(s) written" in written.stdout
    migrated = texts(root)
    assert set(re.findall(r"3\.\d+", migrated[f"{USER}/Dockerfile"])) == {"3.12"}
    assert f">={old},<3.13" in migrated[f"{USER}/pyproject.toml"]
    assert migrated[f"{USER}/tox.ini"] == f"[tox]\nenvlist = py{old.replace('.', '')}, py312\n"
    assert f"['{old}', '3.12']" in migrated[WORKFLOW]
    assert {path for path in original if original[path] != migrated[path]} == {
        f"{USER}/Dockerfile", f"{USER}/pyproject.toml", f"{USER}/tox.ini", WORKFLOW,
    }  # fmt: skip
    assert all(line in shown.stdout for line in migrated[f"{USER}/Dockerfile"].splitlines())

    assert "nothing to change" in gate(root, "--py312-fix").stdout
    assert texts(root) == migrated

    dropped = gate(root, "--py312-fix", "--py312-drop-old-versions")
    assert dropped.returncode == 0, dropped.stdout
    assert texts(root)[f"{USER}/tox.ini"] == "[tox]\nenvlist = py312\n"
    assert "['3.12']" in texts(root)[WORKFLOW]
    assert ">=3.12,<3.13" in texts(root)[f"{USER}/pyproject.toml"]


def test_a_service_that_is_not_ready_is_not_migrated(tmp_path: Path) -> None:
    """Its source fails on the target; with the versions check alone it is migrated."""
    root = service_tree(
        tmp_path / "repository",
        {
            f"{USER}/requirements.txt": "",
            f"{USER}/Dockerfile": "FROM python:3.9\n",
            f"{USER}/app.py": "import asyncore\n",
        },
    )
    (root / USER / "Pipfile").write_text('[requires]\npython_version = "3.9"\n', encoding="utf-8")
    (root / USER / "Pipfile.lock").write_text("{}", encoding="utf-8")
    shown = gate(root, "--py312-diff", checks="py312_versions or py312_source").stdout
    assert f"{USER}/Pipfile.lock is out of date: run `pipenv lock` in {USER} after these changes\n" in shown
    assert "# not proven on 3.12: user-service: blocked: source failed\n--- a/" in shown
    assert "+FROM python:3.12\n" in shown
    assert "but no versions of what is not proven on 3.12: user-service" in shown
    both = gate(root, "--py312-fix", checks="py312_versions or py312_source")
    assert "not migrated: user-service: source failed" in both.stdout
    assert (both.returncode, texts(root)[f"{USER}/Dockerfile"]) == (1, "FROM python:3.9\n")
    assert gate(root, "--py312-fix").returncode == 0
    assert texts(root)[f"{USER}/Dockerfile"] == "FROM python:3.12\n"


def test_with_uncommitted_changes_no_file_is_changed(tmp_path: Path) -> None:
    """A partial migration would break the service."""
    root = fleet(tmp_path / "repository", "3.9")
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
        subprocess.run(["git", *words], cwd=root, check=True, timeout=60)
    (root / USER / "tox.ini").write_text("[tox]\nenvlist = py39,lint\n", encoding="utf-8")
    original = texts(root)
    refused = gate(root, "--py312-fix")
    assert (refused.returncode, texts(root)) == (4, original)
    assert "uncommitted changes" in refused.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--py312-drop-old-versions"], "--py312-drop-old-versions removes versions before the target from files"),
        (["--py312-images"], "remove --py312-runner=local"),
    ],
)
def test_options_that_need_another_option_are_usage_errors(options: list[str], words: str, tmp_path: Path) -> None:
    """In one line, with the exit code of a usage error."""
    done = gate(fleet(tmp_path / "repository", "3.9"), *options)
    assert (done.returncode, words in done.stderr) == (4, True)
