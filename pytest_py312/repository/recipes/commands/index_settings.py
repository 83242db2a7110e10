"""Where a command takes its files from: indexes and folders, as far as they can be reached from the repository."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.fleet import PLATFORMS, InstallSettings, InstallStep
from pytest_py312.repository.formats.commands.shell import UNKNOWN
from pytest_py312.repository.recipes.commands.file_map import FileMap, resolve_path

_INDEX_OPTIONS = ("--index-url", "--extra-index-url", "--find-links", "--build-constraint")
REMOTE_CONSTRAINTS = "--constraint"
"""The option of a constraints file at an address, which pip and uv fetch."""
_FLAGS = ("--no-index", "--pre", "--require-hashes")
_BINARY_OPTIONS = ("--no-binary", "--only-binary")
_PROJECTS = re.compile(r"[\w.,:\s-]+", re.ASCII)
_TOOLS = ("pip", "uv pip", "pip-sync")


def is_fetched(constraints: str) -> bool:
    """Return whether a constraints file is one that is fetched: its address is complete, and of no file."""
    is_complete = UNKNOWN not in constraints and "${" not in constraints and constraints.isprintable()
    return constraints.startswith(("http://", "https://")) and is_complete


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexSettings:
    """``flags`` are those of the command, without ``--no-index`` where its own files cannot be had here."""

    indexes: tuple[tuple[str, str], ...] = ()
    flags: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def read_index_settings(
    options: Sequence[tuple[str, str]], flags: Sequence[str], files: FileMap, folder: str
) -> IndexSettings:
    """Return the index settings of a command that runs in ``folder`` (an absolute path of ``files``).

    A folder of ``--find-links`` becomes a path of the repository. Wheels that another command has put there are what
    that command takes from its own indexes. An address with an unknown part, mostly a password, cannot be used: then
    the indexes of this machine are.
    """
    indexes: dict[tuple[str, str], None] = {}
    left_out: list[str] = []
    is_reachable = True
    for option, value in options:
        if UNKNOWN in value or not value or not value.isprintable():
            left_out.append(f"{option} {value.replace(UNKNOWN, '')}".rstrip())
            is_reachable = False
        elif option == "--build-constraint":
            source = files.find(resolve_path(value, folder)) if "://" not in value else None
            indexes.update({(option, source): None} if source is not None else {})
            left_out += [f"{option} {value}"] if source is None else []
        elif option != "--find-links" or ("://" in value and not value.startswith("file:")):
            if option != "--index-url" or not any(name == option for name, _ in indexes):
                indexes[(option, value)] = None
        else:
            path = resolve_path(value.removeprefix("file:").removeprefix("//localhost"), folder)
            source, generated = files.find(path), files.find_generated(path)
            if source is not None:
                indexes[("--find-links", source)] = None
                continue
            is_reachable = False
            if generated:
                indexes.update(dict.fromkeys(index for step in generated for index in step.indexes))
            else:
                left_out.append(f"{option} {value}")
    kept = tuple(flag for flag in flags if flag != "--no-index" or is_reachable)
    return IndexSettings(indexes=tuple(indexes), flags=tuple(dict.fromkeys(kept)), left_out=tuple(left_out))


def environment_indexes(variables: Mapping[str, str], tool: str) -> Iterator[tuple[str, str]]:
    """Yield the index options that variables set for pip or uv; most of them may have several values."""
    prefix = "UV" if tool == "uv pip" else "PIP"
    aliases = {"UV_DEFAULT_INDEX": "--index-url", "UV_INDEX": "--extra-index-url"} if prefix == "UV" else {}
    named = {f"{prefix}_{option.strip('-').replace('-', '_').upper()}": option for option in _INDEX_OPTIONS}
    for name, option in {**named, **aliases}.items():
        # `UV_INDEX=name=https://host/` names an index
        for value in variables.get(name, "").split():
            yield option, value if "://" not in value.partition("=")[2] else value.partition("=")[2]


def settings_of(step: InstallStep) -> InstallSettings:
    """Return the settings that hold for all that a step of pip or of its like installs."""
    if step.tool not in _TOOLS:
        return InstallSettings(provided=step.tool in PLATFORMS, no_deps="--no-deps" in step.flags)
    options = [(name, value) for name, value in step.indexes if name in (*_INDEX_OPTIONS, REMOTE_CONSTRAINTS)]
    for flag in step.flags:
        name, _, value = flag.partition(" ")
        if flag in _FLAGS:
            options.append((flag, ""))
        elif name in _BINARY_OPTIONS and _PROJECTS.fullmatch(value):
            options.append((name, value))
        elif flag == "--no-build":
            options.append(("--only-binary", ":all:"))
    return InstallSettings(
        no_deps="--no-deps" in step.flags,
        options=tuple(dict.fromkeys(options)),
        by_uv=step.tool == "uv pip",
        upgrade="--upgrade" in step.flags,
        image_folders=step.image_folders,
    )
