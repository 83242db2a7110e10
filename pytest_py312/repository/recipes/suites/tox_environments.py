"""Follow environments of tox: their requirements, the project itself, and their commands.

https://tox.wiki/en/stable/config.html; what a configuration computes otherwise (plugins, ``toxfile.py``) is not read.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from pytest_py312.core.model.findings import Location
from pytest_py312.core.text import split_words
from pytest_py312.repository.formats.commands.install_commands import read_install_command
from pytest_py312.repository.formats.commands.install_options import InstallCommand
from pytest_py312.repository.formats.setuptools import IniText, read_ini
from pytest_py312.repository.formats.start_commands import without_wrapper
from pytest_py312.repository.formats.toml import read_toml, strings_in
from pytest_py312.repository.recipes.commands.command_walk import CommandWalk
from pytest_py312.repository.recipes.commands.file_map import resolve_path
from pytest_py312.repository.recipes.commands.install_steps import make_step
from pytest_py312.repository.tree import Tree, join_path

ENVIRONMENT_LIMIT = 100
"""Maximum number of environments of one configuration."""

_SUBSTITUTION = re.compile(r"\{(?P<name>[^{}]*)\}")
_FACTORS = re.compile(r"(?P<factors>[\w.!,{}-]+):(?:\s+|$)(?P<value>.*)", re.ASCII)
_BRACES = re.compile(r"\{([^{}]*)\}")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL | re.ASCII)
_TRUE = ("true", "1", "yes", "on")
_REFERENCE = re.compile(r"\{\[(?P<section>[^\]{}]+)\](?P<key>\w+)\}")
_REFERENCE_DEPTH = 5
_TEXT_LIMIT = 50_000
_PYTHON_FACTOR = re.compile(r"(?:py|python|pypy|graalpy)-?3?\.?\d*", re.ASCII)
_OLDEST = re.compile(r"min|old|low|legacy|earliest", re.IGNORECASE)
_UNSTABLE = re.compile(r"main|master|dev|head|pre|nightly|next", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class ToxConfiguration:
    """A configuration of tox; ``folder`` is its folder, relative to the root. ``base`` is the section of ``[tox]``."""

    path: str
    folder: str
    ini: IniText
    base: str
    first_line: int = 0

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments that run by default. Of several versions of a library the newest comes first.

        ``py{310,311}-django{32,42}``: the older ones test what else is supported; the requirements of an old library
        would otherwise be taken for those of the service.
        """
        text = self.with_references(self.ini.get(self.base, "envlist", "env_list") or "")
        entries = re.split(r"[,\s]+(?![^{]*\})", text)
        names = itertools.chain.from_iterable(_expand_braces(_newest_first(entry)) for entry in entries)
        return tuple(dict.fromkeys(filter(None, names)))[:ENVIRONMENT_LIMIT]

    def section_of(self, name: str) -> str:
        """Return the own section of an environment, whose name may be generative; empty if it has none."""
        literal = f"testenv:{name}"
        if literal in self.ini.sections:
            return literal
        for section in list(self.ini.sections)[:ENVIRONMENT_LIMIT]:
            generative = self.with_references(section.removeprefix("testenv:")) if section[:8] == "testenv:" else ""
            if "{" in generative and name in _expand_list(generative):
                return section
        return ""

    def with_references(self, text: str) -> str:
        """Return the text with ``{[section]key}`` replaced by the value there."""
        for _ in range(_REFERENCE_DEPTH):
            text = _REFERENCE.sub(lambda match: self.ini.get(match["section"], match["key"]) or "", text)[:_TEXT_LIMIT]
        return text

    @property
    def factors(self) -> tuple[str, ...]:
        """The Pythons that its settings mention (``py311``), the newest first: each is an environment as well."""
        names = {name for line in self.ini.lines for name in re.findall(r"\bpy3\d{1,2}\b", line, re.ASCII)}
        return tuple(sorted(names, key=lambda name: -int(name.removeprefix("py3"))))[:ENVIRONMENT_LIMIT]


