"""Commands that install: what each tool is asked for."""

import shlex
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.commands.install_commands import read_install_command


def read(text: str) -> dict[str, object] | None:
    """The fields that differ from their defaults."""
    command = read_install_command(shlex.split(text))
    if command is None:
        return None
    values = {field.name: getattr(command, field.name) for field in fields(command)}
    return {field.name: values[field.name] for field in fields(command) if values[field.name] != field.default}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "pip install --no-cache-dir -r a.txt -rb.txt --requirement=c.txt -c d.txt",
            {"tool": "pip", "files": ("a.txt", "b.txt", "c.txt"), "constraints": ("d.txt",)},
        ),
        ("/venv/bin/pip3 install '.[x,y]' -e ./z", {"tool": "pip", "arguments": (".[x,y]",), "editables": ("./z",)}),
        ("python3.11 -m pip install -U a", {"tool": "pip", "arguments": ("a",), "flags": ("--upgrade",)}),
        ("python3 -mpip install a", {"tool": "pip", "arguments": ("a",)}),
        ("pip install --target=/t --prefix /p a", {"tool": "pip", "arguments": ("a",), "target": "/t", "prefix": "/p"}),
        (
            "pip install --require-hashes --no-deps --no-binary :all: -i https://x/ -r a",
            {
                "tool": "pip", "files": ("a",), "flags": ("--require-hashes", "--no-deps", "--no-binary :all:"),
                "indexes": (("--index-url", "https://x/"),),
            },
        ),
        ("pip wheel -w /wheels -r a", {"tool": "pip", "files": ("a",), "output": "/wheels", "generates": True}),
        ("uv pip install --system -r a", {"tool": "uv pip", "files": ("a",)}),
        ("uv pip sync a b", {"tool": "uv pip", "files": ("a", "b"), "flags": ("--no-deps",)}),
        ("pip-sync", {"tool": "pip-sync", "files": ("requirements.txt",), "flags": ("--no-deps",)}),
        ("uv sync --frozen --extra x --group y",
         {"tool": "uv", "flags": ("--frozen",), "extras": ("x",), "groups": ("y",), "project": True}),
        ("uv sync --no-dev --all-extras",
         {"tool": "uv", "without": ("dev",), "all_extras": True, "default_groups": False, "project": True}),
        ("uv run --group t pytest --extra no", {"tool": "uv", "groups": ("t",), "project": True}),
        ("poetry install --with a,b --without c --extras 'd e' --no-root",
         {"tool": "poetry", "groups": ("a", "b"), "without": ("c",), "extras": ("d", "e"), "project": True,
          "installs_project": False}),
        ("poetry -C sub install --only main", {"tool": "poetry", "only": ("main",), "folder": "sub", "project": True}),
        ("poetry export -f requirements.txt --output r.txt",
         {"tool": "poetry", "default_groups": False, "project": True, "installs_project": False, "output": "r.txt",
          "generates": True}),
        ("pdm install --prod -G test",
         {"tool": "pdm", "groups": ("test",), "default_groups": False, "project": True}),
        ("pipenv install --system --deploy --dev",
         {"tool": "pipenv", "groups": ("dev-packages",), "default_groups": False, "project": True,
          "installs_project": False}),
        ("hatch run test:cov", {"tool": "hatch", "groups": ("test",), "project": True}),
        ("conda env update -n base -f environment.yml", {"tool": "conda", "files": ("environment.yml",)}),
        (
            "apt-get install -y --no-install-recommends gcc",
            {"tool": "apt", "system_packages": ("gcc",), "flags": ("--no-install-recommends",)},
        ),
        ("apk add --no-cache --virtual .build gcc", {"tool": "apk", "system_packages": ("gcc",)}),
        ("python setup.py develop", {"tool": "setup.py", "arguments": (".",)}),
        ("python3 setup.py build_ext --inplace", {"tool": "setup.py"}),
        ("python setup.py --version", None),
        ("apt-get update", None),
        ("pip list", None),
        ("poetry run pytest", None),
        ("python -m pytest", None),
        ("uv venv", None),
        ("npm install", None),
    ],
)  # fmt: skip
def test_what_a_command_installs(text: str, expected: dict[str, object] | None) -> None:
    assert read(text) == expected


WORDS = st.sampled_from(
    (
        *("pip", "python", "-m", "install", "-r", "--requirement=", "uv", "sync", "pip-sync", "poetry", "--with", "--"),
        *("-", "-e", "run", "hatch", "-e=", "conda", "env", "create", "apt-get", "apk", "add", "pdm", "-G", "pipenv"),
        *("--dev", "x=", ".", "setup.py", "piptools", "export", "--output"),
    )
)


@given(st.lists(WORDS | st.text(max_size=5), max_size=8))
def test_no_words_raise(words: list[str]) -> None:
    read_install_command(words)


@pytest.mark.parametrize(
    "text",
    [
        "pip install -qr base.txt",
        "pip install -qrbase.txt",
        "pip install -Ur base.txt",
        "pip install -qUr base.txt",
        "pip install -qqr base.txt",
        "uv pip install -qr base.txt",
    ],
)
def test_short_flags_may_be_joined(text: str) -> None:
    command = read_install_command(text.split())

    assert command is not None
    assert (command.files, command.arguments) == (("base.txt",), ())
    assert command.flags == (("--upgrade",) if "U" in text else ())


def test_a_joined_editable_is_a_project() -> None:
    command = read_install_command(["pip", "install", "-qe", ".", "-vvv", "six"])

    assert command is not None
    assert (command.editables, command.arguments, command.flags) == ((".",), ("six",), ())
