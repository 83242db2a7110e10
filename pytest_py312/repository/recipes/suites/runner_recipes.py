"""Read what environments of tox and sessions of nox install for the tests of a service, and run."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from pytest_py312.core.model.fleet import InstallRecipe, InstallStep
from pytest_py312.repository.recipes.commands.command_walk import CommandRun, CommandWalk
from pytest_py312.repository.recipes.suites.matrix_values import chosen_value
from pytest_py312.repository.recipes.suites.nox_sessions import walk_nox
from pytest_py312.repository.recipes.suites.suite_commands import (
    is_further_test,
    is_test_of,
    is_test_run,
    option_of,
    values_of,
    without_python,
)
from pytest_py312.repository.recipes.suites.suite_recipe import make_suite_recipe, new_walk
from pytest_py312.repository.recipes.suites.tox_environments import (
    ToxConfiguration,
    read_tox_configuration,
    walk_tox,
    walk_tox_toml,
)
from pytest_py312.repository.tree import Tree, join_path, lies_in

RUN_LIMIT = 50
"""Maximum number of runs of tox and nox that are followed from one job."""
SESSION_LIMIT = 100
"""Maximum number of sessions of nox, and of targets of a Makefile, that are tried."""
_PYTHON_FACTOR = re.compile(r"(?:^|-)py(?:thon)?3\.?(\d{1,2})(?:-|$)", re.ASCII)
_UNUSUAL_ENVIRONMENT = re.compile(
    r"old|low|min|dev|nightly|upstream|cov|lint|doc|bench|perf|e2e|integration|acceptance"
    r"|(?:^|-)(?:win|windows|mac|macos|osx|darwin)(?:-|$)"
)
"""Environments of tox that are for other versions, other systems, or not for the tests of each change."""
_SHARING_OPTIONS = frozenset({"--current-env", "--no-venv", "--sitepackages"})
_SHARING_SETTING = re.compile(r"(?im)^[ \t]*(?:sitepackages|system_site_packages)[ \t]*=[ \t]*(?:true|1|yes)\b")


@dataclass(kw_only=True, slots=True)
class _Installed:
    """What environments of one kind install, and what of it could not be followed."""

    steps: list[InstallStep] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    is_followed: bool = False


def read_runner_recipe(tree: Tree, service_path: str) -> InstallRecipe | None:
    """Return what the service's own tox or nox installs for its tests; ``None`` if neither is configured."""
    configuration = read_tox_configuration(tree, service_path)
    if configuration is not None:
        for name in _environments_newest_first(configuration):
            walk = new_walk(tree, configuration.path, service_path)
            walk_tox(configuration, (name,), walk)
            if any(is_test_run(run) for run in walk.runs):
                return make_suite_recipe(tree, configuration.path, walk, _first_test_run(walk), service_path)
    walk = new_walk(tree, join_path(service_path, "pyproject.toml"), service_path)
    if walk_tox_toml(tree, service_path, walk) and any(is_test_run(run) for run in walk.runs):
        source = walk.steps[0].location.path if walk.steps else walk.path
        return make_suite_recipe(tree, source, walk, _first_test_run(walk), service_path)
    path = join_path(service_path, "noxfile.py")
    if tree.is_file(path):
        text = tree.read_or_none(path) or ""
        for name in islice(_session_names(text), SESSION_LIMIT):
            walk = new_walk(tree, path, service_path)
            _walk_nox(text, path, (name,), walk, service_path)
            if any(is_test_run(run) for run in walk.runs):
                return make_suite_recipe(tree, path, walk, _first_test_run(walk), service_path)
    return None


def read_outer_tox_recipe(tree: Tree, service_path: str) -> InstallRecipe | None:
    """Return what tox at the root installs for a run of tests that names the service; ``None`` if there is none."""
    configuration = read_tox_configuration(tree, ".") if service_path != "." else None
    if configuration is None:
        return None
    names = _environments_newest_first(configuration)
    for name in sorted(names, key=lambda name: _UNUSUAL_ENVIRONMENT.search(name) is not None):
        walk = new_walk(tree, configuration.path, ".")
        walk_tox(configuration, (name,), walk)
        tests = [run for run in walk.runs if is_test_of(run, service_path)]
        if tests:
            return make_suite_recipe(tree, configuration.path, walk, tests[0], service_path)
    return None


def _environments_newest_first(configuration: ToxConfiguration) -> list[str]:
    """Return each environment that may run tests: those of the list, those of settings, and the default one."""
    return _newest_first(dict.fromkeys((*configuration.environments, *configuration.factors, "py")))


def _newest_first(names: Iterable[str]) -> list[str]:
    """Return environments of tox with those of the newest Python before the same of older ones.

    What only an old Python needs is no requirement of the service.
    """
    ordered = list(names)
    minors = {name: int(match[1]) for name in ordered if (match := _PYTHON_FACTOR.search(name))}
    newest = iter(sorted(minors, key=lambda name: -minors[name]))
    return [next(newest) if name in minors else name for name in ordered]


def _first_test_run(walk: CommandWalk) -> CommandRun:
    return next(run for run in walk.runs if is_test_run(run))


def _shares_environment(tree: Tree, folder: str, words: Sequence[str]) -> bool:
    """Return whether tox or nox uses what is installed in the environment that it is started in."""
    text = tree.read_or_none(join_path(folder, "tox.ini")) or "" if words[0] == "tox" else ""
    return not _SHARING_OPTIONS.isdisjoint(words) or _SHARING_SETTING.search(text) is not None