def read_tox_configuration(tree: Tree, folder: str) -> ToxConfiguration | None:
    """Return the configuration of tox in a folder, in the order in which tox looks for it."""
    for name, base in (("tox.ini", "tox"), ("setup.cfg", "tox:tox")):
        path = join_path(folder, name)
        text = tree.read_or_none(path)
        ini = read_ini(text or "")
        # tox runs a tox.ini without [tox] as well; the other files are for several tools
        if base in ini.sections or (name == "tox.ini" and "testenv" in ini.sections):
            return ToxConfiguration(path=path, folder=folder, ini=ini, base=base)
    path = join_path(folder, "pyproject.toml")
    toml = read_toml(tree.read_or_none(path) or "")
    legacy = toml.value("tool", "tox", "legacy_tox_ini")
    if isinstance(legacy, str):
        line = toml.line("tool", "tox", "legacy_tox_ini") - 1
        return ToxConfiguration(path=path, folder=folder, ini=read_ini(legacy), base="tox", first_line=line)
    return None


def walk_tox(configuration: ToxConfiguration, names: Sequence[str], walk: CommandWalk) -> None:
    """Follow the environments ``names``: what they install, and what they run."""
    for name in names[:ENVIRONMENT_LIMIT]:
        _Environment(configuration, name, walk).follow()


def walk_tox_toml(tree: Tree, folder: str, walk: CommandWalk, names: Sequence[str] = ()) -> bool:
    """Follow the environments of ``tox.toml`` or ``[tool.tox]``; ``False`` if there is no such configuration."""
    for name, keys in (("tox.toml", ()), ("pyproject.toml", ("tool", "tox"))):
        path = join_path(folder, name)
        toml = read_toml(tree.read_or_none(path) or "")
        base = toml.table(*keys, "env_run_base")
        environments = toml.table(*keys, "env")
        if not base and not environments:
            continue
        root = resolve_path(folder, "/repository")
        for environment in names or tuple(strings_in(toml.value(*keys, "env_list"))) or tuple(environments) or ("py",):
            own = environments.get(environment)
            values = {**base, **(own if isinstance(own, Mapping) else {})}
            where = (*keys, "env", environment) if environment in environments else (*keys, "env_run_base")
            location = Location(path=path, line=toml.line(*where) or 1)
            install = InstallCommand(
                tool="pip",
                groups=tuple(strings_in(values.get("dependency_groups") or ())),
            )
            words = [text.replace("{tox_root}", root) for text in strings_in(values.get("deps") or ())]
            installer = [text.replace("{tox_root}", root) for text in strings_in(values.get("install_command") or ())]
            first, settings = len(walk.steps), _read_installer(installer)
            _add_install(walk, _with_settings(_requirements_command(words, install), settings), location, root)
            skips = values.get("skip_install") is True or values.get("package") == "skip"
            if not skips and toml.value(*keys, "no_package") is not True:
                _add_project(walk, location, root, tuple(strings_in(values.get("extras") or ())), settings)
            if settings is None:
                _mark_unknown(walk, first, installer, location, root)
            outer = (walk.path, walk.folder, walk.exported)
            set_env = values.get("set_env")
            texts = {
                name: value.replace("{tox_root}", root).replace("{env_name}", environment)
                for name, value in (set_env.items() if isinstance(set_env, Mapping) else ())
                if isinstance(value, str)
            }
            walk.path, walk.folder, walk.exported = path, root, texts
            for key in ("commands_pre", "commands"):
                commands = values.get(key)
                for command in commands if isinstance(commands, list) else ():
                    if isinstance(command, list):
                        walk.run_argv([str(word) for word in command], location.line or 1)
            walk.path, walk.folder, walk.exported = outer
        return True
    return False


