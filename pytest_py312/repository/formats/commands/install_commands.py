"""Read commands that install: the words of one command in, what it asks its tool to install out. Never raises.

The options are those of pip 25, uv 0.9, Poetry 2, PDM 2, Pipenv 2025, Hatch 1 and conda 25. Nothing is looked up here:
paths are as written, relative to the folder in which the command runs.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

_PYTHON = re.compile(r"(?:python|pypy)(?:\d(?:\.\d+)?)?", re.ASCII)
_PIP = re.compile(r"pip(?:\d(?:\.\d+)?)?", re.ASCII)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=", re.ASCII)
_ARGUMENT_SEPARATOR = re.compile(r"[,\s]+")

_PIP_VALUES = {
    "-r": "--requirement", "--requirements": "--requirement", "-c": "--constraint", "--constraints": "--constraint",
    "-e": "--editable", "-t": "--target", "-i": "--index-url", "-f": "--find-links", "-w": "--wheel-dir",
    "-d": "--dest", "-C": "--config-settings", "-b": "--build-constraint",
    "--build-constraints": "--build-constraint", "-p": "--python", "-P": "--upgrade-package",
    "-o": "--output-file", "--default-index": "--index-url", "--index": "--extra-index-url",
}  # fmt: skip
"""Options with a value -> their long name in pip."""
_PIP_LONG_VALUES = frozenset(
    {
        "--requirement", "--constraint", "--editable", "--target", "--index-url", "--extra-index-url", "--find-links",
        "--wheel-dir", "--dest", "--config-settings", "--config-setting", "--build-constraint",
        "--python", "--upgrade-package", "--output-file", "--prefix", "--root", "--no-binary", "--only-binary",
        "--python-version", "--python-platform", "--platform", "--implementation", "--abi", "--trusted-host",
        "--allow-insecure-host", "--progress-bar", "--cache-dir", "--log", "--proxy", "--retries", "--timeout",
        "--cert", "--client-cert", "--src", "--upgrade-strategy", "--report", "--global-option", "--use-feature",
        "--use-deprecated", "--group", "--exists-action", "--root-user-action", "--keyring-provider",
        "--index-strategy", "--prerelease", "--resolution", "--extra", "--link-mode", "--overrides", "--override",
        "--exclude-newer", "--torch-backend", "--directory", "--project", "--pip-args", "--no-build-package",
        "--no-build-isolation-package", "--default-timeout", "--python-executable", "--excludes", "--exclude",
        "--reinstall-package", "--refresh-package", "--fork-strategy", "--color", "--config-file", "--resume-retries",
    }
)  # fmt: skip
_INDEX_OPTIONS = ("--index-url", "--extra-index-url", "--find-links", "--trusted-host", "--build-constraint")
_KEPT_FLAGS = frozenset(
    {
        "--require-hashes", "--no-deps", "--pre", "--no-index", "--prefer-binary", "--no-build-isolation", "--user",
        "--no-binary", "--only-binary", "--upgrade", "--no-build",
    }
)  # fmt: skip
"""Options that change which distributions are installed."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class InstallCommand:
    """What one command installs, as written. ``tool`` is also ``apt``, ``apk``, ``dnf``, ``yum`` or ``conda``.

    ``project``: it installs the dependencies of the project in the folder. ``default_groups``: also the groups that its
    tool installs by default. ``only``: only these groups. ``generates``: it installs nothing, but writes a requirements
    file (``poetry export``) or a folder of wheels (``pip wheel``) to ``output``.
    """

    tool: str
    files: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    editables: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    without_extras: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    all_extras: bool = False
    all_groups: bool = False
    default_groups: bool = True
    project: bool = False
    installs_project: bool = True
    package: str = ""
    folder: str = ""
    target: str = ""
    prefix: str = ""
    output: str = ""
    generates: bool = False
    indexes: tuple[tuple[str, str], ...] = ()
    system_packages: tuple[str, ...] = ()


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
    command = _pip_arguments(tool, words[1:])
    if words[0] == "install":
        return command
    return replace(command, generates=True, output=command.output or ".")


