"""Recognize the commands that run tests, and those that start tox or nox, which may run them."""

import posixpath
import re
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from itertools import islice, pairwise

from pytest_py312.core.model.plan import FurtherTest
from pytest_py312.repository.formats.commands.shell import UNKNOWN
from pytest_py312.repository.recipes.commands.command_walk import CommandRun
from pytest_py312.repository.recipes.suites.pytest_settings import VALUE_OPTIONS, ignored_paths, settings_in_folder
from pytest_py312.repository.tree import Tree, is_inside, join_path, lies_in, with_outer_folders

_TEST_PROGRAMS = frozenset({"pytest", "py.test", "nosetests", "nose2", "trial", "stestr", "unittest", "ward", "green"})
_PYTEST_PROGRAMS = frozenset({"pytest", "py.test"})
_TEST_SCRIPT = re.compile(
    r"(?:run[-_]?(?:all[-_]?)?)?(?:unit)?tests?(?:[-_]\w+)*\.py|\w+_tests?\.py", re.IGNORECASE | re.ASCII
)
_TEST_MODULE = re.compile(r"(?:\w+\.)*(?:tests?|test_\w+|\w+_tests?|run_?tests?)(?:\.(?:\w+))?", re.ASCII)
"""``tests``, ``tests.unit``, ``app.tests.run``, ``app.test_all``."""
_TEST_COMMANDS = frozenset({"test", "pytest", "nosetests", "trial"})
"""Commands of ``setup.py`` and ``manage.py`` that run tests."""
_OTHER_TESTS = frozenset({"behave", "doctest", "lettuce", "radish", "robot", "tavern-ci", "xdoctest"})
_FURTHER_SCRIPT = re.compile(r"smoke|(?<![a-z])tests?(?![a-z])|e2e|acceptance", re.IGNORECASE)
_SYSTEM_TEST = re.compile(
    r"e2e|end.to.end|acceptance|integration|(?<![a-z])live(?![a-z])|://|(?<![a-z])(?:clean|create|delete|deploy|drop|"
    r"generate|load|notify|publish|report|seed|send|upload)",
    re.IGNORECASE,
)
"""Words of commands that need a running system, or change something elsewhere."""
_RUNNING_TOOLS = frozenset({"poetry", "uv", "pipenv", "pdm", "hatch", "rye"})
_COMPUTED = re.compile(rf"[${{}}`]|{re.escape(UNKNOWN)}")
_SHOWN_LENGTH = 200
"""Characters of a command that a sentence names."""
_TEST_DEPTH = 8
_FILE_LIMIT = 500
"""Maximum number of files of a run of unittest."""
_TEST_CASE = re.compile(r"^[ \t]*class[ \t]+\w+[ \t]*\([ \t]*[^)\s]|\bload_tests\b", re.MULTILINE)
_WARNING_OPTION = re.compile(r"(?:-W|--pythonwarnings=)(.+)", re.DOTALL)
_UNITTEST_VALUES = frozenset({"-k", "-s", "-p", "-t", "--start-directory", "--pattern", "--top-level-directory"})
"""Options of unittest that the next word is the value of."""
_LEAVING_OUT = frozenset({"--ignore", "--ignore-glob", "--deselect"})
_OTHER_SYSTEMS = frozenset({"docker", "docker-compose", "podman", "kubectl", "echo", "pip", "ssh", "act"})


