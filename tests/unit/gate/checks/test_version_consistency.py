"""The version declarations of one service: which exclude the target, contradict each other, or would break."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Interpreter, Severity
from pytest_py312.gate.checks.version_consistency import ConsistencyResult, check_consistency, exact_versions
from pytest_py312.repository.declarations.declaration import VersionDeclaration
from pytest_py312.repository.declarations.reader import read_declarations
from pytest_py312.repository.edits.declarations import MigrationTarget
from tests.support.migrations import migrate_files

TARGET = Interpreter(3, 12)
each_old = pytest.mark.parametrize("old", [Interpreter(3, 9), Interpreter(3, 10)], ids=str)


def places_of(files: Mapping[str, str]) -> list[VersionDeclaration]:
    return [place for path, text in files.items() for place in read_declarations(text, path)]


def judged(files: Mapping[str, str], *, baseline: str = "3.10", close: bool = False) -> ConsistencyResult:
    return check_consistency(
        places_of(files), MigrationTarget(baseline=Interpreter.parse(baseline), target=TARGET, drop_old_versions=close)
    )


def short(agreement: ConsistencyResult) -> list[tuple[str, str, str]]:
    return [(one.code, str(one.location), one.severity.value) for one in agreement.findings]


IMAGE = (
    "FROM python:{} AS build\nFROM python:{}\nCOPY --from=build /usr/local/lib/python{}/x /usr/local/lib/python{}/x\n"
)


@each_old
def test_an_unmigrated_service_lists_what_has_to_change(old: Interpreter) -> None:
    """Both images and the paths are notes: nothing is broken yet."""
    found = judged({"s/Dockerfile": IMAGE.format(old, old, old, old)}, baseline=str(old))
    assert short(found) == [
        ("PY301", "s/Dockerfile:1", "note"),
        ("PY301", "s/Dockerfile:2", "note"),
        ("PY303", "s/Dockerfile:3", "note"),
        ("PY303", "s/Dockerfile:3", "note"),
    ]


@each_old
def test_migrated_images_without_their_paths_are_broken(old: Interpreter) -> None:
    """Found in four images of a real platform, whose FROM lines were all upgraded."""
    found = judged({"s/Dockerfile": IMAGE.format(TARGET, TARGET, old, old)}, baseline=str(old))
    assert short(found) == [("PY303", "s/Dockerfile:3", "error"), ("PY303", "s/Dockerfile:3", "error")]
    assert f"python{old}/x does not exist in python:3.12" in found.findings[0].message


@each_old
@pytest.mark.parametrize(
    ("path", "text", "severity"),
    [
        ("s/crontab", "0 * * * * root python{} job.py\n", "error"),
        ("s/Procfile", "web: python{} -m shop\n", "error"),
        ("s/compose.yml", "services: {{a: {{build: ., command: python{} -m shop}}}}\n", "error"),
        ("s/main.py", "subprocess.run(['python{}', 'job.py'])\n", "error"),
        ("s/main.py", "PATH = '/opt/lib/python{}/site-packages'\n", "warning"),
        ("s/tools/main.py", "subprocess.run(['python{}', 'job.py'])\n", "warning"),
        ("s/venv.sh", "python{} -m venv .venv\n", "warning"),
    ],
)
def test_commands_with_the_old_python_break_in_a_migrated_image(
    old: Interpreter, path: str, text: str, severity: str
) -> None:
    """An error where production runs them; the others only disagree."""
    found = judged({"s/Dockerfile": "FROM python:3.12\n", path: text.format(old)}, baseline=str(old))
    code = "PY303" if severity == "error" else "PY302"
    assert short(found) == [(code, f"{path}:1", severity)]
    assert f"needs {old}, and the service runs on 3.12 (s/Dockerfile:1)" in found.findings[0].message

    other = judged({"s/Dockerfile": "FROM ubuntu:24.04\n", path: text.format(old)}, baseline=str(old))
    assert short(other) == [], "nobody knows what that image has"
    both = judged(
        {"s/Dockerfile": f"FROM python:{old}\n", "s/new.Dockerfile": "FROM python:3.12\n", path: text.format(old)}
    )
    assert {code for code, place, _ in short(both) if path in place} <= {"PY303"} - {"PY302"}


SAM = "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      Runtime: python3.12\n"


@each_old
@pytest.mark.parametrize(
    "text",
    [
        "  L:\n    Type: AWS::Serverless::LayerVersion\n    Metadata:\n      BuildMethod: python{}\n",
        "      Environment:\n        Variables: {{PYTHONPATH: /opt/lib/python{}/site-packages}}\n",
        "custom:\n  pythonRequirements:\n    dockerImage: public.ecr.aws/sam/build-python{}\n",
        "      Layers:\n      - arn:aws:lambda:us-east-1:336392948345:layer:AWSSDKPandas-Python{}:5\n",
        "      Handler: a.b\n  G:\n    Properties:\n      Runtime: python{}\n",
    ],
    ids=["layer", "path", "image of a build", "public layer", "another function"],
)
def test_functions_need_what_is_made_for_their_runtime(old: Interpreter, text: str) -> None:
    """Their archives and layers contain compiled files, and folders that are named after one Python."""
    found = judged({"s/template.yaml": SAM + text.format(old)}, baseline=str(old))
    assert "error" in {severity for _, _, severity in short(found)}


@each_old
def test_what_installs_a_service_has_to_run_on_its_python(old: Interpreter) -> None:
    """A Makefile is of developers, unless the recipe of production is in it."""
    files = {"s/template.yaml": SAM, "s/Makefile": f"build-F:\n\tpython{old} -m pip install -t $(ARTIFACTS_DIR) six\n"}
    migration = MigrationTarget(baseline=old, target=TARGET)
    alone, installing = (
        check_consistency(places_of(files), migration, service="s", installing=places)
        for places in ((), (("s/Makefile", 2),))
    )
    assert short(alone) == [("PY302", "s/Makefile:2", "warning")]
    assert short(installing) == [("PY303", "s/Makefile:2", "error")]


def test_runtimes_that_a_layer_fits_hide_nothing() -> None:
    """Another layer may fit 3.9 as well; the runtime of the function is 3.12."""
    terraform = (
        'resource "aws_lambda_function" "f" {\n  runtime = "python3.12"\n'
        '  layers = ["arn:aws:lambda:us-east-1:770693421928:layer:Klayers-p39-requests:1"]\n}\n'
        'resource "aws_lambda_layer_version" "l" {\n  compatible_runtimes = ["python3.9", "python3.12"]\n}\n'
    )
    assert ("PY303", "s/main.tf:3", "error") in short(judged({"s/main.tf": terraform}, baseline="3.9"))


def test_a_runtime_of_something_else_is_no_image() -> None:
    """An example in a description of an interface only disagrees."""
    files = {"s/Dockerfile": "FROM python:3.12\n", "s/openapi.yaml": "a: {default: {runtime: python3.9}}\n"}
    assert {severity for _, _, severity in short(judged(files, baseline="3.9"))} <= {"note", "warning"}


def test_what_starts_a_service_is_no_test_of_the_oldest_python() -> None:
    """Jobs and tools may run on the lower bound of a range that is older than the baseline."""
    files = {"s/Dockerfile": "FROM python:3.12\n", "s/Procfile": "web: python3.8 -m shop\n"}
    migration = MigrationTarget(baseline=Interpreter(3, 9), target=TARGET, oldest_supported=Interpreter(3, 8))
    found = check_consistency(places_of(files), migration)
    assert short(found) == [("PY303", "s/Procfile:1", "error")]


@each_old
def test_commands_change_together_with_the_image(old: Interpreter) -> None:
    """As long as both are old, that is a note."""
    found = judged({"s/Dockerfile": f"FROM python:{old}\n", "s/crontab": f"0 * * * * root python{old} a.py\n"})
    assert short(found) == [("PY301", "s/Dockerfile:1", "note"), ("PY303", "s/crontab:1", "note")]


def test_a_migrated_service_has_no_findings() -> None:
    """Images, paths, range, matrix, pin."""
    result = judged(
        {
            "s/Dockerfile": IMAGE.format(TARGET, TARGET, TARGET, TARGET),
            "s/pyproject.toml": '[project]\nrequires-python = ">=3.10,<3.13"\n[tool.mypy]\npython_version = "3.10"\n',
            ".github/workflows/s.yml": "python-version: ['3.10', '3.12']\n",
            "s/.python-version": "3.12\n",
        }
    )
    assert result.findings == ()


@each_old
def test_half_a_migration_is_an_error(old: Interpreter) -> None:
    """One image has the target and another one does not."""
    found = judged({"s/Dockerfile": "FROM python:3.12\n", "s/docker-compose.yml": f"a: {{image: 'python:{old}'}}\n"})
    assert ("PY302", "s/docker-compose.yml:1", "error") in short(found)
    assert f"{old}: s/docker-compose.yml:1; 3.12: s/Dockerfile:1" in found.findings[1].message


@each_old
@pytest.mark.parametrize(
    "files",
    [
        {"s/Dockerfile": "FROM python:{}\n", "s/.python-version": "3.12\n"},
        {"s/Dockerfile": "FROM python:{}\n", ".github/workflows/s.yml": "python-version: '3.12'\n"},
        {"s/Dockerfile": "FROM python:3.12 AS export\nFROM python:{}\n"},
        {"s/Dockerfile": "FROM python:{}\n", "s/test/Dockerfile": "FROM python:3.12\n"},
        {"s/Dockerfile": "FROM python:3.12\n", ".github/workflows/s.yml": "python-version: '{}'\n"},
    ],
)
def test_a_harmless_disagreement_is_a_warning(files: dict[str, str], old: Interpreter) -> None:
    """Pins, CI, images of tests and helper stages: the deployed image is not migrated, or is the only one."""
    found = judged({path: text.replace("{}", str(old)) for path, text in files.items()}, baseline=str(old))
    assert [one.severity for one in found.findings if one.code == "PY302"] == [Severity.WARNING]
    assert not [one for one in found.findings if one.severity is Severity.ERROR]


@pytest.mark.parametrize("image", ["3.9", "3.10", "3.12"])
def test_a_matrix_without_the_target_is_a_warning_once_the_image_is_migrated(image: str) -> None:
    """Before, it is a note: nothing runs the target yet."""
    found = judged({"s/Dockerfile": f"FROM python:{image}\n", "s/tox.ini": "[tox]\nenvlist = py39,py310\n"})
    severity = next(one.severity for one in found.findings if "lists 3.9, 3.10" in one.message)
    assert severity is (Severity.WARNING if image == "3.12" else Severity.NOTE)


def test_metadata_of_a_nested_distribution_is_a_warning() -> None:
    """Whether it installs is checked where it is required."""
    text = "[project]\nrequires-python = '<3.11'\n"
    places = places_of({"s/pyproject.toml": text, "s/libs/x/pyproject.toml": text})
    found = check_consistency(places, MigrationTarget(baseline=Interpreter(3, 10), target=TARGET), service="s")
    assert short(found) == [("PY301", "s/libs/x/pyproject.toml:2", "warning"), ("PY301", "s/pyproject.toml:2", "error")]


@pytest.mark.parametrize(("target", "severity"), [((3, 10), Severity.ERROR), ((3, 12), Severity.WARNING)])
def test_a_number_that_loses_its_zero_blocks_only_as_the_target(target: tuple[int, int], severity: Severity) -> None:
    """The move to another version replaces it."""
    places = places_of({".github/workflows/a.yml": "python-version: 3.10\n"})
    migration = MigrationTarget(baseline=Interpreter(3, 9), target=Interpreter(*target))
    found = check_consistency(places, migration)
    assert [one.severity for one in found.findings if one.code == "PY304"] == [severity]


def test_an_inactive_workflow_never_blocks() -> None:
    """Neither a declaration that could not be understood nor a misread number."""
    text = "a: {python-version: 3.10}\nb: {python-version: '${{ steps.a.outputs.b }}'}\n"
    found = judged({"s/.github/workflows/a.yml": text})
    assert {one.code for one in found.findings} >= {"PY304", "PY305", "PY306"}
    assert not [one for one in found.findings if one.severity is Severity.ERROR]
    assert found.unclear == ()


def test_two_old_pythons_are_a_warning() -> None:
    """3.9 and 3.10, compared as versions."""
    found = judged({"s/Dockerfile": "FROM python:3.10\n", "s/deploy/Dockerfile": "FROM python:3.9\n"})
    assert [one.message for one in found.findings if one.code == "PY302"] == [
        "The service declares 2 Python versions (3.9: s/deploy/Dockerfile:1; 3.10: s/Dockerfile:1)."
    ]


@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        ({"pyproject.toml": "[project]\nrequires-python = '>=3.9,<3.11'\n"}, "PY301", 'Write ">=3.9,<3.13".'),
        ({"a.yml": "{}", "tox.ini": "[tox]\nenvlist = py39,py310\n"}, "PY301", "Add 3.12 to the list."),
        ({"Dockerfile": "FROM python:3.11\n", "setup.cfg": "[options]\npython_requires = <3.11\n"}, "PY302", "Write"),
        ({"ruff.toml": "target-version = 'py312'\n"}, "PY302", "Set it to 3.10"),
        ({".github/workflows/a.yml": "python-version: 3.10\n"}, "PY304", 'Write "3.10".'),
        ({"svc/.github/workflows/a.yml": "python-version: '3.12'\n"}, "PY305", "at the root"),
        ({".github/workflows/a.yml": "python-version: ${{ steps.a.outputs.b }}\n"}, "PY306", "manually"),
        ({"Dockerfile": "FROM python:$TAG\n"}, "PY306", "manually"),
        ({"setup.py": "from setuptools import setup\nsetup(python_requires=f())\n"}, "PY306", "manually"),
        ({"Dockerfile": "FROM python:3\n"}, "PY307", "Name 3.12 there."),
        ({"Dockerfile": "FROM gcr.io/distroless/python3-debian12\n"}, "PY307", "Name 3.12"),
        ({"Dockerfile": "FROM continuumio/miniconda3:24.1\n"}, "PY307", "Name 3.12"),
        ({"Dockerfile": "FROM python:3.10-slim-buster\n"}, "PY307", "slim-bullseye"),
        ({"Dockerfile": "FROM python:3.9@sha256:ab\n"}, "PY307", "digest"),
    ],
)
def test_each_kind_of_finding_has_a_remedy(files: dict[str, str], code: str, words: str) -> None:
    """And its location."""
    found = [one for one in judged(files).findings if one.code == code]
    assert len(found) == 1
    assert words in found[0].remedy
    assert found[0].location is not None


def test_a_file_that_cannot_be_read_is_named_without_empty_brackets() -> None:
    found = judged({"pyproject.toml": "[project\nrequires-python = '>=3.9'\n"})
    (finding,) = [one for one in found.findings if one.code == "PY306"]
    assert finding.message.startswith("the file could not be understood. ")
    assert finding.remedy == "Correct it, or check it manually."


def test_unclear_declarations_are_separate() -> None:
    """They never pass."""
    found = judged({"Dockerfile": "FROM python:${V}\n"})
    assert [place.line for place in found.unclear] == [1]


@each_old
def test_build_arguments_of_a_compose_file_are_known(old: Interpreter) -> None:
    """The Dockerfile has no default; the migration changes the build argument."""
    files = {
        "s/Dockerfile": "ARG PYTHON_VERSION\nFROM python:${PYTHON_VERSION}-slim\n",
        "s/docker-compose.yml": f"services: {{s: {{build: {{context: ., args: {{PYTHON_VERSION: '{old}'}}}}}}}}\n",
    }
    assert judged(files, baseline=str(old)).unclear == ()
    moved, refused = migrate_files(files, MigrationTarget(baseline=old, target=TARGET))
    assert (list(moved), refused) == (["s/docker-compose.yml"], ())
    alone = {"s/Dockerfile": files["s/Dockerfile"]}
    assert [str(place.location) for place in judged(alone).unclear] == ["s/Dockerfile:2"]


def test_a_variable_of_workflows_is_known_in_an_action() -> None:
    """`env` of the workflow that uses it; an input without a default is not known."""
    action = "runs:\n  steps:\n  - uses: actions/setup-python@v5\n    with:\n      python-version: ${{ %s }}\n"
    files = {
        "s/.github/actions/python/action.yml": action % "env.PYTHON_VERSION",
        "s/.github/workflows/test.yml": "on: push\nenv:\n  PYTHON_VERSION: '3.10'\n",
    }
    assert judged(files, baseline="3.10").unclear == ()
    files["s/.github/actions/python/action.yml"] = action % "inputs.version"
    assert [place.line for place in judged(files, baseline="3.10").unclear] == [5]


def test_running_versions_are_sorted_as_versions() -> None:
    """A matrix and a range run nothing by themselves."""
    files = {
        "Dockerfile": "FROM python:3.12\nFROM python:3.9\nFROM python:3.10\n",
        "tox.ini": "[tox]\nenvlist = py38\n",
    }
    assert [str(version) for version in exact_versions(places_of(files))] == ["3.9", "3.10", "3.12"]


PARTS = {
    "Dockerfile": ["FROM python:{}-slim AS a\n", "COPY --from=a /usr/local/lib/python{}/x /y\n", "RUN python{} -V\n"],
    "tox.ini": ["[tox]\nenvlist = py39,py{}\n"],
    "pyproject.toml": ["[project]\nrequires-python = '>=3.9,<{}'\n"],
    ".github/workflows/a.yml": ["a: {{python-version: '{}'}}\n"],
}


@given(
    st.dictionaries(st.sampled_from(sorted(PARTS)), st.sampled_from(["3.9", "3.10", "3.11", "3.12"]), min_size=1),
    st.sampled_from(["3.9", "3.10"]),
)
def test_a_service_has_no_errors_after_its_migration(versions: dict[str, str], baseline: str) -> None:
    """Whatever it declared before: nothing disagrees, and nothing excludes the target."""
    files = {path: "".join(part.format(version) for part in PARTS[path]) for path, version in versions.items()}
    moved, refused = migrate_files(files, MigrationTarget(baseline=Interpreter.parse(baseline), target=TARGET))
    assert refused == ()
    found = judged({**files, **moved}, baseline=baseline)
    assert [one for one in found.findings if one.severity is not Severity.NOTE] == []
