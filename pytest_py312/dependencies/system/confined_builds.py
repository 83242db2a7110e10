"""Run uv for a source that has to be built, without ever running foreign code with the network or a shared folder.

Two runs of the same command alternate, both with a cache of their own in the folder of the build. The first one has
the network, and fetches the source and what its build requires; no Python starts in it (:data:`NO_BUILDS`), so it ends
where the build would begin. The second one is confined and offline, and builds. What a build asks for while it runs
(``setup_requires``) is fetched by another first run, and everything starts from an empty folder, so that what foreign
code has touched is never read by a run with rights.
"""

import re
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandResult
from pytest_py312.dependencies.system.build_tools import find_missing_tool
from pytest_py312.runners.confinement import without_passwords
from pytest_py312.runners.runner import ConfinedCommand, Runner, SupportsConfinement

NO_BUILDS = "/py312-runs-no-builds"
"""A folder that does not exist. As ``PYTHONHOME`` it keeps any Python that uv starts for a build from starting: it has
no standard library. uv itself asks its interpreter with ``-I``, which ignores the variable."""
_FAIL_AT_ONCE = ("npm_config_fetch_retries=0",)
"""Variables with which other tools that a build runs do not wait for a network that is not there: npm and pnpm
(https://docs.npmjs.com/cli/using-npm/config#fetch-retries) try again for minutes."""
MAX_FETCHES = 5
"""How often what a build asks for is fetched, and the build begun again."""
MAX_REQUIREMENTS = 200

_FAILED_SOURCE = re.compile(r"Failed to (?:download and )?build `([^`]+)`")
_ASKED_FOR = re.compile(r"No solution found when resolving: ((?:`[^`]+`(?:, )?)+)")
_LOCAL_FOLDER = re.compile(r"--find-links (/[^\s#]+)")
_NO_NETWORK = re.compile(r"(?:was|were) not found in the cache|network was disabled|connectivity is disabled", re.I)

_MASK = "****"
"""What uv shows instead of a password, or of a user without one."""


def without_builds(argv: Sequence[str]) -> list[str]:
    """Return a command of uv that fails where it would run a build."""
    return ["env", f"PYTHONHOME={NO_BUILDS}", *argv]


def needs_build(result: CommandResult) -> bool:
    """Return whether a command of :func:`without_builds` failed because a source has to be built."""
    return not result.ok and NO_BUILDS in result.stderr


def source_to_build(result: CommandResult) -> str:
    """Return the source that uv could not build, as ``name==version`` or ``name @ url``; empty if it names none."""
    found = _FAILED_SOURCE.search(result.stderr)
    return found[1] if found else ""


def as_written(source: str, requirements: str) -> str:
    """Return a source with the user and the password that its URL has in ``requirements``: uv does not show them."""
    name, mark, url = source.partition(" @ ")
    pattern = r"[^\s/@:]+".join(map(re.escape, url.split(_MASK)))
    found = re.search(rf"(?:(?<=@)|(?<=\s)){pattern}(?=\s|$)", requirements) if _MASK in url else None
    return f"{name}{mark}{found[0]}" if found else source


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceBuild:
    """A command of uv that builds a source. ``folder`` has its settings and requirements, and is in the cache.

    ``argv`` gets its cache appended. ``options`` are lines of a requirements file that name the index. It also reads
    ``readable`` elsewhere in the cache. ``copied`` is a folder of which each build gets a copy in its scratch folder,
    that it may change.
    """

    folder: Path
    argv: tuple[str, ...]
    time_limit: float
    options: Sequence[str] = ()
    readable: tuple[Path, ...] = ()
    copied: Path | None = None

    @property
    def scratch(self) -> Path:
        """The only folder that the build can write to."""
        return self.folder / "scratch"


