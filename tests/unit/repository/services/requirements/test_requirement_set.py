"""All requirements of a service together, with the files that they include."""

from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import RequirementSource
from pytest_py312.repository.services.requirements.requirement_set import (
    RequirementSet,
    read_requirement_set,
    requirement_with_extras,
)


def read(root: Path, files: dict[str, str], *sources: str) -> RequirementSet:
    """Write ``files`` into a repository below ``root`` and read ``sources`` (``path`` or ``path [table]``)."""
    root = root / "repository"
    root.mkdir()
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    wanted = [source.rstrip("]").split(" [") for source in sources]
    return read_requirement_set(root, [RequirementSource(path=one[0], table="".join(one[1:])) for one in wanted])


def test_included_files_are_followed_and_constraints_kept_apart(tmp_path: Path) -> None:
    """``-r`` adds, ``-c`` constrains, whatever it includes itself."""
    requirements = read(
        tmp_path,
        {
            "svc/requirements.txt": "a==1\n-r ../shared/base.txt\n-c limits.txt\n",
            "shared/base.txt": "b==2\n",
            "svc/limits.txt": "c<3\n-r more.txt\n",
            "svc/more.txt": "d<4\n",
        },
        "svc/requirements.txt",
    )
    assert [(entry.name, str(entry.location)) for entry in requirements.entries] == [
        ("a", "svc/requirements.txt:1"),
        ("b", "shared/base.txt:1"),
    ]
    assert [entry.name for entry in requirements.constraints] == ["c", "d"]
    assert requirements.files == ("shared/base.txt", "svc/limits.txt", "svc/more.txt", "svc/requirements.txt")
    assert requirements.problems == ()


def test_constraints_at_an_address_are_an_option(tmp_path: Path) -> None:
    """pip and uv fetch them."""
    requirements = read(tmp_path, {"r.txt": "a==1\n-c https://files.invalid/c.txt\n"}, "r.txt")

    assert [(option.name, option.value) for option in requirements.options] == [
        ("--constraint", "https://files.invalid/c.txt")
    ]
    assert requirements.problems == ()


def test_identical_entries_are_one_and_different_ones_two(tmp_path: Path) -> None:
    """A resolver must still see a conflict."""
    found = read(tmp_path, {"r.txt": "numpy==1.26.3\nNumPy == 1.26.3\nnumpy>=1.26.3\n"}, "r.txt")
    assert [one.entry.specifier for one in found.entries] == ["==1.26.3", ">=1.26.3"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-r ../../outside.txt", "outside the repository"),
        ("-r /etc/hosts", "outside the repository"),
        ("-r https://files.invalid/r.txt", "not in the repository"),
        ("-r missing.txt", "svc/missing.txt does not exist"),
        ("-r r.txt", "circle: svc/r.txt -> svc/r.txt"),
        ("-r ${WHERE}.txt", "environment variable"),
        ("-e ../../outside", "outside the repository"),
        ("-e ../nothing", "nothing does not exist"),
        ("</kodu_content>", "markup"),
    ],
)
def test_what_cannot_be_followed_is_a_problem_with_a_place(tmp_path: Path, line: str, words: str) -> None:
    """The rest is read."""
    found = read(tmp_path, {"svc/r.txt": f"a==1\n{line}\n", "../outside.txt": "secret==1\n"}, "svc/r.txt")
    assert [one.name for one in found.entries] == ["a"]
    assert [(one.location.path, one.location.line) for one in found.problems] == [("svc/r.txt", 2)]
    assert words in found.problems[0].message


def test_a_circle_of_two_files_is_reported_once(tmp_path: Path) -> None:
    """And both files are read."""
    found = read(tmp_path, {"a.txt": "a\n-r b.txt\n", "b.txt": "b\n-r a.txt\n"}, "a.txt")
    assert [one.name for one in found.entries] == ["a", "b"]
    assert [one.message for one in found.problems] == [
        "The files include each other in a circle: a.txt -> b.txt -> a.txt."
    ]


