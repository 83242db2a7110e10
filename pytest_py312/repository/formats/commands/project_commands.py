"""Read commands of tools that install a project, or the lock of one. Never raises.

The options are those of uv 0.9, Poetry 2, PDM 2, Pipenv 2025 and Hatch 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pytest_py312.repository.formats.commands.install_options import (
    InstallCommand,
    OptionValues,
    read_options,
    read_pip_arguments,
)

_PROJECT_VALUES: Mapping[str, Mapping[str, str]] = {
    "poetry": {
        "--with": "groups", "--without": "without", "--only": "only", "--extras": "extras", "-E": "extras",
        "--directory": "folder", "-C": "folder", "--project": "folder", "-P": "folder", "--format": "", "-f": "",
        "--output": "output", "-o": "output",
    },
    "uv": {
        "--extra": "extras", "--group": "groups", "--no-group": "without", "--only-group": "only",
        "--no-extra": "without_extras", "--directory": "folder", "--project": "folder", "--package": "package",
        "--python": "", "-p": "", "--output-file": "output", "-o": "output", "--format": "", "--index-url": "",
        "--extra-index-url": "", "--find-links": "", "-f": "", "-i": "", "--index": "", "--default-index": "",
        "--link-mode": "", "--cache-dir": "", "--no-install-package": "", "--upgrade-package": "", "-P": "",
        "--config-setting": "", "-C": "", "--index-strategy": "", "--color": "", "--with": "arguments",
        "--with-requirements": "files", "--with-editable": "editables", "--no-build-package": "",
        "--no-binary-package": "", "--resolution": "", "--prerelease": "", "--exclude-newer": "",
        "--refresh-package": "", "--reinstall-package": "", "--keyring-provider": "", "--prune": "",
        "--no-emit-package": "", "--script": "", "--env-file": "", "--inexact": "", "--frozen": "", "--locked": "",
    },
    "pdm": {
        "-G": "groups", "--group": "groups", "--with": "groups", "--without": "without", "-p": "folder",
        "--project": "folder", "-L": "", "--lockfile": "", "-o": "output", "--output": "output", "-f": "",
        "--format": "", "--venv": "",
    },
    "pipenv": {
        "--categories": "groups", "-r": "files", "--requirements": "files", "-e": "editables",
        "--editable": "editables", "-i": "", "--index": "", "--python": "", "--extra-pip-args": "",
    },
}  # fmt: skip
"""Tool -> options with a value -> the field that takes it (empty: none)."""
_FLAGS_WITHOUT_VALUE = frozenset({"--inexact", "--frozen", "--locked"})


def _read_project_options(tool: str, words: Sequence[str]) -> tuple[InstallCommand, list[str]]:
    """Return what the options ask for, and the options without a value."""
    table = _PROJECT_VALUES[tool]

    def describe(word: str) -> tuple[str, bool]:
        return word, word in table and word not in _FLAGS_WITHOUT_VALUE

    values, flags = OptionValues(), []
    for name, value in read_options(words, describe):
        if not name:
            values.add("arguments", value)
        elif table.get(name):
            values.add(table[name], value)
        elif not value:
            flags.append(name)
    return values.command(tool), flags


def read_pip_sync(words: list[str]) -> InstallCommand:
    command = read_pip_arguments("pip-sync", words)
    files = command.arguments or ("requirements.txt",)
    return replace(command, files=files, arguments=(), flags=(*command.flags, "--no-deps"))


def read_pip_compile(words: list[str]) -> InstallCommand | None:
    command = read_pip_arguments("pip-compile", words)
    source = command.arguments or ("requirements.in",)
    output = command.output or f"{source[0].removesuffix('.in')}.txt"
    return replace(command, files=source, arguments=(), output=output, generates=True)


def _subcommand(tool: str, words: list[str]) -> tuple[list[str], list[str]]:
    """Return the options in front of the subcommand, and the subcommand with its arguments."""
    table = _PROJECT_VALUES.get(tool, {})
    front: list[str] = []
    while words and words[0].startswith("-"):
        size = 2 if words[0] in table else 1
        front += words[:size]
        words = words[size:]
    return front, words


def read_uv(words: list[str]) -> InstallCommand | None:
    front, words = _subcommand("uv", words)
    if words[:1] == ["pip"]:
        return _read_uv_pip(words[1:])
    if words[:1] not in (["sync"], ["export"], ["run"]):
        return None
    generates, is_run = words[0] == "export", words[0] == "run"
    arguments = _uv_run_options(words[1:]) if is_run else words[1:]
    if "--no-project" in arguments and is_run:
        return None
    command, flags = _read_project_options("uv", [*front, *arguments])
    return replace(
        command,
        flags=tuple(flag for flag in flags if flag in ("--frozen", "--locked")),
        project=True,
        generates=generates,
        all_extras="--all-extras" in flags,
        all_groups="--all-groups" in flags,
        default_groups=not {"--no-dev", "--no-default-groups"} & set(flags),
        only=(*command.only, "dev") if "--only-dev" in flags else command.only,
        groups=(*command.groups, "dev") if "--dev" in flags else command.groups,
        without=(*command.without, "dev") if "--no-dev" in flags else command.without,
        installs_project=not {"--no-install-project", "--no-install-workspace"} & set(flags),
    )


def _uv_run_options(words: Sequence[str]) -> list[str]:
    """Return the words in front of the program that ``uv run`` starts."""
    front: list[str] = []
    table, number = _PROJECT_VALUES["uv"], 0
    while number < len(words) and words[number].startswith("-") and words[number] != "--":
        size = 2 if words[number] in table and words[number] not in _FLAGS_WITHOUT_VALUE else 1
        front += words[number : number + size]
        number += size
    return front


def _read_uv_pip(words: list[str]) -> InstallCommand | None:
    if words[:1] == ["install"]:
        return read_pip_arguments("uv pip", words[1:])
    if words[:1] == ["sync"]:
        return replace(read_pip_sync(words[1:]), tool="uv pip")
    if words[:1] == ["compile"]:
        return read_pip_compile(words[1:])
    return None


def read_poetry(words: list[str]) -> InstallCommand | None:
    front, words = _subcommand("poetry", words)
    if words[:1] not in (["install"], ["sync"], ["export"]):
        return None
    command, flags = _read_project_options("poetry", [*front, *words[1:]])
    generates = words[0] == "export"
    with_dev = "--dev" in flags or "--with-dev" in flags
    return replace(
        command,
        arguments=(),
        project=True,
        generates=generates,
        all_extras="--all-extras" in flags,
        all_groups="--all-groups" in flags,
        # `poetry export` leaves all groups out, `poetry install` only the optional ones
        default_groups=not generates and not {"--no-dev", "--only-root"} & set(flags),
        groups=(*command.groups, "dev") if with_dev else command.groups,
        only=(*command.only, "") if "--only-root" in flags else command.only,
        installs_project="--no-root" not in flags and not generates,
    )


def read_pdm(words: list[str]) -> InstallCommand | None:
    front, words = _subcommand("pdm", words)
    if words[:1] not in (["install"], ["sync"], ["export"]):
        return None
    command, flags = _read_project_options("pdm", [*front, *words[1:]])
    selected = tuple(name for name in command.groups if name not in (":all", "default"))
    return replace(
        command,
        arguments=(),
        groups=selected,
        project=True,
        generates=words[0] == "export",
        all_groups=":all" in command.groups,
        default_groups=not {"--prod", "--production", "--no-dev", "--no-default"} & set(flags),
        only=selected if "--no-default" in flags else (),
        installs_project="--no-self" not in flags,
    )


def read_pipenv(words: list[str]) -> InstallCommand | None:
    if words[:1] not in (["install"], ["sync"], ["requirements"]):
        return None
    command, flags = _read_project_options("pipenv", words[1:])
    with_dev = {"--dev", "-d"} & set(flags)
    return replace(
        command,
        project=not command.files,
        generates=words[0] == "requirements",
        default_groups=False,
        groups=(*command.groups, "dev-packages") if with_dev else command.groups,
        only=("dev-packages",) if {"--dev-only"} & set(flags) else (),
        installs_project=False,
    )


def read_hatch(words: list[str]) -> InstallCommand | None:
    front, words = _subcommand("hatch", words)
    environment = "default"
    for number, word in enumerate(front):
        if word in ("-e", "--env"):
            environment = (front + words)[number + 1 : number + 2][0] if (front + words)[number + 1 :] else environment
    if words[:2] == ["env", "create"]:
        environment = next((word for word in words[2:] if not word.startswith("-")), environment)
    elif words[:1] == ["test"]:
        environment = "hatch-test"
    elif words[:1] == ["run"] and len(words) > 1:
        name, colon, _ = words[1].partition(":")
        environment = name if colon and name else environment
    else:
        return None
    return InstallCommand(tool="hatch", groups=(environment.rpartition("+")[2] or environment,), project=True)