def run_source_build(
    source: SourceBuild, build: InterpreterBuild, runner: Runner, confinement: SupportsConfinement
) -> CommandResult:
    """Return the result of the command of ``source``. What is in its scratch folder then is not trustworthy."""
    asked_for: tuple[str, ...] = ()
    cache = ["--cache-dir", runner.path_inside(source.scratch / "cache")]
    argv = [*source.argv, *cache]
    for _ in range(MAX_FETCHES):
        shutil.rmtree(source.scratch, ignore_errors=True)
        source.scratch.mkdir(parents=True)
        if source.copied is not None:
            shutil.copytree(source.copied, source.scratch / source.copied.name, symlinks=True)
        refused = _fetch(asked_for, source, build, runner, cache) if asked_for else None
        fetched = runner.run_tool(build, without_builds(argv), time_limit=source.time_limit)
        if not needs_build(fetched):
            return fetched
        command = ConfinedCommand(
            argv=("env", *_FAIL_AT_ONCE, *with_offline_option(argv)),
            folder=source.scratch,
            readable=(source.folder, *source.readable, *_local_folders(source.options, runner)),
            time_limit=source.time_limit,
        )
        inputs = {file: file.read_text(encoding="utf-8") for file in source.folder.iterdir() if file.is_file()}
        _write({file: without_passwords(text) for file, text in inputs.items()})
        result = _without_copy_path(confinement.run_confined(build, command), source, runner)
        _write(inputs)
        if refused is not None:
            return result if result.ok else replace(result, stderr=f"{_first_line(result.stderr)}\n{refused.stderr}")
        more = tuple(line for line in requirements_asked_for(result) if line not in asked_for)
        if result.ok or not more:
            return result
        asked_for = (*asked_for, *more)[:MAX_REQUIREMENTS]
    return result


def _without_copy_path(result: CommandResult, source: SourceBuild, runner: Runner) -> CommandResult:
    """Return ``result`` with paths as they are in the repository, instead of those in the copy that was built."""
    if source.copied is None:
        return result
    copy = runner.path_inside(source.scratch / source.copied.name)
    return replace(result, stderr=result.stderr.replace(f"{copy}/", "").replace(copy, "."))


def _local_folders(options: Sequence[str], runner: Runner) -> list[Path]:
    """Return the folders of files that ``options`` name, if the build sees them at the same path as this process."""
    folders = [Path(found[1]) for line in options if (found := _LOCAL_FOLDER.match(line))]
    with suppress(ValueError):  # not in the cache, which is all that containers see
        return [folder for folder in folders if folder.is_dir() and runner.path_inside(folder) == str(folder)]
    return []


def requirements_asked_for(result: CommandResult) -> tuple[str, ...]:
    """Return what a build asked for while it ran, and could not get without the network. No URLs and no paths."""
    text = " ".join(result.stderr.split())
    if result.ok or not _NO_NETWORK.search(text):
        return ()
    lines = [line for found in _ASKED_FOR.findall(text) for line in re.findall(r"`([^`]+)`", found)]
    return tuple(dict.fromkeys(line for line in lines if _is_plain_requirement(line)))


def _is_plain_requirement(line: str) -> bool:
    try:
        return Requirement(line).url is None and line.isprintable()
    except InvalidRequirement:
        return False


def _fetch(
    lines: Sequence[str], source: SourceBuild, build: InterpreterBuild, runner: Runner, cache: Sequence[str]
) -> CommandResult | None:
    """Fetch requirements of a build, as its constraints allow. Return the result if the index has none that fit."""
    requirements, constraints = source.folder / "asked-for.txt", source.folder / "asked-for-constraints.txt"
    requirements.write_text("\n".join((*source.options, *lines)) + "\n", encoding="utf-8")
    settings = tomllib.loads((source.folder / "uv.toml").read_text(encoding="utf-8"))
    constraints.write_text("\n".join(settings.get("build-constraint-dependencies", ())) + "\n", encoding="utf-8")
    inside = runner.path_inside
    argv = ["{uv}", "pip", "install", "--quiet", "--color", "never", "--directory", inside(source.folder)]
    argv += ["--python", "{python}", "--target", inside(source.scratch / "asked-for"), *cache]
    argv += ["--constraint", inside(constraints), "--requirements", inside(requirements)]
    result = runner.run_tool(build, without_builds(argv), time_limit=source.time_limit)
    refused = not result.ok and not needs_build(result) and find_missing_tool(result.stderr) is None
    return result if refused and "No solution found" in result.stderr else None


def _write(files: Mapping[Path, str]) -> None:
    for file, text in files.items():
        file.write_text(text, encoding="utf-8")


def with_offline_option(argv: Sequence[str]) -> list[str]:
    """Return a command of uv with ``--offline``; one of another tool as it is."""
    words = list(argv)
    if "{uv}" not in words or "--offline" in words:
        return words
    position = words.index("{uv}") + 1  # after variables that the command sets
    return [*words[:position], "--offline", *words[position:]]


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