def _pip_arguments(tool: str, words: Sequence[str]) -> InstallCommand:
    values = _Values()
    for name, value in _options(words, _pip_option):
        if not name:
            values.add("arguments", value)
        elif name == "--target":
            values.target = value
        elif name in ("--prefix", "--root"):
            values.prefix = value
        elif name in ("--wheel-dir", "--dest"):
            values.lists["output"] = [value]
        elif name in _INDEX_OPTIONS:
            values.indexes.append((name, value))
        elif name in _PIP_FIELDS:
            values.add(_PIP_FIELDS[name], value)
        elif name == "--all-extras":
            values.all_extras = True
        elif name in _KEPT_FLAGS or name in ("-U",):
            values.add("flags", " ".join(filter(None, ("--upgrade" if name == "-U" else name, value))))
    return values.command(tool)


_PIP_FIELDS = {
    "--requirement": "files", "--constraint": "constraints", "--editable": "editables", "--group": "groups",
    "--extra": "extras", "--directory": "folder", "--project": "folder", "--output-file": "output",
}  # fmt: skip


def _pip_option(word: str) -> tuple[str, bool]:
    name = _PIP_VALUES.get(word, word)
    return name, name in _PIP_LONG_VALUES


def takes_value(option: str) -> bool:
    """Return whether the word behind an option of pip is its value."""
    return _pip_option(option)[1]


def _options(words: Sequence[str], describe: Callable[[str], tuple[str, bool]]) -> Iterator[tuple[str, str]]:
    """Yield (option, value) pairs; an argument has no option. ``describe`` says which options take a value."""
    remaining = list(words)
    only_arguments = False
    while remaining:
        word = remaining.pop(0)
        if only_arguments or not word.startswith("-") or word == "-":
            yield "", word
            continue
        if word == "--":
            only_arguments = True
            continue
        option, equals, value = word.partition("=")
        if not word.startswith("--") and len(word) > 2 and (describe(word[:2])[1] or word[1:3].isalpha()):
            yield from _short_options(word, remaining, describe)
            continue
        name, takes_value = describe(option)
        if equals:
            yield name, value
        else:
            yield name, remaining.pop(0) if takes_value and remaining else ""


def _short_options(
    word: str, remaining: list[str], describe: Callable[[str], tuple[str, bool]]
) -> Iterator[tuple[str, str]]:
    """Yield the options in ``-qUr``: flags, then perhaps one with a value: ``-rFILE``, or the next of ``remaining``."""
    for number, letter in enumerate(word[1:], 2):
        name, takes_value = describe(f"-{letter}")
        if takes_value:
            rest = word[number:].removeprefix("=")
            yield name, rest or (remaining.pop(0) if remaining else "")
            return
        yield name, ""


@dataclass(slots=True)
class _Values:
    lists: dict[str, list[str]] = field(default_factory=dict)
    indexes: list[tuple[str, str]] = field(default_factory=list)
    target: str = ""
    prefix: str = ""
    all_extras: bool = False

    def add(self, name: str, value: str) -> None:
        if value and name:
            self.lists.setdefault(name, []).append(value)

    def command(self, tool: str) -> InstallCommand:
        def names(field_name: str) -> tuple[str, ...]:
            return tuple(
                name
                for value in self.lists.get(field_name, ())
                for name in _ARGUMENT_SEPARATOR.split(value)
                if name.strip()
            )

        return InstallCommand(
            tool=tool,
            files=tuple(self.lists.get("files", ())),
            constraints=tuple(self.lists.get("constraints", ())),
            arguments=tuple(self.lists.get("arguments", ())),
            editables=tuple(self.lists.get("editables", ())),
            flags=tuple(self.lists.get("flags", ())),
            extras=names("extras"),
            groups=names("groups"),
            without=names("without"),
            without_extras=names("without_extras"),
            only=names("only"),
            folder=next(iter(self.lists.get("folder", ())), ""),
            output=next(iter(self.lists.get("output", ())), ""),
            package=next(iter(self.lists.get("package", ())), ""),
            target=self.target,
            prefix=self.prefix,
            indexes=tuple(self.indexes),
            all_extras=self.all_extras,
        )


