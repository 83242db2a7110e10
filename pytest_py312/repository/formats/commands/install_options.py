"""Read the options of commands that install: what each asks for, by the option and its value. Never raises.

The options are those of pip 25 and uv 0.9, which takes those of pip as well.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

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


def read_pip_arguments(tool: str, words: Sequence[str]) -> InstallCommand:
    """Read the arguments of ``pip install``, which other tools take as well."""
    values = OptionValues()
    for name, value in read_options(words, _pip_option):
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


def read_options(words: Sequence[str], describe: Callable[[str], tuple[str, bool]]) -> Iterator[tuple[str, str]]:
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
class OptionValues:
    """The values of options by the field of :class:`InstallCommand` that takes them."""

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
