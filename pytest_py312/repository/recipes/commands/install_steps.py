"""Turn a command that installs into a step of a recipe: its paths become paths of the repository."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from packaging.utils import canonicalize_name

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import InstallStep, LocalProject
from pytest_py312.repository.formats.commands.install_options import InstallCommand
from pytest_py312.repository.formats.commands.shell import UNKNOWN, unknown_parts
from pytest_py312.repository.formats.toml import read_toml, strings_in
from pytest_py312.repository.recipes.commands.file_map import FileMap, resolve_path
from pytest_py312.repository.recipes.commands.index_settings import (
    REMOTE_CONSTRAINTS,
    IndexSettings,
    environment_indexes,
    is_fetched,
    read_index_settings,
)
from pytest_py312.repository.tree import Tree, join_path, lies_in, matching_folders, with_outer_folders

INSTALLERS = frozenset(
    {
        "pip", "pip-tools", "pipenv", "poetry", "poetry-core", "poetry-plugin-export", "uv", "pdm", "hatch", "tox",
        "nox", "virtualenv", "pipx", "conda", "tox-uv", "tox-gh-actions", "tox-gh", "nox-uv", "awscli", "codecov",
        "build", "twine", "pre-commit",
    }
)  # fmt: skip
"""Distributions that only install, build or publish others. They are no requirements of a service."""

BRING_SETUPTOOLS = frozenset({"pip-tools", "pipenv"})
"""Installers that require setuptools."""
_ARCHIVE = re.compile(r"\.(?:whl|zip|tar\.gz|tgz|tar\.bz2|tar\.xz)(?:\[[^\[\]]*\])?$", re.IGNORECASE)
_LOCAL = re.compile(r"(?P<path>[^\[\]]+?)\s*(?:\[(?P<extras>[\w\s.,-]*)\])?", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
_PIP_TOOLS = ("pip", "uv pip", "pip-sync", "pip-compile", "setup.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeStep:
    """A step, and the steps that describe the files which it installs and other commands have generated."""

    step: InstallStep
    generated: tuple[InstallStep, ...] = ()


@dataclass(slots=True)
class _Paths:
    files: FileMap
    folder: str
    isolated: bool = True
    unresolved: list[str] = field(default_factory=list)
    generated: list[InstallStep] = field(default_factory=list)

    def all_of(self, names: Sequence[str]) -> tuple[str, ...]:
        sources: list[str] = []
        for name in names:
            for path in self.files.expand(resolve_path(name, self.folder)):
                source = self.files.find(path)
                generated = self.files.find_generated(path) if source is None else ()
                if source is not None and self.files.tree.is_file(source):
                    sources.append(source)
                elif generated:
                    self.generated += generated
                else:
                    self.unresolved.append(name)
        return tuple(dict.fromkeys(sources))

    def projects(self, texts: Sequence[str], *, editable: bool) -> tuple[LocalProject, ...]:
        projects: list[LocalProject] = []
        for text in texts:
            match = _LOCAL.fullmatch(re.sub(r"^file:(?://(?:localhost)?)?", "", text.partition("#")[0]))
            path = match["path"] if match else text
            names = (match["extras"] or "").split(",") if match else []
            extras = tuple(sorted(name.strip() for name in names if name.strip()))
            for absolute in self.files.expand(resolve_path(path, self.folder)):
                source = _project_folder(self.files, absolute)
                generated = self.files.find_generated(absolute) if source is None else ()
                if source is not None:
                    by_own = not self.isolated and _is_built_by_setuptools(self.files.tree, source)
                    projects.append(
                        LocalProject(path=source, extras=extras, editable=editable, by_own_setuptools=by_own)
                    )
                elif generated:
                    self.generated += generated
                else:
                    self.unresolved.append(text)
        return tuple(dict.fromkeys(projects))


def make_step(
    command: InstallCommand,
    location: Location,
    files: FileMap,
    folder: str,
    variables: Mapping[str, str],
    *,
    program: str = "",
    conditional: bool = False,
) -> MadeStep:
    """Make the step of ``command``, which runs in ``folder`` (an absolute path of ``files``).

    :param variables: the environment: pip and uv read options from it.
    :param program: the first word of the command, whose path may name a virtual environment.
    """
    folder = resolve_path(command.folder, folder) if command.folder else folder
    is_pip = command.tool in _PIP_TOOLS
    flags = (*command.flags, *_environment_flags(variables, is_pip=is_pip))
    paths = _Paths(files, folder, isolated="--no-build-isolation" not in flags)
    set_constraints = variables.get(_constraint_variable(command), "").split() if is_pip else []
    constraints = [*command.constraints, *set_constraints]
    settings = read_index_settings(_options(command, variables, set_constraints), flags, files, folder)
    fetched = [(REMOTE_CONSTRAINTS, name) for name in constraints if is_fetched(name)]
    unknown = [f"{REMOTE_CONSTRAINTS} {_shown(name)}" for name in constraints if "://" in name and not is_fetched(name)]
    project = _project_of(command, paths)
    arguments, local_texts, local_editables = _split_arguments(command, paths)
    step = replace(
        _step_as_written(command, location),
        folder=files.find(folder),
        files=paths.all_of(command.files),
        constraints=paths.all_of([name for name in constraints if "://" not in name]),
        arguments=arguments,
        projects=(
            *paths.projects(local_texts, editable=False),
            *paths.projects(local_editables, editable=True),
        ),
        project=project,
        without_project=project is not None and not command.installs_project,
        unlocked=project is not None and _lacks_lock(command.tool, project, files, folder),
        flags=settings.flags,
        indexes=(*settings.indexes, *fetched),
        environment=_environment_of(program, folder),
        conditional=conditional,
        image_folders=files.folders() if command.files else (),
        unresolved=tuple(dict.fromkeys((*map(_shown, paths.unresolved), *_unknown_values(command)))),
        left_out=(*settings.left_out, *unknown),
    )
    generated = (_as_installed(item, step, settings) for item in paths.generated)
    return MadeStep(step=step, generated=tuple(dict.fromkeys(generated)))


def _step_as_written(command: InstallCommand, location: Location) -> InstallStep:
    """Return the step with what the words of a command say, wherever it runs."""
    return InstallStep(
        tool=command.tool,
        location=location,
        extras=command.extras,
        groups=command.groups,
        without=command.without,
        only=command.only,
        all_extras=command.all_extras,
        all_groups=command.all_groups,
        default_groups=command.default_groups,
        target=_shown(command.target),
        prefix=_shown(command.prefix),
        system_packages=tuple(name for name in command.system_packages if UNKNOWN not in name),
        installers=tuple(text for text in command.arguments if is_judged_installer(text)),
    )


def _split_arguments(command: InstallCommand, paths: _Paths) -> tuple[tuple[str, ...], list[str], list[str]]:
    """Return the requirements among the arguments, the paths among them, and those that are installed editable."""
    local_texts = [text for text in command.arguments if _is_local(text, paths)]
    others = (text for text in command.arguments if text not in local_texts)
    named = [text for text in others if _name_of(text) not in INSTALLERS and UNKNOWN not in text]
    remote = [text for text in command.editables if "://" in text and not text.startswith("file:")]
    return (*named, *remote), local_texts, [text for text in command.editables if text not in remote]


def _options(
    command: InstallCommand, variables: Mapping[str, str], set_constraints: Sequence[str]
) -> list[tuple[str, str]]:
    """Return the options that say what is taken: those of the command, and those that variables set."""
    options = list(command.indexes)
    if command.tool in _PIP_TOOLS:
        options += environment_indexes(variables, command.tool)
    if command.tool != "uv pip":
        # pip hands its variables on to the environments of builds, unlike its arguments
        options += [("--build-constraint", name) for name in set_constraints if "://" not in name]
    return options


def _project_of(command: InstallCommand, paths: _Paths) -> str | None:
    """Return the folder of the project whose dependencies a command installs; ``None`` if it names none."""
    is_named = command.project or bool(command.tool in _PIP_TOOLS and command.groups)
    project = _project_folder(paths.files, paths.folder) if is_named else None
    if is_named and project is None:
        paths.unresolved.append(f"the project in {paths.folder}")
    if not command.package:
        return project
    member = workspace_member(paths.files.tree, project, command.package) if project is not None else None
    paths.unresolved += [] if member is not None else [f"--package {command.package}"]
    return member if member is not None else project


def _is_built_by_setuptools(tree: Tree, folder: str) -> bool:
    """Return whether the backend of a project is setuptools, which is what pip uses where none is named."""
    backend = read_toml(tree.read_or_none(join_path(folder, "pyproject.toml")) or "").value(
        "build-system", "build-backend"
    )
    return tree.is_folder(folder) and (backend is None or str(backend).startswith("setuptools."))


def _as_installed(generated: InstallStep, step: InstallStep, settings: IndexSettings) -> InstallStep:
    """Return the step that describes wheels or a file which ``step`` installs.

    Whether their dependencies are installed as well, and into which folder, is decided when they are installed.
    """
    flags = [flag for flag in generated.flags if flag != "--no-deps"]
    flags += [flag for flag in settings.flags if flag == "--no-deps"]
    return replace(
        generated,
        flags=tuple(flags),
        conditional=generated.conditional or step.conditional,
        exported=True,
        target=step.target,
        prefix=step.prefix,
    )


def _project_folder(files: FileMap, folder: str) -> str | None:
    """Return the folder of the project in ``folder``, into which perhaps only its metadata was copied."""
    for name in ("pyproject.toml", "setup.py", "setup.cfg", "Pipfile"):
        found = files.find(resolve_path(name, folder))
        if found is not None:
            return found.rpartition("/")[0] or "."
    return files.find(folder)


_LOCK_FILES = {"poetry": "poetry.lock", "pipenv": "Pipfile.lock"}


def _lacks_lock(tool: str, project: str, files: FileMap, folder: str) -> bool:
    """Whether the repository has a lock file of the project, and the folder in which its tool runs has none."""
    name = _LOCK_FILES.get(tool, "")
    is_there = not name or files.find(resolve_path(name, folder)) is not None
    return not is_there and files.tree.is_file(join_path(project, name))


def _unknown_values(command: InstallCommand) -> Iterator[str]:
    """Yield the variables without a value that decide what is installed."""
    if command.system_packages:
        return
    lists = (command.arguments, command.editables, command.extras, command.groups, command.without, command.only)
    for text in (text for values in lists for text in values):
        yield from unknown_parts(text)


def _environment_of(program: str, folder: str) -> str:
    """Return the virtual environment of a program such as ``/venv/bin/pip``; those of the system have none."""
    path, slash, _ = program.rpartition("/bin/")
    environment = resolve_path(path, folder) if slash and UNKNOWN not in path else ""
    return "" if environment in ("/", "/usr", "/usr/local") else environment


def _shown(text: str) -> str:
    return text.replace(UNKNOWN, "")


def _is_local(text: str, paths: _Paths) -> bool:
    """Whether pip takes an argument for a path."""
    if ("://" in text and not text.startswith("file:")) or re.search(r"\s@\s|^[\w.-]+(\[[^\]]*\])?@", text):
        return False
    if text.startswith((".", "/", "~", "file:")) or _ARCHIVE.search(text):
        return True
    path = text.partition("[")[0]
    place = resolve_path(path, paths.folder)
    return "/" in path and bool(paths.files.find(place) is not None or paths.files.find_generated(place))


def _name_of(text: str) -> str:
    match = _NAME.match(text)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""


def installs_from(step: InstallStep, folder: str) -> bool:
    """Whether a step installs a file or project in ``folder``."""
    places = [*step.files, *(project.path for project in step.projects), *filter(None, [step.project])]
    return any(lies_in(place, folder) for place in places)


def is_judged_installer(text: str) -> bool:
    """Return whether it limits the version of an installer, or names one that brings setuptools along."""
    name = _name_of(text)
    return name in INSTALLERS and (name in BRING_SETUPTOOLS or any(operator in text for operator in ("=", "<")))


def _constraint_variable(command: InstallCommand) -> str:
    return "UV_CONSTRAINT" if command.tool == "uv pip" else "PIP_CONSTRAINT"


def _environment_flags(variables: Mapping[str, str], *, is_pip: bool) -> tuple[str, ...]:
    """Return the flags that variables set for pip; https://pip.pypa.io/en/stable/topics/configuration/"""
    flags = {
        "PIP_NO_DEPS": "--no-deps", "PIP_REQUIRE_HASHES": "--require-hashes", "PIP_PRE": "--pre",
        "PIP_NO_INDEX": "--no-index",
    }  # fmt: skip
    values = {"PIP_NO_BINARY": "--no-binary", "PIP_ONLY_BINARY": "--only-binary"}
    if not is_pip:
        return ()
    # this variable is the value of the setting build-isolation: https://github.com/pypa/pip/issues/5735
    is_isolated = variables.get("PIP_NO_BUILD_ISOLATION", "1").lower() not in ("0", "false", "no", "off")
    return (
        *(() if is_isolated else ("--no-build-isolation",)),
        *(flag for name, flag in flags.items() if variables.get(name, "0").lower() in ("1", "true", "yes", "on")),
        *(f"{flag} {variables[name]}" for name, flag in values.items() if variables.get(name)),
    )


MEMBER_LIMIT = 200
"""Maximum number of members of a workspace that are read."""
_PATTERN_LIMIT = 50


def workspace_member(tree: Tree, folder: str, name: str) -> str | None:
    """Return the folder of the project ``name`` in the workspace of ``folder``; ``None`` if there is none.

    ``folder`` may be the root of the workspace, or one of its members.
    """
    wanted = canonicalize_name(name)
    for root in with_outer_folders(folder):
        toml = read_toml(tree.read_or_none(join_path(root, "pyproject.toml")) or "")
        if root != folder and not toml.table("tool", "uv", "workspace"):
            continue
        patterns = strings_in(toml.value("tool", "uv", "workspace", "members"))[:_PATTERN_LIMIT]
        members = (member for pattern in patterns for member in matching_folders(tree, root, pattern, MEMBER_LIMIT))
        for member in (root, *islice(members, MEMBER_LIMIT)):
            project = read_toml(tree.read_or_none(join_path(member, "pyproject.toml")) or "").table("project")
            if canonicalize_name(str(project.get("name", ""))) == wanted:
                return member
    return None
