"""Read commands that install: the words of one command in, what it asks its tool to install out. Never raises.

The options are those of 2025, such as conda 25. Nothing is looked up here: paths are as written, relative to the folder
in which the command runs.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from pytest_py312.repository.formats.commands.install_options import (
    InstallCommand,
    OptionValues,
    read_options,
    read_pip_arguments,
)
from pytest_py312.repository.formats.commands.project_commands import (
    read_hatch,
    read_pdm,
    read_pip_compile,
    read_pip_sync,
    read_pipenv,
    read_poetry,
    read_uv,
)

_PYTHON = re.compile(r"(?:python|pypy)(?:\d(?:\.\d+)?)?", re.ASCII)
_PIP = re.compile(r"pip(?:\d(?:\.\d+)?)?", re.ASCII)


def read_install_command(words: Sequence[str]) -> InstallCommand | None:
    """Read one command, without assignments and wrappers in front of it; ``None`` if it installs nothing."""
    if not words:
        return None
    name, arguments = words[0].rpartition("/")[2], list(words[1:])
    if _PYTHON.fullmatch(name):
        arguments = _with_separate_module(arguments)
    if _is_build(name, arguments):
        tool = "setup.py" if _PYTHON.fullmatch(name) and "-m" not in arguments else "pip"
        return _read_build(tool, _without_options(arguments)[1:] if name != "pyproject-build" else arguments)
    if _PYTHON.fullmatch(name):
        return _read_python(arguments)
    if _PIP.fullmatch(name):
        return _read_pip("pip", arguments)
    reader = _READERS.get(name)
    return reader(arguments) if reader else None


def read_pip_setting(words: Sequence[str]) -> tuple[str, str] | None:
    """Read ``pip config set global.index-url URL``: the variable that sets the same option, and its value."""
    remaining = list(words)
    if remaining and _PYTHON.fullmatch(remaining[0].rpartition("/")[2]):
        module = _with_separate_module(remaining[1:])
        remaining = module[1:] if module[:1] == ["-m"] else remaining
    if not remaining or not _PIP.fullmatch(remaining[0].rpartition("/")[2]):
        return None
    arguments = [word for word in remaining[1:] if not word.startswith("-")]
    if len(arguments) != 4 or arguments[:2] != ["config", "set"]:
        return None
    section, _, option = arguments[2].partition(".")
    if section not in ("global", "install") or not option:
        return None
    return f"PIP_{option.replace('-', '_').upper()}", arguments[3]


def _with_separate_module(words: Sequence[str]) -> list[str]:
    """Return the arguments of ``python`` with ``-m pip`` in place of ``-mpip``."""
    for number, word in enumerate(words):
        if not word.startswith("-") or word == "-m":
            break
        if word.startswith("-m"):
            return [*words[:number], "-m", word[2:], *words[number + 1 :]]
    return list(words)


def _without_options(words: Sequence[str]) -> list[str]:
    """Return the arguments of ``python`` from its program on: ``-m NAME``, or a script."""
    remaining = list(words)
    while remaining and remaining[0].startswith("-") and remaining[0] != "-m":
        del remaining[: 2 if remaining[0] in ("-W", "-X") else 1]
    return remaining


def _read_python(arguments: Sequence[str]) -> InstallCommand | None:
    words = _without_options(arguments)
    if words[:1] == ["-m"]:
        return read_install_command(words[1:]) if words[1:] and not _PYTHON.fullmatch(words[1]) else None
    if words and words[0].rpartition("/")[2] == "setup.py" and {"install", "develop"} & set(words[1:]):
        return InstallCommand(tool="setup.py", arguments=(words[0].rpartition("/")[0] or ".",))
    if words and words[0].rpartition("/")[2] == "setup.py" and _BUILDS_IN_PLACE.intersection(words[1:]):
        return InstallCommand(tool="setup.py")
    return None


_BUILDS_IN_PLACE = frozenset({"build", "build_ext", "build_clib", "build_py"})
"""Commands of setup.py that install nothing, and need setuptools as those do that install."""
_BUILDING_TOOLS = frozenset({"poetry", "pdm", "uv", "hatch", "flit", "rye"})


def _is_build(name: str, words: Sequence[str]) -> bool:
    """Whether a command builds the distributions of a project: ``poetry build``, ``python setup.py bdist_wheel``."""
    if _PYTHON.fullmatch(name):
        program = _without_options(words)
        is_setup = program[:1] in (["setup.py"], ["./setup.py"]) and not {"bdist_wheel", "sdist"}.isdisjoint(program)
        return is_setup or list(words[:2]) == ["-m", "build"]
    return name == "pyproject-build" or (name in _BUILDING_TOOLS and words[:1] == ["build"])


def _read_build(tool: str, words: Sequence[str]) -> InstallCommand:
    """Read what a build writes: by default into ``dist``."""
    output, folders = "dist", []
    remaining = list(words)
    while remaining:
        word = remaining.pop(0)
        option, equals, value = word.partition("=")
        if option in ("-o", "--outdir", "--output", "--out-dir", "-d", "--dist-dir", "--dest"):
            output = value if equals else (remaining.pop(0) if remaining else output)
        elif not word.startswith("-") and word not in ("build", "setup.py", "bdist_wheel", "sdist"):
            folders.append(word)
    arguments = (folders[0] if folders and "/" in folders[0] else ".",)
    return InstallCommand(tool=tool, arguments=arguments, output=output, generates=True)


def _read_pip(tool: str, words: list[str]) -> InstallCommand | None:
    options = {"--cache-dir", "--proxy", "--timeout", "--log", "--python", "--retries", "--cert", "--trusted-host"}
    while words and words[0].startswith("-"):  # options of pip itself
        del words[: 2 if words[0] in options else 1]
    if not words or words[0] not in ("install", "wheel", "download"):
        return None
    command = read_pip_arguments(tool, words[1:])
    if words[0] == "install":
        return command
    return replace(command, generates=True, output=command.output or ".")


def _read_conda(words: list[str]) -> InstallCommand | None:
    words = [word for word in words if word not in ("-y", "--yes", "-q", "--quiet")]
    if words[:1] == ["env"]:
        words = words[1:]
    if words[:1] not in (["create"], ["update"], ["install"]):
        return None
    values = OptionValues()
    takes_value = ("-f", "--file", "-n", "--name", "-c", "--channel", "-p", "--prefix", "--solver", "--platform")
    for name, value in read_options(words[1:], lambda word: (word, word in takes_value)):
        if name in ("-f", "--file"):
            values.add("files", value)
        elif not name:
            values.add("arguments", value)
    command = values.command("conda")
    return replace(command, arguments=(), system_packages=command.arguments)


def _read_system(tool: str, verb: str) -> Callable[[list[str]], InstallCommand | None]:
    takes_value = ("-t", "--target-release", "--virtual", "--repository", "-X", "-o", "--option", "--root", "-c")

    def read(words: list[str]) -> InstallCommand | None:
        pairs = list(read_options(words, lambda word: (word, word in takes_value)))
        arguments = [value for name, value in pairs if not name]
        # `apk add -t NAME` and `--virtual NAME` name a group of packages
        if arguments[:1] != [verb] or not arguments[1:]:
            return None
        flags = tuple(name for name, _ in pairs if name == "--no-install-recommends")
        return InstallCommand(tool=tool, system_packages=tuple(arguments[1:]), flags=flags[:1])

    return read


_READERS: Mapping[str, Callable[[list[str]], InstallCommand | None]] = {
    "easy_install": lambda words: read_pip_arguments("easy_install", words),
    "pip-sync": read_pip_sync,
    "pip-compile": read_pip_compile,
    "uv": read_uv,
    "poetry": read_poetry,
    "pdm": read_pdm,
    "pipenv": read_pipenv,
    "hatch": read_hatch,
    "conda": _read_conda,
    "mamba": _read_conda,
    "micromamba": _read_conda,
    "apt-get": _read_system("apt", "install"),
    "apt": _read_system("apt", "install"),
    "apk": _read_system("apk", "add"),
    "dnf": _read_system("dnf", "install"),
    "microdnf": _read_system("dnf", "install"),
    "yum": _read_system("yum", "install"),
    "piptools": lambda words: read_install_command([f"pip-{words[0]}", *words[1:]]) if words else None,
}
