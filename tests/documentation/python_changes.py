"""Writes ``docs/reference/python-changes.md`` from the tables of the source check.

python -m tests.documentation.python_changes            # writes the page
python -m tests.documentation.python_changes --check    # exit code 1 if it is out of date
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pytest_py312.analysis.judging.replacement_table import (
    BACKPORTS,
    MODULE_REPLACEMENTS,
    NAME_REPLACEMENTS,
    PARAMETER_REPLACEMENTS,
)
from pytest_py312.analysis.judging.rule_table import NEW_FEATURES, RULES, RuleMeaning, RulePhase

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "python-changes.md"
TARGET = (3, 12)
OLDEST = (3, 9)
NEXT = ((3, 13), (3, 14))

INTRODUCTION = """\
# What Python 3.12 brings and breaks

For a team that is about to move: what no longer works, what works differently, what will break next, and which code of
[findings](findings.md) the gate reports for it. This page is generated from the tables of the source check
(`python -m tests.documentation.python_changes`).

The check does not depend on these tables to find removed names: it asks the interpreters themselves. So a name that is
missing here is found as well; the tables add the replacement, and the changes that no comparison of two standard
libraries can show.
"""
PACKAGING = (
    (
        "`python -m venv` installs no setuptools any more, so `import setuptools` and `import pkg_resources` fail",
        "`PY209` in a service, `PY243` in a library",
        "require `setuptools` (below 82 for `pkg_resources`), or use `importlib.metadata` and `importlib.resources`",
    ),
    (
        "`distutils` is gone; setuptools has a copy of it",
        "`PY209`, `PY243`",
        "use setuptools, shutil, sysconfig or packaging",
    ),
    (
        "older versions of a project have no wheel for 3.12, and their sources may not build",
        "`PY104`",
        "take the first version with a wheel; the remedy names it",
    ),
    (
        r"`\d` and other invalid escapes: a `SyntaxWarning`, where older releases had a hidden `DeprecationWarning`",
        "`PY221`",
        "use a raw string; `--py312-fix` does it",
    ),
)
"""What no table of the source check has."""
BRINGS = (
    ("type parameters: `def first[T](items: list[T]) -> T`, `type Point = tuple[float, float]`", "3.12", "PEP 695"),
    ("f-strings without restrictions: the same quotes inside, several lines, comments", "3.12", "PEP 701"),
    ("`typing.override`, `collections.abc.Buffer`", "3.12", "PEP 698, PEP 688"),
    ("`itertools.batched`, `pathlib.Path.walk`", "3.12", "What's New In Python 3.12"),
    ("comprehensions are inlined: faster, without a frame of their own", "3.12", "PEP 709"),
    ("`sys.monitoring`: debuggers, profilers and coverage at low cost", "3.12", "PEP 669"),
    ("a GIL for each subinterpreter (in C)", "3.12", "PEP 684"),
    ("support of `perf` on Linux, and messages that suggest the missing import", "3.12", "What's New In Python 3.12"),
    ("exception groups, `asyncio.TaskGroup`, `tomllib`", "3.11", "PEP 654, PEP 680"),
    ("10 to 60 % faster than 3.10, by CPython's own benchmarks", "3.11", "What's New In Python 3.11"),
)
SUBJECTS = {
    "array-u": "`array.array`",
    "ast-old-class": "`ast.Num`",
    "ast-value": "`ast.Constant.n` or `.s`",
    "ast-visitor": "`visit_Num` of an `ast.NodeVisitor`",
    "autospec-of-mock": "`create_autospec`",
    "bool-invert": "`~True`",
    "boolean-action": "`argparse.BooleanOptionalAction`",
    "byte-string": "`collections.abc.ByteString`",
    "child-watcher": "`asyncio.get_child_watcher`",
    "classmethod-property": "a `@classmethod` above `@property`",
    "code-type": "`types.CodeType(...)`",
    "decimal-as-int": "`math.comb`",
    "event-loop-needed": "`asyncio.ensure_future` or `asyncio.gather`",
    "exec-locals": "`locals()` after `exec(text)`",
    "factorial-of-float": "`math.factorial`",
    "find-module-hook": "`find_module` of an import hook",
    "fork-with-threads": "`os.fork`",
    "generator-throw": "`generator.throw`",
    "int-enum-text": "an `IntEnum` or `IntFlag` member",
    "int-of-trunc": "a class",
    "itertools-copy": "an iterator of `itertools`",
    "load-module": "`loader.load_module`",
    "mixed-enum-format": "`class Color(str, Enum)`",
    "mock-assertion": "`mock.called_once()`",
    "mock-assertion-asserted": "`assert mock.called_once()`",
    "mock-misspelt": "`mock.asert_called()`",
    "named-tuple-keywords": "`typing.NamedTuple(...)`",
    "no-items": "`fileinput.FileInput`",
    "not-implemented-truth": "`NotImplemented`",
    "open-mode-u": "rU",
    "path-context": "`pathlib.Path`",
    "process-executor": "`loop.set_default_executor`",
    "randrange-of-float": "`random.randrange` or `random.randint`",
    "regex-flags": "`(?i)`",
    "regex-group": r"`(?P<é>...)` or `\g<+1>` in bytes or a replacement,",
    "re-positional": "`re.sub` or `re.split`",
    "element-truth": "`xml.etree.ElementTree.Element`",
    "entry-points-mapping": "",
    "implicit-optional": "function",
    "refuses": "",
    "co-lnotab": "",
    "event-loop": "",
    "sample-of-set": "",
    "relative-to-many": "`Path.relative_to`",
    "seed-type": "`random.seed`",
    "shlex-none": "`shlex.split`",
    "spec-of-mock": "`Mock(spec=...)`",
    "sqlite-adapter": "`datetime` and `date`",
    "sqlite-named": "`cursor.execute`",
    "sqlite-positional": "`sqlite3.connect`",
    "ssl-context": "`ssl.SSLContext()`",
    "ssl-old-options": "`ssl.OP_NO_TLSv1`",
    "ssl-old-version": "`ssl.TLSVersion.TLSv1`",
    "start-method": "`multiprocessing.Process` or `ProcessPoolExecutor`",
    "strict-certificates": "`ssl.create_default_context(cafile=...)`",
    "strptime-without-year": "`strptime`",
    "tar-filter": "`tarfile.TarFile.extractall`",
    "test-returns": "a method of `unittest.TestCase`",
    "thread-at-exit": "a function",
    "typed-dict-keywords": "`typing.TypedDict(...)`",
    "unhashable-default": "a field of a dataclass",
    "url-opener": "`urllib.request.URLopener`",
    "wait-of-coroutines": "`asyncio.wait`",
    "wide-port": "`socket.htons`",
    "version-as-text": "a version of Python",
    "version-cut": "`sys.version[:3]`",
}
"""Rule -> what stands for the name in its message."""


def release(version: tuple[int, int]) -> str:
    """Return a release as text."""
    return f"{version[0]}.{version[1]}"


def removed_in(minor: Iterable[tuple[int, int]]) -> frozenset[str]:
    """Return releases as the tables write them."""
    return frozenset(map(release, minor))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)])


def modules(releases: frozenset[str]) -> Iterator[tuple[str, ...]]:
    """Yield the rows of removed modules."""
    for name, replacement in sorted(MODULE_REPLACEMENTS.items()):
        if replacement.removed in releases:
            backports = "".join(f"; under the old name: the package {project}" for project in BACKPORTS.get(name, ()))
            code = "PY209" if name.partition(".")[0] == "distutils" else "PY201"
            yield f"`{name}`", replacement.removed, f"`{code}`", replacement.remedy + backports, replacement.source


def names(releases: frozenset[str]) -> Iterator[tuple[str, ...]]:
    """Yield the rows of removed names of modules and classes, and of parameters."""
    listed: dict[tuple[str, ...], list[str]] = {}
    for name, replacement in sorted(NAME_REPLACEMENTS.items()):
        if replacement.removed in releases and name.partition(".")[0] not in _removed_modules(releases):
            owner, _, last = name.rpartition(".")
            code = "PY203" if owner.rpartition(".")[2][:1].isupper() else "PY202"
            remedy = replacement.remedy.replace(f"import {last} from", "import it from")
            key = (owner, replacement.removed, f"`{code}`", remedy, replacement.source)
            listed.setdefault(key, []).append(last)
    for (owner, *cells), last_names in listed.items():
        first, *others = last_names
        yield ", ".join([f"`{owner}.{first}`", *(f"`.{other}`" for other in others)]), *cells
    for name, replacement in sorted(PARAMETER_REPLACEMENTS.items()):
        if replacement.removed in releases:
            yield f"the parameter `{name}`", replacement.removed, "`PY204`", replacement.remedy, replacement.source


def _removed_modules(releases: frozenset[str]) -> frozenset[str]:
    """Names of a module that is removed in the same release are in its own row."""
    return frozenset(
        name for name, replacement in MODULE_REPLACEMENTS.items() if "." not in name and replacement.removed in releases
    )


def phase_in(meaning: RuleMeaning, version: tuple[int, int]) -> RulePhase | None:
    """Return the phase of a rule that is in force in a release."""
    return next((phase for phase in reversed(meaning.phases) if phase.since <= version), None)


def rules(phases: Mapping[str, Sequence[RulePhase]]) -> list[tuple[str, ...]]:
    """Return the rows of phases of hand-written rules, by release."""
    pairs = [(rule, phase) for rule, rule_phases in phases.items() for phase in rule_phases]
    return [
        (
            phase.message.format(SUBJECTS[rule]),
            release(phase.since),
            f"`{phase.code}`",
            RULES[rule].remedy.replace("{0}", "it"),
        )
        for rule, phase in sorted(pairs, key=lambda pair: (pair[1].since, pair[0]))
    ]


def current_phases(codes: Sequence[str]) -> dict[str, list[RulePhase]]:
    """Return the rules that have one of these codes on the target, without what no release accepts."""
    phases = {rule: phase_in(meaning, TARGET) for rule, meaning in RULES.items()}
    return {rule: [phase] for rule, phase in phases.items() if phase and phase.code in codes and phase.since >= (3, 2)}


def next_phases() -> dict[str, list[RulePhase]]:
    """Return what rules do in the releases after the target, beyond a warning."""
    return {
        rule: [phase for phase in meaning.phases if phase.since in NEXT and phase.code != "PY220"]
        for rule, meaning in RULES.items()
    }


def page() -> str:
    """Return the text of the page."""
    breaking = removed_in((3, minor) for minor in range(OLDEST[1] + 1, TARGET[1] + 1))
    upcoming = removed_in(NEXT)
    removed, since = ("what", "removed in", "code", "what to do", "document"), ("what", "since", "code", "what to do")
    new_features = sorted((feature.description, release(feature.since)) for feature in NEW_FEATURES.values())
    sections = {
        "## Modules that are gone": ("Removed in 3.10, 3.11 or 3.12.", table(removed, modules(breaking))),
        "## Names and parameters that are gone": (table(removed, names(breaking)),),
        "## Uses that are refused": (
            "The name still exists; this use of it fails when it runs.",
            table(since, rules(current_phases(("PY206", "PY207")))),
        ),
        "## What behaves differently": (
            "Without an error or a warning.",
            table(since, rules(current_phases(("PY230",)))),
        ),
        "## What environments no longer contain, and compilers no longer accept silently": (
            table(("what", "code", "what to do"), PACKAGING),
        ),
        "## What is deprecated": (
            "It runs on 3.12 with a warning, and blocks nothing.",
            table(since, rules(current_phases(("PY220",)))),
        ),
        "## What breaks next": (
            "For teams that go on to 3.13 or 3.14, or want to touch a line only once.",
            table(removed, [*modules(upcoming), *names(upcoming)]),
            table(since, rules(next_phases())),
        ),
        "## What it brings": (
            "Reasons to move. As long as a rollback is possible, code that uses new syntax or new names is\n"
            "[too new](findings.md#py2xx-source) for the previous Python.",
            table(("what", "since", "document"), BRINGS),
        ),
        "### New, and refused by older releases": (
            "Uses of names that older releases have as well (`PY210`):",
            table(("what", "since"), new_features),
        ),
    }
    return (
        "\n\n".join([INTRODUCTION.strip(), *(part for head in sections.items() for part in (head[0], *head[1]))]) + "\n"
    )


def main(arguments: list[str]) -> int:
    """Write the page, or compare it."""
    if "--check" in arguments:
        is_current = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page()
        print(f"{PAGE.relative_to(ROOT)} is {'up to date' if is_current else 'out of date'}")
        return 0 if is_current else 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
