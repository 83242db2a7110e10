"""Requirement fixes end to end: searched, verified, written, and confirmed by a second run."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.integration.indexed_repository import Repository, repository_of

INDEX = {
    "lib": {"1.0": "", "2.0": ""},
    "one": {"1.0": "lib==1.0"},
    "two": {"1.0": "lib==2.0", "1.1": "lib==3.0", "1.2": "lib==1.0", "2.0": "lib==1.0"},
    "fine": {"1.0": ""},
}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    with repository_of(tmp_path, INDEX, monkeypatch) as made:
        yield made


def findings(report: Path) -> list[dict[str, Any]]:
    document = json.loads(report.read_text())
    return [
        finding
        for outcome in document["outcomes"]
        if outcome["interpreter"] == "3.12" and outcome["check"] == "dependencies"
        for finding in outcome["findings"]
    ]


@pytest.mark.parametrize("more", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_written_fixes_are_confirmed_by_a_second_run(repository: Repository, more: Sequence[str]) -> None:
    """Only the specifier's characters change, unsuitable versions are skipped, and the baseline still works."""
    repository.require("one==1.0\r\ntwo == 1.0  # keep\r\nfine")

    shown = repository.gate("--py312-diff", *more)
    assert shown.returncode == 1, shown.stdout
    assert "+two == 1.2  # keep" in shown.stdout
    assert "verified: resolves, installs and imports on 3.12 and 3.9" in " ".join(shown.stdout.split())

    written = repository.gate("--py312-fix", "--py312-report=after.json", *more)

    assert repository.required == "one==1.0\r\ntwo == 1.2  # keep\r\nfine"
    assert written.returncode == 0, written.stdout
    assert "the gate was run again (exit status 0), and reports none of these: two" in written.stdout
    assert findings(repository.root / "after.json") == []
    assert repository.gate("--py312-fix", *more).returncode == 0
    assert repository.required == "one==1.0\r\ntwo == 1.2  # keep\r\nfine"


def test_requirements_without_a_fix_get_a_comment_on_request(repository: Repository) -> None:
    """The rest is fixed, and a second run writes the same comments."""
    repository.require("gone==1\none==1.0\ntwo==1.0\n")

    done = repository.gate("--py312-fix", "--py312-annotate")

    assert done.returncode == 1, done.stdout
    assert repository.required == "gone==1  # py312: gone is not on the index\none==1.0\ntwo==1.2\n"
    assert "verified without gone, which no change fixes" in " ".join(done.stdout.split())
    assert repository.gate("--py312-fix", "--py312-annotate", "--py312-allow-dirty").returncode == 1
    assert repository.required == "gone==1  # py312: gone is not on the index\none==1.0\ntwo==1.2\n"


def test_annotate_alone_is_a_usage_error(repository: Repository) -> None:
    repository.require("fine\n")

    done = repository.gate("--py312-annotate")

    assert done.returncode == 4
    assert "--py312-annotate adds comments to the changes" in done.stderr


def test_a_fix_option_in_the_configuration_does_not_loop(repository: Repository) -> None:
    """``py312_fix`` in the configuration file applies to the second run as well, which changes nothing."""
    repository.require("one==1.0\ntwo==1.0\n")
    (repository.root / "pytest.ini").write_text("[pytest]\npy312_fix = true\n")

    done = repository.gate()

    assert done.returncode == 0, done.stdout
    assert repository.required == "one==1.0\ntwo==1.2\n"