def follow_runners(tree: Tree, walk: CommandWalk, service_path: str) -> None:
    """Follow the runs of tox and nox among the commands, also those that they start themselves.

    They make environments of their own: what is installed beside them is no part of the tests that they run.
    """
    seen: set[tuple[tuple[str, ...], str | None]] = set()
    tests_itself, tests_separately = any(map(is_test_run, walk.runs)), False
    around, of_tests, elsewhere = list(walk.steps), [], []
    position = 0
    while position < len(walk.runs) and len(seen) < RUN_LIMIT:
        run = walk.runs[position]
        position += 1
        words = without_python(run.words)
        if not words or words[0] not in ("tox", "nox") or run.folder is None or (run.words, run.folder) in seen:
            continue
        seen.add((run.words, run.folder))
        outer, count = (walk.conditional, walk.exported), len(walk.runs)
        walk.conditional, walk.exported, walk.steps = run.conditional, dict(run.environment), []
        _follow_runner(tree, words, run, walk, service_path)
        walk.conditional, walk.exported = outer
        if _shares_environment(tree, run.folder, words):
            around += walk.steps
        elif any(map(is_test_run, walk.runs[count:])):
            of_tests += walk.steps
            tests_separately = True
        else:
            elsewhere += walk.steps
    used = [*around, *of_tests] if tests_itself else of_tests if tests_separately else [*around, *elsewhere]
    steps = dict.fromkeys((*around, *of_tests, *elsewhere))
    walk.steps = [step for step in steps if step in used or not step.is_for_python]


def _follow_runner(tree: Tree, words: Sequence[str], run: CommandRun, walk: CommandWalk, service_path: str) -> None:
    if words[0] == "tox":
        _follow_tox(tree, words[1:], run, walk, service_path)
        return
    path = join_path(run.folder or ".", option_of(words, "-f", "--noxfile") or "noxfile.py")
    names = values_of(words, ("-s", "--session", "--sessions", "-e"))
    text = tree.read_or_none(path)
    if text is not None:
        _walk_nox(text, path, names, walk, service_path)


def _walk_nox(text: str, path: str, names: Sequence[str], walk: CommandWalk, service_path: str) -> None:
    walk_nox(text, path, names, walk, service_path, lambda values: chosen_value(values, service_path, ""))


def _follow_tox(tree: Tree, words: Sequence[str], run: CommandRun, walk: CommandWalk, service_path: str) -> None:
    place = option_of(words, "-c", "--conf") or "."
    folder = join_path(run.folder or ".", place)
    folder = folder if tree.is_folder(folder) else folder.rpartition("/")[0] or "."
    if folder != "." and not (lies_in(folder, service_path) or lies_in(service_path, folder)):
        return  # it tests another project
    names = [name for text in values_of(words, ("-e", "--env")) for name in text.split(",") if name]
    names = names or [name for name in re.split(r"[,\s]+", walk.variables.get("TOXENV", "")) if name]
    configuration = read_tox_configuration(tree, folder)
    if configuration is not None:
        if names:
            _follow_named_of_tox(tree, configuration, names, walk, service_path)
        else:
            _follow_all_of_tox(configuration, walk)
    else:
        walk_tox_toml(tree, folder, walk, names)


def _follow_named_of_tox(
    tree: Tree, configuration: ToxConfiguration, names: Sequence[str], walk: CommandWalk, service_path: str
) -> None:
    """Follow what ``tox -e a,b`` runs: where some run tests, what the others install is for something else.

    Of those that run the same commands the one with the newest Python counts, and not one for old or unstable versions.
    """
    outer_steps, outer_limits = walk.steps, walk.limits
    tested, others, seen = _Installed(), _Installed(), set[tuple[tuple[str, ...], ...]]()
    for name in sorted(_newest_first(names), key=lambda name: _UNUSUAL_ENVIRONMENT.search(name) is not None):
        walk.steps, walk.limits, count = [], [], len(walk.runs)
        walk_tox(configuration, (name,), walk)
        tests = [run for run in walk.runs[count:] if is_test_run(run) or is_further_test(run, tree, service_path)]
        commands = tuple(run.words for run in tests)
        kind = _Installed() if commands in seen else tested if tests else others
        seen |= {commands} if tests else set()
        kind.steps += walk.steps
        kind.limits += walk.limits
        kind.is_followed = True
    system = [step for step in others.steps if not step.is_for_python]
    used = _Installed(steps=[*system, *tested.steps], limits=tested.limits) if tested.is_followed else others
    walk.steps, walk.limits = [*outer_steps, *used.steps], [*outer_limits, *used.limits]


def _follow_all_of_tox(configuration: ToxConfiguration, walk: CommandWalk) -> None:
    """Follow what ``tox`` alone runs: all environments. The first that runs tests counts; the others install their own.

    Without a run of tests it is the first one.
    """
    names = _newest_first(configuration.environments) or ["py"]
    steps, runs, limits = list(walk.steps), list(walk.runs), list(walk.limits)
    for name in [*names, names[0]]:
        walk.steps, walk.runs, walk.limits = list(steps), list(runs), list(limits)
        walk_tox(configuration, (name,), walk)
        if any(is_test_run(run) for run in walk.runs[len(runs) :]):
            return


def _session_names(text: str) -> Iterator[str]:
    """Yield the names that the sessions of a noxfile may have, in their order."""
    for match in re.finditer(r"^def (\w+)\(|\bname\s*=\s*[\"']([\w.-]+)[\"']", text, re.MULTILINE | re.ASCII):
        yield match[1] or match[2]