def _read_project_options(tool: str, words: Sequence[str]) -> tuple[InstallCommand, list[str]]:
    """Return what the options ask for, and the options without a value."""
    table = _PROJECT_VALUES[tool]

    def describe(word: str) -> tuple[str, bool]:
        return word, word in table and word not in _FLAGS_WITHOUT_VALUE

    values, flags = _Values(), []
    for name, value in _options(words, describe):
        if not name:
            values.add("arguments", value)
        elif table.get(name):
            values.add(table[name], value)
        elif not value:
            flags.append(name)
    return values.command(tool), flags


def _read_pip_sync(words: list[str]) -> InstallCommand:
    command = _pip_arguments("pip-sync", words)
    files = command.arguments or ("requirements.txt",)
    return replace(command, files=files, arguments=(), flags=(*command.flags, "--no-deps"))


def _read_pip_compile(words: list[str]) -> InstallCommand | None:
    command = _pip_arguments("pip-compile", words)
    source = command.arguments or ("requirements.in",)
    output = command.output or f"{source[0].removesuffix('.in')}.txt"
    return replace(command, files=source, arguments=(), output=output, generates=True)


def _subcommand(tool: str, words: list[str]) -> tuple[list[str], list[str]]:
    """Return the options in front of the subcommand, and the subcommand with its arguments."""
    table = _PROJECT_VALUES.get(tool, {})
    front: list[str] = []
    while words and words[0].startswith("-"):
        size = 2 if words[0] in table and "=" not in words[0] else 1
        front += words[:size]
        words = words[size:]
    return front, words


def _read_uv(words: list[str]) -> InstallCommand | None:
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
        return _pip_arguments("uv pip", words[1:])
    if words[:1] == ["sync"]:
        return replace(_read_pip_sync(words[1:]), tool="uv pip")
    if words[:1] == ["compile"]:
        return _read_pip_compile(words[1:])
    return None


def _read_poetry(words: list[str]) -> InstallCommand | None:
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


def _read_pdm(words: list[str]) -> InstallCommand | None:
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


def _read_pipenv(words: list[str]) -> InstallCommand | None:
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


def _read_hatch(words: list[str]) -> InstallCommand | None:
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


def _read_conda(words: list[str]) -> InstallCommand | None:
    words = [word for word in words if word not in ("-y", "--yes", "-q", "--quiet")]
    if words[:1] == ["env"]:
        words = words[1:]
    if words[:1] not in (["create"], ["update"], ["install"]):
        return None
    values = _Values()
    takes_value = ("-f", "--file", "-n", "--name", "-c", "--channel", "-p", "--prefix", "--solver", "--platform")
    for name, value in _options(words[1:], lambda word: (word, word in takes_value)):
        if name in ("-f", "--file"):
            values.add("files", value)
        elif not name:
            values.add("arguments", value)
    command = values.command("conda")
    return replace(command, arguments=(), system_packages=command.arguments)


def _read_system(tool: str, verb: str) -> Callable[[list[str]], InstallCommand | None]:
    takes_value = ("-t", "--target-release", "--virtual", "--repository", "-X", "-o", "--option", "--root", "-c")

    def read(words: list[str]) -> InstallCommand | None:
        pairs = list(_options(words, lambda word: (word, word in takes_value)))
        arguments = [value for name, value in pairs if not name]
        # `apk add -t NAME` and `--virtual NAME` name a group of packages
        if arguments[:1] != [verb] or not arguments[1:]:
            return None
        flags = tuple(name for name, _ in pairs if name == "--no-install-recommends")
        return InstallCommand(tool=tool, system_packages=tuple(arguments[1:]), flags=flags[:1])

    return read


_READERS: Mapping[str, Callable[[list[str]], InstallCommand | None]] = {
    "easy_install": lambda words: _pip_arguments("easy_install", words),
    "pip-sync": _read_pip_sync,
    "pip-compile": _read_pip_compile,
    "uv": _read_uv,
    "poetry": _read_poetry,
    "pdm": _read_pdm,
    "pipenv": _read_pipenv,
    "hatch": _read_hatch,
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