class _Environment:
    def __init__(self, configuration: ToxConfiguration, name: str, walk: CommandWalk) -> None:
        self._configuration = configuration
        self._name = name
        self._walk = walk
        self._root = resolve_path(configuration.folder, "/repository")
        self._factors = set(name.split("-"))
        self._own_section = configuration.section_of(name)

    def follow(self) -> None:
        section = self._section_of("deps")
        location = self._location(section, "deps")
        command = _requirements_command(
            self._lines("deps"), InstallCommand(tool="pip", groups=self._names("dependency_groups"))
        )
        outer = (self._walk.path, self._walk.folder, self._walk.variables, self._walk.exported)
        self._walk.variables = {**outer[2], **self._variables()}
        first = len(self._walk.steps)
        words = split_words(" ".join(self._lines("install_command")))
        settings = _read_installer(words)
        _add_install(self._walk, _with_settings(command, settings), location, self._root)
        if self._installs_project():
            extras = self._names("extras")
            place = self._location(self._section_of("extras"), "extras")
            _add_project(self._walk, place, self._root, extras, settings)
        if settings is None:
            place = self._location(self._section_of("install_command"), "install_command")
            _mark_unknown(self._walk, first, words, place, self._root)
        self._walk.path = self._configuration.path
        passed = [name for line in self._lines("passenv", "pass_env") for name in re.split(r"[,\s]+", line)]
        self._walk.exported = {
            name: value for name, value in outer[3].items() if any(fnmatchcase(name, pattern) for pattern in passed)
        } | self._variables()
        folder = (self._lines("changedir", "change_dir") or [self._root])[0]
        for key in ("commands_pre", "commands"):
            line = self._location(self._section_of(key), key).line or 1
            self._walk.folder = resolve_path(folder, self._root)
            for text in self._lines(key):
                self._walk.run(text.lstrip("-! "), line)
        self._walk.path, self._walk.folder, self._walk.variables, self._walk.exported = outer

    def _installs_project(self) -> bool:
        tox_values = self._configuration.ini
        skips_all = (tox_values.get(self._configuration.base, "skipsdist", "no_package") or "").lower() in _TRUE
        develops = self._flag("usedevelop", "use_develop")
        is_skipped = self._flag("skip_install") or (self._lines("package") or [""])[0] == "skip"
        return not is_skipped and (develops or not skips_all)

    def _flag(self, *keys: str) -> bool:
        return (self._lines(*keys) or [""])[0].lower() in _TRUE

    def _names(self, key: str) -> tuple[str, ...]:
        return tuple(name for line in self._lines(key) for name in re.split(r"[,\s]+", line) if name)

    def _variables(self) -> dict[str, str]:
        pairs = (line.partition("=") for line in self._lines("setenv", "set_env"))
        return {name.strip(): value.strip() for name, equals, value in pairs if equals}

    def _section_of(self, *keys: str) -> str:
        own = self._own_section
        return own if own and self._configuration.ini.get(own, *keys) is not None else "testenv"

    def _location(self, section: str, key: str) -> Location:
        line = self._configuration.ini.line(section, key) or 1
        return Location(path=self._configuration.path, line=line + self._configuration.first_line)

    def _lines(self, *keys: str) -> list[str]:
        """Return the lines of a setting that apply to this environment, with substitutions."""
        value = self._configuration.ini.get(self._section_of(*keys), *keys) or ""
        lines: list[str] = []
        for line in re.sub(r"\\\n\s*", " ", self._substituted(value)).splitlines():
            match = _FACTORS.match(line.strip())
            if match and self._is_condition(match["factors"]):
                if not self._applies(match["factors"]):
                    continue
                line = match["value"]
            if line.strip() and not line.strip().startswith("#"):
                lines.append(line.strip())
        return lines

    def _is_condition(self, text: str) -> bool:
        return "://" not in text and not text.startswith(("-", "{tox"))

    def _applies(self, text: str) -> bool:
        """Whether one of the conditions ``a-b,!c`` holds for the factors of the environment."""
        return any(
            all((factor.lstrip("!") in self._factors) is not factor.startswith("!") for factor in name.split("-"))
            for name in _expand_list(text)
        )

    def _substituted(self, text: str, depth: int = 5) -> str:
        replacements = {
            **dict.fromkeys(("toxinidir", "tox_root"), self._root),
            **dict.fromkeys(("envname", "env_name"), self._name),
            **dict.fromkeys(("envbindir", "env_bin_dir"), "/bin"),
            "envpython": "python",
        }

        def value(match: re.Match[str]) -> str:
            name = str(match["name"])
            reference = re.fullmatch(r"\[(?P<section>[^\]]+)\](?P<key>\w+)", name)
            if name in replacements:
                return replacements[name]
            if name == "posargs" or name.startswith("posargs:"):
                return str(name.partition(":")[2])
            if name.startswith("env:"):
                _, variable, default = [*name.split(":", 2), ""][:3]
                if variable == "TOX_ENV_NAME":  # https://tox.wiki/en/stable/config.html#tox-environment
                    return self._name
                return self._walk.variables.get(variable, default)
            if reference and depth:
                found_value = self._configuration.ini.get(reference["section"], reference["key"]) or ""
                return self._substituted(found_value, depth - 1)
            return str(match[0])

        for _ in range(2):
            text = _SUBSTITUTION.sub(value, text)[:_TEXT_LIMIT]
        return text


