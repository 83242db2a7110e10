"""The jobs of Azure Pipelines: their commands with folders and variables, and what they install for tests."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.recipes.suites.azure_jobs import read_azure_jobs
from pytest_py312.repository.recipes.suites.job_recipes import azure_pipeline_files, read_workflow_recipe
from pytest_py312.repository.tree import Tree

PIPELINE = """\
variables:
  python.39: 3.9
  root: $(Build.SourcesDirectory)/services
jobs:
- job: Test
  pool:
    vmImage: ubuntu-latest
  strategy:
    matrix:
      Python39:
        PYTHON_VERSION: $(python.39)
      Python310:
        PYTHON_VERSION: '3.10'
  variables:
  - name: MODE
    value: testing
  steps:
  - task: UsePythonVersion@0
    inputs: {versionSpec: $(PYTHON_VERSION)}
  - script: |
      pip install -r a/dev.txt
      echo $(date) $(System.JobId)
    workingDirectory: $(root)
  - bash: pytest a
    workingDirectory: services
    env: {URL: $(MODE)}
    condition: succeeded()
  - task: Bash@3
    inputs: {targetType: inline, script: echo $(PYTHON_VERSION)}
  - template: other.yml
"""


def test_steps_have_their_folders_and_variables() -> None:
    (job,) = read_azure_jobs(PIPELINE)
    install, tests, shown = job.steps
    assert (job.name, dict(job.matrix)) == ("Test", {"python": ("Python39", "Python310")})
    assert {name: job.variables[name] for name in ("MODE", "PYTHON_VERSION")} == {
        "MODE": "testing",
        "PYTHON_VERSION": "3.9",
    }
    assert (install.text, install.line, install.folder) == (
        "pip install -r a/dev.txt\necho $(date) ${_EXPRESSION}\n", 21, "services"
    )  # fmt: skip
    assert (tests.text, tests.folder, dict(tests.variables)) == ("pytest a", "services", {"URL": "testing"})
    assert [step.may_be_skipped for step in job.steps] == [False, True, False]
    assert shown.text == "echo 3.9"


@pytest.mark.parametrize(
    "text", ["steps:\n- script: pytest\n", "stages:\n- stage: a\n  jobs:\n  - job: b\n    steps:\n    - bash: pytest\n"]
)
def test_steps_without_a_job_and_jobs_of_stages(text: str) -> None:
    (job,) = read_azure_jobs(text)
    assert [step.text for step in job.steps] == ["pytest"]


@pytest.mark.parametrize(
    ("path", "is_pipeline"),
    [
        ("azure-pipelines.yml", True), ("azure-pipelines-ci.yaml", True), (".azure-pipelines/a.yml", True),
        ("pipelines/ci.yml", True), ("ci.yml", False), ("docs/azure-pipelines.yml", False),
    ],
)  # fmt: skip
def test_the_recipe_of_the_tests_is_that_of_a_pipeline(tmp_path: Path, path: str, is_pipeline: bool) -> None:
    for name, text in {path: PIPELINE, "services/a/dev.txt": "pytest\n", "services/a/test_a.py": ""}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    recipe = read_workflow_recipe(Tree(tmp_path), "services/a", "a")
    assert (recipe is not None) is is_pipeline
    if recipe is not None:
        assert (recipe.source, [step.files for step in recipe.steps]) == (path, [("services/a/dev.txt",)])


def test_other_files_in_a_folder_of_that_name_are_no_pipelines(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/values.yml").write_text("steps: 3\n")
    assert list(azure_pipeline_files(Tree(tmp_path), ".")) == []


@given(st.text(alphabet=st.sampled_from("jobsteprianvlm:-\n []{}$()'")), st.integers(0, len(PIPELINE)))
def test_no_text_makes_it_raise(text: str, at: int) -> None:
    jobs = read_azure_jobs(PIPELINE[:at] + text + PIPELINE[at:])
    assert all(isinstance(step.text, str) for job in jobs for step in job.steps)
