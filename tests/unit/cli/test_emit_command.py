"""``py312 emit``: workflows of CI systems."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.cli.main import main
from pytest_py312.gate.sharding.durations import format_durations
from pytest_py312.gate.sharding.workflows import SECONDS_PER_PART, parts_for


def emitted(capsys: pytest.CaptureFixture[str], *options: str) -> Any:
    assert main(["emit", *options]) == 0
    return yaml.safe_load(capsys.readouterr().out)


def test_github_has_a_job_for_each_part_and_one_that_always_runs(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = emitted(capsys, "github", "--shards=3", "--stage=1,2")["jobs"]

    assert jobs["part"]["strategy"] == {"fail-fast": False, "matrix": {"part": [1, 2, 3]}}
    assert (jobs["py312"]["needs"], jobs["py312"]["if"]) == ("part", "always()")
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert commands[1] == (
        "pytest --py312 --py312-stage=1,2 --py312-shard=${{ matrix.part }}/3 --py312-cache-dir=.py312/cache "
        "--py312-report=shard-${{ matrix.part }}.json"
    )
    assert commands[3].startswith("py312 merge shard-*.json --commit=${{ github.sha }} ")
    assert commands[0] == commands[2]


def test_github_keeps_the_cache_of_a_part_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """``actions/cache`` saves after success only, and a part is red until its last service is ready."""
    steps = emitted(capsys, "github", "--shards=3")["jobs"]["part"]["steps"]

    used = {step["uses"].partition("@")[0]: step for step in steps if "uses" in step}
    restored, saved = used["actions/cache/restore"], used["actions/cache/save"]
    assert saved["if"] == "always()"
    assert saved["with"]["key"] == restored["with"]["key"]
    assert saved["with"]["key"].startswith(restored["with"]["restore-keys"])
    assert "github.run_attempt" in saved["with"]["key"]
    assert "actions/cache" not in used


def test_gitlab_has_parallel_jobs_and_one_that_always_runs(capsys: pytest.CaptureFixture[str]) -> None:
    pipeline = emitted(capsys, "gitlab", "--shards=3")

    assert pipeline["part"]["parallel"] == 3
    assert pipeline["part"]["artifacts"]["when"] == pipeline["py312"]["when"] == "always"
    assert "--py312-shard=$CI_NODE_INDEX/3" in pipeline["part"]["script"][1]
    assert "--commit=$CI_COMMIT_SHA" in pipeline["py312"]["script"][1]


def test_gitlab_orders_its_jobs_by_stages(capsys: pytest.CaptureFixture[str]) -> None:
    """A job has at most 50 ``needs``, and each part counts as one: GitLab creates no pipeline with more."""
    pipeline = emitted(capsys, "gitlab", "--shards=200")

    assert "needs" not in pipeline["py312"]
    stages = [pipeline[job]["stage"] for job in ("part", "py312")]
    assert stages == pipeline["stages"]
    assert pipeline["py312"]["dependencies"] == ["part"]


@pytest.mark.parametrize("system", ["github", "gitlab"])
def test_a_file_of_durations_is_given_to_all_parts_and_updated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], system: str
) -> None:
    """Its name may need quotes in the shell and in YAML."""
    monkeypatch.chdir(tmp_path)
    name = 'our "times".json'
    times = {(f"s{number}", "py3.12::suite"): SECONDS_PER_PART / 2 for number in range(9)}
    (tmp_path / name).write_text(format_durations(times))

    assert main(["emit", system, f"--durations={name}"]) == 0
    text = capsys.readouterr().out

    assert "/5 " in text
    document = yaml.safe_load(text)
    assert f"--py312-durations={name}" in str(document).replace("\\'", "'")
    assert f"--durations='{name}'" in str(document).replace("\\'", "'")


@given(st.dictionaries(st.tuples(st.text(max_size=3), st.text(max_size=3)), st.floats(0, 1e5), max_size=30))
def test_the_number_of_parts_is_one_that_a_matrix_can_have(durations: dict[tuple[str, str], float]) -> None:
    services = {service for service, _ in durations}
    assert 1 <= parts_for(durations, 10) <= max(1, min(10, len(services)))


def test_a_written_file_is_checked_for_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emit", "github", "--shards=2"]) == 0
    file = tmp_path / "py312.yml"
    file.write_text(capsys.readouterr().out, encoding="utf-8")

    assert main(["emit", "github", "--shards=2", f"--check={file}"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["emit", "github", "--shards=3", f"--check={file}"]) == 1
    assert "+        part: [1, 2, 3]" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("arguments", [["github", "--shards=2"], ["gitlab", "--shards=2"]])
def test_what_is_installed_can_be_a_path_or_a_url(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """As long as the package is on no index; the check of the written file takes the same option."""
    wheel = "./our wheels/pytest_py312-0.1.0-py3-none-any.whl"
    text = str(emitted(capsys, *arguments, f"--install={wheel}"))
    assert text.count(f"python -m pip install '{wheel}'") == text.count("pip install") == 2

    assert main(["emit", *arguments, "--install=git+https://example.org/p.git@main"]) == 0
    file = tmp_path / "file.yml"
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    assert "python -m pip install git+https://example.org/p.git@main" in file.read_text(encoding="utf-8")
    check = f"--check={file}"
    assert main(["emit", *arguments, check, "--install=git+https://example.org/p.git@main"]) == 0
    assert main(["emit", *arguments, check]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gitlb"], 'expected one of github, gitlab, perhaps you meant "gitlab"'),
        (["github"], "--shards auto needs --durations=FILE"),
        (["github", "--shards=257"], "expected auto or a number of jobs from 1 to 256"),
        (["gitlab", "--shards=201"], "expected auto or a number of jobs from 1 to 200"),
        (["github", "--shards=0"], "expected auto or a number of jobs"),
        (["github", "--shards=2", "--stage=one"], "--stage one: a stage is a number"),
        (["github", "--shards=2", "--stage=,"], "--stage ,: a stage is a number"),
        (["github", "--shards=2", f"--stage={'9' * 5000}"], "--stage 999"),
        (["github", f"--shards={'9' * 5000}"], "--shards 999"),
        (["github", "--shards=2", "--install="], "expected what `pip install` takes"),
        (["gitlab", "--shards=2", "--install=-r x.txt"], "--install -r x.txt: expected what `pip install` takes"),
        (["github", "--durations=nowhere.json"], "--durations nowhere.json: No such file"),
        (["github", "--shards=2", "--check=nowhere.yml"], "--check nowhere.yml: it cannot be read"),
        (["gitlab", "--by-stage"], "emit gitlab: --by-stage is for github only"),
        (["gitlab", "--shards=2", "--comment"], "emit gitlab: --comment is for github only"),
        (["github", "--by-stage", "--shards=2"], "give --by-stage or --shards"),
        (["github", "--by-stage"], "--by-stage needs a plan with stages: `py312 init` writes one"),
    ],
)
def test_mistakes_are_named(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["emit", *arguments]) == 4
    assert message in capsys.readouterr().err


PLAN = '[[stage]]\nnumber = 3\nservices = ["a"]\n[[stage]]\nnumber = 1\nservices = ["b"]\n'


def test_github_has_a_job_for_each_stage_of_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "py312.toml").write_text(PLAN, encoding="utf-8")

    jobs = emitted(capsys, "github", "--by-stage")["jobs"]

    assert jobs["stage"]["strategy"] == {"fail-fast": False, "matrix": {"stage": [1, 3]}}
    assert (jobs["py312"]["needs"], jobs["py312"]["if"]) == ("stage", "always()")
    assert len(jobs["py312"]["steps"]) == 1
    assert "sarif" not in str(jobs)


@pytest.mark.parametrize("kind", ["--by-stage", "--shards=2"])
def test_what_is_written_elsewhere_needs_permissions(capsys: pytest.CaptureFixture[str], kind: str) -> None:
    plain = emitted(capsys, "github", kind, "--stage=1")
    full = emitted(capsys, "github", kind, "--stage=1", "--sarif", "--comment")

    assert plain["permissions"] == {"contents": "read"}
    assert full["permissions"] == {
        "contents": "read",
        "actions": "read",  # the upload asks for it in a private repository
        "security-events": "write",
        "pull-requests": "write",
    }
    for step in (step for job in full["jobs"].values() for step in job["steps"]):
        if "upload-sarif" in step.get("uses", "") or step.get("run", "").startswith("gh "):
            assert step["if"].startswith("always() && ")
            assert "head.repo.full_name == github.repository" in step["if"]
    assert str(full).count("gh pr comment") == 1
    assert "report.sarif" in str(full)
    assert "report.md" in str(full)
