"""From GitLab CI to what the tests of a service are run with."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.recipes.suites.gitlab_jobs import included_files, read_gitlab_jobs
from pytest_py312.repository.recipes.suites.job_recipes import read_workflow_recipe
from tests.unit.repository.recipes.suites.test_suite_recipe import shown, write

FIRST = "services/a/dev.txt"


def steps(root: Path, ci: str, files: Mapping[str, str] | None = None, service: str = "services/a") -> list[str]:
    tree = write(root, {".gitlab-ci.yml": ci, **(files or {})})
    return [" ".join(step) for step in shown(read_workflow_recipe(tree, service, service.rpartition("/")[2]))]


@pytest.mark.parametrize(
    ("ci", "places"),
    [
        ("tests:\n  script:\n    - cd services/a\n    - pip install -r dev.txt\n    - pytest\n", [4]),
        ("tests:\n  script: |\n    cd services/a\n    pip install -r dev.txt\n    pytest\n", [4]),
        ("before_script: [cd services/a, pip install -r dev.txt]\ntests:\n  script: [pytest]\n", [1]),
        ("default:\n  before_script:\n    - cd services/a\n    - pip install -r dev.txt\n"
         "tests:\n  script: pytest\n", [4]),
        (".base:\n  before_script:\n    - pip install -r $D/dev.txt\n  variables: {D: services/b}\n"
         "tests:\n  extends: .base\n  variables: {D: services/a}\n  script: pytest services/a\n", [3]),
        (".setup:\n  script:\n    - cd services/a\n    - pip install -r dev.txt\n"
         "tests:\n  script:\n    - !reference [.setup, script]\n    - pytest\n", [4]),
        (".setup: &setup\n  - cd services/a\n  - pip install -r dev.txt\n"
         "tests:\n  script:\n    - *setup\n    - pytest\n", [3]),
        ("tests:\n  parallel:\n    matrix:\n      - SVC: [b, a]\n  script:\n    - cd $CI_PROJECT_DIR/services/$SVC\n"
         "    - pip install -r dev.txt\n    - pytest\n", [7]),
        ("lint:\n  script: [pip install ruff, ruff check services/a]\n"
         "tests:\n  script:\n    - (cd services/a && pip install -r dev.txt && pytest)\n", [5]),
    ],
)  # fmt: skip
def test_the_job_that_tests_the_service(tmp_path: Path, ci: str, places: list[int]) -> None:
    assert steps(tmp_path, ci) == [f".gitlab-ci.yml:{line} {FIRST}" for line in places]


def test_included_files_come_first(tmp_path: Path) -> None:
    ci = "include:\n  - local: /ci/base.yml\n  - project: other/one\n  - https://x/y.yml\ntests:\n  extends: .base\n"
    base = ".base:\n  script:\n    - pip install -r services/a/dev.txt\n    - pytest services/a\n"
    assert steps(tmp_path, ci, {"ci/base.yml": base}) == [f"ci/base.yml:3 {FIRST}"]


def test_a_workflow_of_github_comes_first(tmp_path: Path) -> None:
    ci = "tests:\n  script:\n    - pip install -r services/b/dev.txt\n    - pytest services/a\n"
    workflow = "jobs:\n  t:\n    steps:\n      - run: pip install -r services/a/dev.txt && pytest services/a\n"
    assert steps(tmp_path, ci, {".github/workflows/t.yml": workflow}) == [f".github/workflows/t.yml:4 {FIRST}"]


def test_jobs_without_tests_say_nothing(tmp_path: Path) -> None:
    tree = write(tmp_path, {".gitlab-ci.yml": "build:\n  script: [pip install -r services/a/dev.txt, make]\n"})
    assert read_workflow_recipe(tree, "services/a", "a") is None


LINE = st.sampled_from(
    ["a:", "  script:", "    - pytest", "    - !reference [a, script]", "  extends: [a, b]", "b: {extends: a}",
     "include: x", "  parallel: {matrix: [{A: 1}]}", "variables: {A: {value: 1}}", "- x", "\t", "default: []"]
)  # fmt: skip


@given(st.lists(LINE, max_size=10).map("\n".join) | st.text(max_size=60))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    assert all(isinstance(name, str) for name in included_files(text))
    assert all(job.name for job in read_gitlab_jobs({"x.yml": text}) if job.steps)