def _requirements_command(lines: Sequence[str], base: InstallCommand) -> InstallCommand:
    """Return the lines of ``deps`` as one command of pip: each is a requirement, or options."""
    words: list[str] = []
    for line in lines:
        text = line.partition(" #")[0].strip()
        words += split_words(text) if text.startswith("-") else [text]
    command = read_install_command(["pip", "install", *words])
    return replace(command, groups=(*command.groups, *base.groups)) if command is not None else base


def _read_installer(words: Sequence[str]) -> InstallCommand | None:
    """Return what the command with which tox installs says for all; ``None`` if nothing is known of its program.

    https://tox.wiki/en/stable/config.html#install_command
    """
    own = [word for word in words if word not in ("{opts}", "{packages}")]
    while own and (_ASSIGNMENT.fullmatch(own[0]) or without_wrapper(own)):
        own = own[1:] if _ASSIGNMENT.fullmatch(own[0]) else without_wrapper(own) or []
    return read_install_command(own) if own else InstallCommand(tool="pip")


def _mark_unknown(walk: CommandWalk, first: int, words: Sequence[str], place: Location, root: str) -> None:
    """Mark the steps from ``first`` on as those of a program of which nothing is known."""
    program = " ".join(word for word in words if word not in ("{opts}", "{packages}")).replace(f"{root}/", "")
    walk.steps[first:] = [replace(step, unknown_program=program, location=place) for step in walk.steps[first:]]


def _with_settings(command: InstallCommand, settings: InstallCommand | None) -> InstallCommand:
    """Return a command with the constraints, indexes and flags of the one that tox installs with."""
    if settings is None:
        return command
    return replace(
        command,
        files=(*settings.files, *command.files),
        arguments=(*settings.arguments, *command.arguments),
        constraints=(*settings.constraints, *command.constraints),
        indexes=(*settings.indexes, *command.indexes),
        flags=(*settings.flags, *command.flags),
    )


def _add_install(walk: CommandWalk, command: InstallCommand, location: Location, root: str) -> None:
    made = make_step(command, location, walk.files, root, walk.variables, conditional=walk.conditional)
    walk.steps += made.generated
    if made.step.is_for_python:
        walk.steps.append(made.step)


def _add_project(
    walk: CommandWalk, location: Location, root: str, extras: Sequence[str], settings: InstallCommand | None
) -> None:
    names = ("pyproject.toml", "setup.py", "setup.cfg")
    if any(walk.files.find(resolve_path(name, root)) is not None for name in names):
        argument = f".[{','.join(extras)}]" if extras else "."
        _add_install(walk, _with_settings(InstallCommand(tool="pip", arguments=(argument,)), settings), location, root)


def _newest_first(entry: str) -> str:
    """Return an entry of an envlist with the alternatives of each factor in the order in which they are preferred.

    Pythons stay in their order, and so does what has different names, apart from old and unstable alternatives. Of
    several versions of one project the last is the newest.
    """

    def ordered(match: re.Match[str]) -> str:
        alternatives = [part.strip() for part in match[1].split(",")]
        names = {re.sub(r"[\d.]+$", "", part) for part in alternatives if not _UNSTABLE.search(part)}
        if all(_PYTHON_FACTOR.fullmatch(part) for part in alternatives):
            return match[0]
        if len(names) == 1:  # versions of one project
            alternatives.reverse()
        alternatives.sort(key=lambda part: (bool(_OLDEST.search(part)), bool(_UNSTABLE.search(part))))
        return "{" + ",".join(alternatives) + "}"

    # django{32,42} has no Pythons, py{39,310} has
    parts = re.split(r"(?<![\w.])((?:py|python|pypy)(?:-?3?\.?)\{[^{}]*\})", entry)
    return "".join(part if number % 2 else _BRACES.sub(ordered, part) for number, part in enumerate(parts))


def _expand_list(text: str) -> list[str]:
    """Return the environments of a section's name: commas outside of braces separate several."""
    return list(itertools.chain.from_iterable(map(_expand_braces, re.split(r",(?![^{]*\})", text))))


def _expand_braces(text: str) -> list[str]:
    """Return ``py{39,310}-x`` as ``py39-x`` and ``py310-x``."""
    texts = [text.strip()]
    for _ in range(5):
        expanded: list[str] = []
        for item in texts:
            match = _BRACES.search(item)
            if match is None:
                expanded.append(item)
                continue
            alternatives = match[1].split(",")
            expanded += [f"{item[: match.start()]}{part.strip()}{item[match.end() :]}" for part in alternatives]
        texts = expanded[:ENVIRONMENT_LIMIT]
    return texts
