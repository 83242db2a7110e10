"""The commands of the corpus on a repository that the test makes, with a gate that writes what the test wants."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.corpus import judge, upstream

GATE = """\
#!/bin/sh
# {marker}
for word; do case "$word" in --py312-report=*) report="${{word#*=}}";; esac; done
{body}
"""
DIFF = """\
==================== changes ====================
--- a/Dockerfile
+++ b/Dockerfile
@@ -1 +1 @@
-FROM python:3.11
+FROM python:3.12
not migrated: worker: it is blocked
==================== 1 passed in 2.00s ====================
"""


def git(folder: Path, *words: str) -> str:
    settings = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    command = ("git", *settings, "-C", str(folder), *words)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A folder with ``clones``, ``manifests`` and a service that moved to 3.12 in its second commit."""
    clone = tmp_path / "clones" / "acme+shop"
    clone.mkdir(parents=True)
    git(clone, "init", "-q")
    for version in ("3.11", "3.12"):
        (clone / "Dockerfile").write_text(f"FROM python:{version}\n", encoding="utf-8")
        git(clone, "add", "-A")
        git(clone, "commit", "-q", "-m", version)
    moved_by = git(clone, "rev-parse", "HEAD")
    git(clone, "checkout", "-q", "--detach", "HEAD^")
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "acme+shop.toml").write_text(
        f"""\
[repository]
url = "https://github.com/acme/shop"
commit = "{git(clone, "rev-parse", "HEAD")}"
baseline = "3.11"
target = "3.12"
moved-by = ["{moved_by}"]

[[service]]
path = "."
verdict = "ready"
reason = "tried by hand"
""",
        encoding="utf-8",
    )
    return tmp_path


def gate(folder: Path, body: str) -> str:
    program = folder / "gate"
    program.write_text(GATE.format(marker=folder.name, body=body), encoding="utf-8")
    program.chmod(0o755)
    return str(program)


def options(folder: Path, *words: str) -> list[str]:
    return ["--repositories", str(folder / "clones"), "--manifests", str(folder / "manifests"), *words]


def report(folder: Path) -> str:
    service = {"name": "shop", "path": ".", "baseline": "3.11", "has_suite": False}
    outcome = {"service": "shop", "interpreter": "3.12", "check": "dependencies", "status": "passed", "findings": []}
    document = {"schema": 1, "target": "3.12", "complete": True, "services": [service], "outcomes": [outcome]}
    path = folder / "written.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def test_a_clone_is_judged_and_its_report_is_kept(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = gate(folders, f"cp {report(folders)} $report; cat Dockerfile; ls")
    results = folders / "results"

    code = judge.main(options(folders, "--python", program, "--results", str(results), "--twice"))

    assert code == 0, capsys.readouterr()
    assert "1 service of 1 repositories: 1 right" in capsys.readouterr().out
    output = (results / "acme+shop.txt").read_text(encoding="utf-8")
    assert output.startswith("FROM python:3.11\nDockerfile\nwall time: ")  # no plan in the copy
    assert "\nwall time again: " in output
    assert judge.main(["--manifests", str(folders / "manifests"), "--from", str(results)]) == 0


def test_only_the_folders_of_the_manifest_are_copied(folders: Path) -> None:
    clone, path = folders / "clones" / "acme+shop", folders / "manifests" / "acme+shop.toml"
    for name in ("api", "web"):
        (clone / name).mkdir()
        (clone / name / "app.py").write_text("", encoding="utf-8")
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "-m", "folders")
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[2] = f'commit = "{git(clone, "rev-parse", "HEAD")}"\nfolders = ["web"]'
    path.write_text("\n".join(lines), encoding="utf-8")
    program = gate(folders, f"cp {report(folders)} $report; ls; git ls-files")
    (clone / "Dockerfile").unlink()  # as where a mirror leaves out large files

    assert judge.main(options(folders, "--python", program, "--results", str(folders))) == 0

    assert (folders / "acme+shop.txt").read_text(encoding="utf-8").startswith("web\nweb/app.py\nwall time")


def test_a_gate_that_writes_nothing_or_does_not_end(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert judge.main(options(folders, "--python", gate(folders, "echo no such option; exit 4"))) == 1
    assert "not checked: acme/shop .: no report was written: no such option" in capsys.readouterr().out
    assert judge.main(options(folders, "--python", gate(folders, "exec sleep 60"), "--time-limit", "0.2")) == 1
    assert "not checked: acme/shop .: the run was ended after 0 s" in capsys.readouterr().out


def test_a_clone_that_is_not_as_the_manifest_says(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clone = folders / "clones" / "acme+shop"
    (clone / "new.txt").write_text("", encoding="utf-8")
    assert judge.main(options(folders)) == 2
    assert f"acme/shop: the clone has changes: git -C {clone} stash --include-untracked" in capsys.readouterr().err
    (clone / "new.txt").unlink()
    git(clone, "commit", "-q", "--allow-empty", "-m", "more")
    assert judge.main(options(folders)) == 2
    assert f"git -C {clone} checkout " in capsys.readouterr().err
    clone.rename(folders / "elsewhere")
    assert judge.main(options(folders)) == 2
    assert f"there is no clone: git clone https://github.com/acme/shop {clone} && " in capsys.readouterr().err


def test_the_diff_is_compared_with_the_commits(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folders / "output.txt").write_text(DIFF, encoding="utf-8")
    program = gate(folders, f"cp {report(folders)} $report; cat {folders}/output.txt")

    code = upstream.main(options(folders, "--python", program, "--markdown"))

    captured = capsys.readouterr()
    assert code == 0, captured
    assert captured.out.splitlines()[-1].startswith("| all 1 |  |  | 1 | 1 | 0 | 0 | 0 | 0 | 100 % | 1/1 | 0/0 |")
    assert captured.err.splitlines()[-2:] == ["== acme/shop", "not migrated: worker: it is blocked"]


def test_a_place_that_only_they_change_is_listed(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = "==== changes ====\\nnothing to change: there is no known fix for any finding"
    program = gate(folders, f"cp {report(folders)} $report; printf '{output}'")

    assert upstream.main(options(folders, "--python", program)) == 1

    assert "only they: Dockerfile:1 (declared version)\n    - FROM python:3.11\n    + FROM python:3.12" in (
        capsys.readouterr().out
    )