def values_of(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """Return the values of options; those of nox may have several each."""
    values: list[str] = []
    for number, word in enumerate(words):
        option, equals, value = word.partition("=")
        if word in options:
            for following in words[number + 1 :]:
                if following.startswith("-"):
                    break
                values.append(following)
                if "nox" not in words[:1]:
                    break
        elif equals and option in options:
            values.append(value)
        elif word == "--":
            break
    return values


def option_of(words: Sequence[str], *options: str) -> str:
    """Return the first value of an option; empty without one."""
    return next(iter(values_of(words, options)), "")


def without_python(words: Sequence[str]) -> tuple[str, ...]:
    """Return ``tox -e x`` for ``python -m tox -e x`` and ``/bin/tox -e x``."""
    if words and _is_python(words[0]) and words[1:2] == ("-m",):
        words = words[2:]
    return (posixpath.basename(words[0]), *words[1:]) if words else ()


def _is_python(word: str) -> bool:
    return re.fullmatch(r"python[\d.]*", posixpath.basename(word)) is not None


def warning_options(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the values of ``-W`` of the interpreter in a run of tests, and those of pytest."""
    is_python = _is_python(words[0])
    end = 1
    while is_python and end < len(words) and words[end].startswith("-") and words[end] != "-m":
        end += 2 if words[end] in ("-W", "-X") else 1
    return _warnings_in(words[1:end]), _warnings_in(pytest_options(words))


def pytest_options(words: Sequence[str]) -> Sequence[str]:
    """Return what follows ``pytest`` in a command; nothing without it."""
    names = [posixpath.basename(word) for word in words]
    start = next((number for number, name in enumerate(names, 1) if name in _PYTEST_PROGRAMS), len(words))
    return words[start:]


def runs_pytest(words: Sequence[str]) -> bool:
    """Return whether a command names pytest as its program."""
    return not _PYTEST_PROGRAMS.isdisjoint(map(posixpath.basename, words))


def _warnings_in(words: Sequence[str]) -> list[str]:
    values = []
    for option, word in pairwise(("", *words)):
        match = _WARNING_OPTION.fullmatch(word)
        if option in ("-W", "--pythonwarnings"):
            values.append(word)
        elif match:
            values.append(match[1])
    return values


def is_test_run(run: CommandRun) -> bool:
    """Return whether a command runs tests, of whatever."""
    words = without_python(run.words)
    if not words or words[0] in _OTHER_SYSTEMS:
        return False
    if has_test_program(words):
        return True
    if {posixpath.basename(word) for word in words} & {"manage.py", "setup.py"}:
        return not _TEST_COMMANDS.isdisjoint(words)
    return _is_script_of_tests(run.words)


def has_test_program(words: Sequence[str]) -> bool:
    """Return whether a command names a program that runs tests: ``poetry run pytest``."""
    return not _TEST_PROGRAMS.isdisjoint(map(posixpath.basename, words))


def _is_script_of_tests(words: Sequence[str]) -> bool:
    """Whether ``python`` runs a script or module that is named as one of tests: ``python -m tests.unit``."""
    if not _is_python(words[0]):
        return _TEST_SCRIPT.fullmatch(posixpath.basename(words[0])) is not None
    remaining = list(words[1:])
    while remaining and remaining[0].startswith("-"):
        option = remaining.pop(0)
        if option == "-m":
            return bool(remaining) and _TEST_MODULE.fullmatch(remaining[0]) is not None
        if option in ("-W", "-X") and remaining:
            del remaining[0]
        elif option == "-c":
            return False
    return bool(remaining) and _TEST_SCRIPT.fullmatch(posixpath.basename(remaining[0])) is not None


def is_further_test(run: CommandRun, tree: Tree, service_path: str) -> bool:
    """Whether a command tests the service in a way that its suite does not repeat.

    These are programs for other kinds of tests, scripts of tests, and unittest in a folder without tests for it, which
    fails since 3.12: what is in other folders is collected with the suite.
    """
    words = without_python(run.words)
    if not words or words[0] in _OTHER_SYSTEMS or run.folder is None:
        return False
    places = [join_path(run.folder, word) for word in run.words[1:] if not word.startswith("-")]
    if not any(lies_in(place, service_path) for place in (run.folder, *places)):
        return False
    names = {posixpath.basename(word) for word in words}
    if "unittest" in names:
        return "discover" in words and not _has_test_cases(tree, join_path(run.folder, _discovery(words)[0]))
    if not _OTHER_TESTS.isdisjoint(names):
        return True
    script = next((place for place in places if place.endswith(".py")), "") if "-c" not in words else ""
    name = posixpath.basename(script)
    is_collected = name.startswith("test_") or name.endswith("_test.py")
    is_started = words[0] == name or _is_python(words[0])
    return is_started and not is_collected and _FURTHER_SCRIPT.search(name) is not None and tree.is_file(script)


def repeated_test(run: CommandRun, tree: Tree, service_path: str) -> FurtherTest:
    """Return a further test, with its command as a cell repeats it.

    It cannot if a word is computed, if it depends on a condition, if its failure does not count, or if its name says
    that it needs a running system or changes something elsewhere.
    """
    text = " ".join(run.words)[:_SHOWN_LENGTH]
    words = list(run.words)
    while len(words) > 2 and posixpath.basename(words[0]) in _RUNNING_TOOLS and words[1] == "run":
        del words[:2]
    is_unclear = run.conditional or not run.counts or run.folder is None or any(map(_COMPUTED.search, words))
    if is_unclear or run.folder is None or any(map(_SYSTEM_TEST.search, words)):
        return FurtherTest(text=text)
    folder = run.folder
    if not is_inside(folder, service_path):  # a cell has the files of the service alone
        words = [_path_from(service_path, folder, word, tree) for word in words]
        folder = service_path
    name = posixpath.basename(words[0])
    if _is_python(words[0]):
        words[0] = "python"
    elif name.endswith(".py"):
        words.insert(0, "python")
    elif name in _OTHER_TESTS:
        words[0] = name
    else:
        return FurtherTest(text=text)
    return FurtherTest(text=text, words=tuple(words), folder=folder)


def _path_from(service_path: str, folder: str, word: str, tree: Tree) -> str:
    """Return a word that names a file or folder of the service, relative to it; others as they are."""
    place = join_path(folder, word)
    is_there = tree.exists(place)
    return posixpath.relpath(place, service_path) if is_there and is_inside(place, service_path) else word


def _has_test_cases(tree: Tree, folder: str) -> bool:
    """Return whether unittest may find tests in a folder: a class with a base, or ``load_tests``."""
    files = islice((file for file in tree.scan_folder(folder, depth=_TEST_DEPTH).files if file.endswith(".py")), 200)
    return any(_TEST_CASE.search(tree.read_or_none(join_path(folder, file)) or "") for file in files)


def unittest_files(tree: Tree, run: CommandRun, service_path: str) -> tuple[str, ...]:
    """Return the files of a service, relative to it, that a run of unittest loads: pytest collects other names.

    ``python -m unittest tests/*_tests.py``, ``unittest tests.app_tests``, ``unittest discover -s tests -p "*Test.py"``.
    It searches packages only: https://docs.python.org/3/library/unittest.html#test-discovery
    """
    words = without_python(run.words)
    if words[:1] != ("unittest",) or run.folder is None:
        return ()
    folder = run.folder
    files = [path for path in tree.scan_folder(service_path, depth=_TEST_DEPTH).files if path.endswith(".py")]
    places = {path: posixpath.relpath(join_path(service_path, path), folder) for path in files}
    if "discover" in words:
        start, pattern = _discovery(words)
        loaded = (path for path, place in places.items() if _is_discovered(tree, folder, place, start, pattern))
    else:
        patterns = {_test_file(tree, folder, word) for word in _operands_of_unittest(words)}
        loaded = (path for path, place in places.items() if _matches_path(place, patterns))
    with_tests = (path for path in loaded if _TEST_CASE.search(tree.read_or_none(join_path(service_path, path)) or ""))
    return tuple(islice(with_tests, _FILE_LIMIT))


def _operands_of_unittest(words: Sequence[str]) -> list[str]:
    following = words[words.index("discover") + 1 :] if "discover" in words else words[1:]
    return [word for option, word in pairwise(("", *following)) if word[:1] != "-" and option not in _UNITTEST_VALUES]


def _discovery(words: Sequence[str]) -> tuple[str, str]:
    """Return the folder in which ``unittest discover`` begins, and its pattern for names of files."""
    operands = _operands_of_unittest(words)
    start = option_of(words, "-s", "--start-directory") or next(iter(operands), ".")
    return start, option_of(words, "-p", "--pattern") or next(iter(operands[1:]), "test*.py")


def _is_discovered(tree: Tree, folder: str, place: str, start: str, pattern: str) -> bool:
    inside = posixpath.relpath(place, start)
    parents = with_outer_folders(posixpath.dirname(inside) or ".")
    packages = (join_path(folder, posixpath.normpath(join_path(start, parent))) for parent in parents if parent != ".")
    return (
        not inside.startswith("../")
        and fnmatchcase(posixpath.basename(inside), pattern)
        and all(tree.is_file(join_path(package, "__init__.py")) for package in packages)
    )


def _test_file(tree: Tree, folder: str, word: str) -> str:
    """Return the file that a word names: a path, a pattern, or a module, which a class and a method may follow."""
    if word.endswith(".py"):
        return word
    parts = word.split(".")
    paths = ("/".join(parts[:count]) + ".py" for count in range(len(parts), max(0, len(parts) - 3), -1))
    return next((path for path in paths if tree.is_file(join_path(folder, path))), word)


def _matches_path(place: str, patterns: Collection[str]) -> bool:
    return any(place.count("/") == pattern.count("/") and fnmatchcase(place, pattern) for pattern in patterns)


def collects_around(run: CommandRun, tree: Tree, service_path: str) -> bool:
    """Whether a command runs pytest in a folder above the service, for all tests below, or for those of a folder.

    If pytest has ``testpaths`` there, one of them has to be in the service or around it.
    """
    folder = run.folder
    if folder is None or service_path == "." or folder == service_path or not is_test_run(run):
        return False
    words = without_python(run.words)
    if not runs_pytest(words):
        return False
    settings = settings_in_folder(tree, folder)
    ignored = [join_path(folder, path) for path in (*settings.ignored, *ignored_paths(words))]
    if any(lies_in(service_path, path) or fnmatchcase(service_path, path) for path in ignored):
        return False
    positional = [word for option, word in pairwise(words) if _is_operand(option, word)]
    places = [join_path(folder, word.partition("::")[0]) for word in positional]
    named = [place for place in places if tree.exists(place)]
    testpaths = [] if named else [join_path(folder, path) for path in settings.testpaths]
    if any(lies_in(path, service_path) or fnmatchcase(f"{service_path}/tests", path) for path in testpaths):
        return True
    return any(place == "." or lies_in(service_path, place) for place in named or testpaths or [folder])


def _named_paths(run: CommandRun, tree: Tree, service_path: str) -> list[str]:
    """Return the files and folders of the service, relative to it, that a run of pytest names."""
    options = ("", *pytest_options(run.words))
    words = (word.partition("::")[0] for option, word in pairwise(options) if _is_operand(option, word))
    places = [posixpath.normpath(join_path(run.folder or ".", word)) for word in words]
    inside = [place for place in places if is_inside(place, service_path) and place != service_path]
    return [posixpath.relpath(place, service_path) for place in inside if tree.exists(place)]


def _is_operand(option: str, word: str) -> bool:
    return word[:1] != "-" and option not in VALUE_OPTIONS


def further_paths(tree: Tree, run: CommandRun, runs: Sequence[CommandRun], service_path: str) -> tuple[str, ...]:
    """Return what other runs of pytest in a job name that ``run`` does not reach; nothing if it names no path."""
    own = _named_paths(run, tree, service_path)
    others = [each for each in runs if each is not run and runs_pytest(each.words) and is_test_of(each, service_path)]
    named = (path for each in others if not each.conditional for path in _named_paths(each, tree, service_path))
    return tuple(dict.fromkeys(path for path in named if own and not any(lies_in(path, place) for place in own)))


def starts_runner(run: CommandRun) -> bool:
    """Whether a command starts tox or nox, which may run tests."""
    return without_python(run.words)[:1] in (("tox",), ("nox",))


def is_test_of(run: CommandRun, service_path: str) -> bool:
    """Whether a command runs tests of the service: in its folder, or with one of its paths."""
    if not is_test_run(run) or run.folder is None:
        return False
    words = (word for option, word in pairwise(run.words) if word[:1] != "-" and option not in _LEAVING_OUT)
    places = [run.folder, *(join_path(run.folder, word) for word in words)]
    if service_path == ".":
        return run.folder == "."
    return any(lies_in(place, service_path) for place in places)