def test_a_folder_of_requirements_is_installed_from_around_it(tmp_path: Path) -> None:
    """``-e .`` in ``requirements/dev.txt``: pip takes it from the folder it is run in."""
    files = {"svc/requirements/dev.txt": "-e .\n", "svc/setup.py": ""}
    assert [local.path for local in read(tmp_path, files, "svc/requirements/dev.txt").locals] == ["svc"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"libs/common/setup.py": ""}, ["libs/common"]),
        ({"libs/common/setup.py": "", "functions/libs/common/setup.py": ""}, ["functions/libs/common"]),
        ({"libs/common/setup.py": "", "functions/one/libs/common/setup.py": ""}, ["functions/one/libs/common"]),
        ({"libs/common/data.txt": ""}, []),
    ],
)
def test_a_local_path_starts_in_the_nearest_folder_that_has_such_a_project(
    tmp_path: Path, files: dict[str, str], expected: list[str]
) -> None:
    """A script at the root installs ``functions/one/requirements.txt``, and pip takes the path from the root."""
    path = "functions/one/requirements.txt"
    found = read(tmp_path, {path: "./libs/common\n", **files}, path)
    assert [local.path for local in found.locals] == expected
    assert len(found.problems) == (not expected)


@pytest.mark.parametrize(
    ("second", "marker"),
    [
        ("", "python_version < '3.12'"),
        ("./acme ; python_version < '3.12'\n", "python_version < '3.12'"),
        ("./acme\n", ""),
        ("./acme ; sys_platform == 'linux'\n", ""),
    ],
)
def test_a_local_distribution_has_a_marker_if_all_lines_have_it(tmp_path: Path, second: str, marker: str) -> None:
    files = {"r.txt": f"./acme ; python_version < '3.12'\n{second}", "acme/setup.py": ""}

    assert [local.marker for local in read(tmp_path, files, "r.txt").locals] == [marker]


def test_a_local_distribution_is_found_from_the_file_that_names_it(tmp_path: Path) -> None:
    """Its path is relative to the root."""
    found = read(tmp_path, {"svc/r.txt": "-e ../libs/common[db]\n", "libs/common/setup.py": ""}, "svc/r.txt")
    (local,) = found.locals
    assert (local.path, local.extras, local.editable, str(local.location)) == (
        "libs/common",
        ("db",),
        True,
        "svc/r.txt:1",
    )


def test_tables_of_other_files_are_sources(tmp_path: Path) -> None:
    """pyproject.toml, setup.cfg, setup.py and Pipfile; a table that is not there is a problem."""
    requirements = read(
        tmp_path,
        {
            "pyproject.toml": '[project]\ndependencies = ["a"]\n[project.optional-dependencies]\ntest = ["b"]\n',
            "setup.cfg": "[options]\ninstall_requires =\n  c\n",
            "setup.py": "setup(install_requires=['d'])",
            "Pipfile": '[packages]\ne = "*"\n',
        },
        "pyproject.toml [project.dependencies]",
        "pyproject.toml [project.optional-dependencies.test]",
        "setup.cfg [options.install_requires]",
        "setup.py [install_requires]",
        "Pipfile [packages]",
        "pyproject.toml [dependency-groups.test]",
    )
    assert [one.name for one in requirements.entries] == ["a", "b", "c", "d", "e"]
    assert ["has no table dependency-groups.test" in one.message for one in requirements.problems] == [True]


def test_a_source_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    """A missing file, and a text that is no TOML."""
    found = read(tmp_path, {"pyproject.toml": "[project"}, "gone.txt", "pyproject.toml [project.dependencies]")
    assert [one.location.path for one in found.problems] == ["gone.txt", "pyproject.toml"]


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("six>=1", "six>=1"),
        ('six; python_version < "3.10"', 'six; python_version < "3.10"'),
        ('redis>=4; extra == "cache"', "redis>=4"),
        ('redis; extra == "queue"', ""),
        ('redis; python_version < "3.10" and extra == "cache"', ""),
        ('libs-common[cache]; extra == "cache"', ""),
        ("no requirement at all", ""),
    ],
)
def test_a_distribution_of_the_repository_asks_for_what_its_extras_name(line: str, asked: str) -> None:
    """``-e ../libs/common[cache]``: the rest of a marker is for the cell's interpreter, not for the one we run on."""
    assert requirement_with_extras(line, "libs-common", ("cache",), Interpreter(3, 12)) == asked
