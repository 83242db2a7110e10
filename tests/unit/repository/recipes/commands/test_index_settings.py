"""Where the commands of a recipe take their files from, and what they leave out."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.fleet import InstallSettings, InstallStep, RequirementSource
from pytest_py312.repository.recipes.commands.file_map import FileMap
from pytest_py312.repository.recipes.commands.index_settings import read_index_settings, settings_of
from pytest_py312.repository.recipes.install_groups import group_sources
from pytest_py312.repository.recipes.recipe_sources import sources_of_recipe
from pytest_py312.repository.services.requirements.sources import TABLE_READERS
from pytest_py312.repository.tree import Tree
from tests.unit.repository.recipes.test_dockerfile_recipe import recipe_of

FILES = {"a.txt": "", "b.txt": "", "wheels/x-1.0-py3-none-any.whl": ""}


def steps_of(root: Path, *lines: str) -> tuple[InstallStep, ...]:
    text = "\n".join(("FROM python:3.11", "WORKDIR /app", "COPY . .", *lines))
    return recipe_of(root, text + "\n", FILES).steps


def settings(root: Path, *lines: str) -> InstallSettings:
    return settings_of(steps_of(root, *lines)[-1])


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("pip install -i https://x/simple -r a.txt", [("--index-url", "https://x/simple")]),
        ("pip install --no-index --find-links=wheels -r a.txt", [("--find-links", "svc/wheels"), ("--no-index", "")]),
        ("pip install --pre --no-binary lxml -r a.txt", [("--pre", ""), ("--no-binary", "lxml")]),
        ("uv pip install --no-build -r a.txt", [("--only-binary", ":all:")]),
        ("PIP_INDEX_URL=https://y/ pip install -i https://x/ -r a.txt", [("--index-url", "https://x/")]),
        ("PIP_EXTRA_INDEX_URL='https://x/ https://y/' pip install -r a.txt",
         [("--extra-index-url", "https://x/"), ("--extra-index-url", "https://y/")]),
        ("pip install --trusted-host x -r a.txt", []),
        ("pip install -c https://x/c.txt -c b.txt -r a.txt", [("--constraint", "https://x/c.txt")]),
        ("PIP_CONSTRAINT='b.txt https://x/c.txt' pip install -r a.txt",
         [("--build-constraint", "svc/b.txt"), ("--constraint", "https://x/c.txt")]),
    ],
)  # fmt: skip
def test_options_of_a_command(tmp_path: Path, line: str, options: list[tuple[str, str]]) -> None:
    assert settings(tmp_path, f"RUN {line}").options == tuple(options)


@pytest.mark.parametrize(
    "lines",
    [
        ("RUN pip wheel --no-deps -r a.txt -w /w", "RUN pip install --no-index --find-links=/w -r a.txt"),
        ("RUN pip wheel --no-deps -r a.txt -w /w", "RUN pip install --no-cache /w/*"),
    ],
)
def test_wheels_that_a_command_makes_are_what_it_takes_from_the_index(tmp_path: Path, lines: tuple[str, ...]) -> None:
    """Their dependencies are installed as well, where they are."""
    assert settings(tmp_path, *lines) == InstallSettings()


def test_wheels_are_installed_as_their_installation_says(tmp_path: Path) -> None:
    lines = ("RUN pip wheel -r a.txt -w /w", "RUN pip install --no-deps --target /deps /w/*")
    (step,) = (step for step in steps_of(tmp_path, *lines) if step.files)
    assert (settings_of(step).no_deps, step.target) == (True, "/deps")


@pytest.mark.parametrize(
    ("line", "left_out"),
    [
        ("pip install -i https://$TOKEN@x/ -r a.txt", "--index-url https://$TOKEN@x/"),
        ("pip install --no-index -f /mnt/wheels -r a.txt", "--find-links /mnt/wheels"),
        ("pip install -c https://x/$V/c.txt -r a.txt", "--constraint https://x/$V/c.txt"),
    ],
)
def test_what_cannot_be_followed_is_reported_and_not_used(tmp_path: Path, line: str, left_out: str) -> None:
    (step,) = steps_of(tmp_path, f"RUN {line}")
    assert step.left_out == (left_out,)
    assert settings_of(step) == InstallSettings()


@pytest.mark.parametrize(
    "command", ["pip config set global.index-url", "python -m pip config set --user install.index-url"]
)
def test_settings_of_pip_count_in_later_commands(tmp_path: Path, command: str) -> None:
    lines = (f"RUN {command} https://x/", "RUN pip install -r a.txt")
    assert settings(tmp_path, *lines).options == (("--index-url", "https://x/"),)


@pytest.mark.parametrize(
    ("target", "copy", "path", "expected"),
    [
        ("/deps", "/deps /deps", "", True),
        ("/deps", "/deps /usr/local/lib/python3.11/site-packages", "", False),
        ("/out/deps", "/out /srv", "", True),
        ("/deps", "/deps ./lib", "ENV PYTHONPATH=/app/lib", True),
    ],
)
def test_a_folder_that_is_copied_is_where_it_is_copied_to(
    tmp_path: Path, target: str, copy: str, path: str, expected: bool
) -> None:
    text = (
        f"FROM python:3.11 AS build\nCOPY a.txt .\nRUN pip install --target {target} -r a.txt\n"
        f"FROM python:3.11\nWORKDIR /app\n{path}\nCOPY --from=build {copy}\n"
    )
    recipe = recipe_of(tmp_path, text, FILES)
    assert (recipe.folder_without_pth is not None) is expected


def test_the_steps_of_an_image_become_groups(tmp_path: Path) -> None:
    lines = [
        "RUN pip install --no-deps -r a.txt",
        "RUN pip install -r b.txt",
        "RUN pip install --extra-index-url https://x/ gunicorn",
        "RUN pip install --index-url https://y/ own",
    ]
    text = "\n".join(("FROM python:3.11", "WORKDIR /app", "COPY . .", *lines))
    recipe = recipe_of(tmp_path, text + "\n", FILES)
    groups = group_sources(sources_of_recipe(Tree(tmp_path), recipe, TABLE_READERS, "svc"))
    assert [([source.path for source in group.sources], group.sources[0].settings.no_deps) for group in groups] == [
        (["svc/a.txt"], True),
        (["svc/b.txt"], False),
        (["svc/Dockerfile"], False),
        (["svc/Dockerfile"], False),
    ]


def test_the_requirements_of_the_tests_join_the_last_command_with_their_settings() -> None:
    """So do those whose command is not known. What contradicts production has to be seen."""
    first, last = RequirementSource(path="a", step=1), RequirementSource(path="b", step=2)
    named, tests = RequirementSource(path="c"), RequirementSource(path="d", step=1)
    alone = RequirementSource(path="e", step=2, settings=InstallSettings(no_deps=True))
    groups = group_sources((first, last, named), (tests, alone))
    assert [group.sources for group in groups] == [(first,), (last, named, tests), (alone,)]
    assert [group.tests for group in groups] == [(), (tests,), (alone,)]
    assert [group.sources for group in group_sources((named,), (tests,))] == [(named, tests)]
    assert [group.sources for group in group_sources((), (tests,))] == [(tests,)]


def test_a_file_that_is_installed_with_and_without_dependencies_has_them(tmp_path: Path) -> None:
    text = "FROM python:3.11\nCOPY a.txt .\nRUN pip install --no-deps -r a.txt\nRUN pip install -r a.txt\n"
    recipe = recipe_of(tmp_path, text, FILES)
    (source,) = sources_of_recipe(Tree(tmp_path), recipe, TABLE_READERS, "svc")
    assert source == RequirementSource(path="svc/a.txt", folder=source.folder, step=2)


@given(st.lists(st.tuples(st.sampled_from(["--index-url", "--find-links"]), st.text(max_size=12)), max_size=4))
def test_no_value_makes_the_reader_fail_or_breaks_a_line(options: list[tuple[str, str]]) -> None:
    found = read_index_settings(options, ("--no-index",), FileMap(Tree(Path("/nonexistent"))), "/")
    assert all(value.isprintable() for _, value in found.indexes)


@pytest.mark.parametrize(
    ("lines", "folders"),
    [
        ("COPY wheels /app\nWORKDIR /app", ("svc/wheels",)),
        ("COPY . /code\nENV PYTHONPATH=/code/wheels:/usr/lib", ("svc/wheels",)),
        ("WORKDIR /code\nCOPY . .\nENV PYTHONPATH=wheels:/code", ("svc", "svc/wheels")),
        ("WORKDIR /code\nCOPY a.txt .", ()),
    ],
)
def test_the_folders_of_the_repository_that_an_image_imports_from(
    tmp_path: Path, lines: str, folders: tuple[str, ...]
) -> None:
    recipe = recipe_of(tmp_path, f"FROM python:3.11\nCOPY a.txt /x/\nRUN pip install -r /x/a.txt\n{lines}\n", FILES)
    assert recipe.code_folders == folders
