"""Remedies for the most common failures, by the last line of their traceback.

Sources: "Removed" in What's New in Python 3.11, 3.12 and 3.13 (https://docs.python.org/3/whatsnew/), and the changelog
of pytest (https://docs.pytest.org/en/stable/changelog.html). Other failures get :data:`GENERAL_REMEDY`.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations, islice
from math import isclose

from pytest_py312.core.model.findings import Finding, Interpreter, Location
from pytest_py312.dependencies.store.environments import Environment

CAUSE_ELSEWHERE = "the cause is in "
"""The beginning of the remedy of a failure in a library."""
GENERAL_REMEDY = "fix the code so that it runs on both, or require a version of the library that does"

REMEDIES: tuple[tuple[str, str], ...] = (
    (
        r"No module named '(?:distutils|setuptools|pkg_resources)['.]",
        "Python 3.12 environments no longer include setuptools, and distutils was removed in 3.12: require setuptools "
        "(below 82 for pkg_resources), or use importlib.metadata, importlib.resources and packaging",
    ),
    (
        r"No module named 'imp'",
        "module 'imp' was removed in 3.12: use importlib.import_module for load_module, "
        "importlib.util.spec_from_file_location for modules in other folders and load_source, importlib.reload for "
        "reload",
    ),
    (r"No module named 'async(?:ore|hat)'", "removed in 3.12: use asyncio, or require pyasyncore or pyasynchat"),
    (r"No module named 'smtpd'", "module 'smtpd' was removed in 3.12: require aiosmtpd"),
    (
        r"No module named '(?:cgi|cgitb|crypt|telnetlib|pipes|imghdr|sndhdr|uu|xdrlib|nntplib|audioop|aifc|chunk|sunau|"
        r"msilib|nis|ossaudiodev|spwd|mailcap|lib2to3)'",
        "the module was removed in 3.13: PEP 594 lists replacements",
    ),
    (
        r"has no attribute '(?:assertEquals|assertNotEquals|assert_|assertAlmostEquals|assertNotAlmostEquals|"
        r"assertRegexpMatches|assertNotRegexpMatches|assertRaisesRegexp|failUnless|failIf)'",
        "the alias was removed in 3.12: assertEqual, assertNotEqual, assertTrue, assertAlmostEqual, assertRegex, "
        "assertNotRegex, assertRaisesRegex",
    ),
    (r"'asyncio' has no attribute 'coroutine'", "@asyncio.coroutine was removed in 3.11: write async def"),
    (r"duplicate base class TimeoutError", "asyncio.TimeoutError is TimeoutError since 3.11: name it once"),
    (r"'(?:configparser)' has no attribute 'SafeConfigParser'", "removed in 3.12: use ConfigParser"),
    (r"has no attribute 'readfp'", "removed in 3.12: use read_file"),
    (r"'pkgutil' has no attribute 'ImpImporter'", "removed in 3.12: use a newer setuptools or pip"),
    (r"'inspect' has no attribute '(?:getargspec|formatargspec)'", "removed in 3.11: use inspect.signature"),
    (
        r"cannot import name 'UTC' from 'datetime'",
        "datetime.UTC was added in 3.11: use datetime.timezone.utc, which all versions have",
    ),
    (r"'ssl' has no attribute '(?:wrap_socket|match_hostname)'", "removed in 3.12: use an ssl.SSLContext"),
    (r"'(?:random\.)?\w*' object has no attribute 'find_module'", "removed in 3.12: define find_spec"),
    (
        # mock.patch resolves its target with pkgutil.resolve_name since 3.11
        r"<module '[\w.]+\.\w+' from '[^']+'> does not have the attribute",
        "since 3.11 mock.patch finds the submodule if a package has a class of the same name: use patch.object",
    ),
    (
        r'required field "lineno" missing from alias',
        "pytest before 6.2.4 cannot load tests on 3.10 and newer: require a newer version",
    ),
    (r"'FileFinder' object has no attribute 'find_module'", "removed in 3.12: use find_spec"),
)


_MISSING_VARIABLE = re.compile(
    r"KeyError: '(?P<key>[A-Z][A-Z0-9_]{2,60})'|[Ss]et the (?P<named>[A-Z][A-Z0-9_]{2,60}) environment variable|"
    r"The (?P<setting>SECRET_KEY) setting must not be empty",
    re.ASCII,
)


_GENERATED_MODULE = re.compile(r"No module named '(?P<module>(?:\w{1,60}\.){0,6}\w{1,60}_pb2(?:_grpc)?)'", re.ASCII)
"""A module that protoc generates; https://protobuf.dev/reference/python/python-generated/#invocation."""


def missing_input_hint(text: str, service: str) -> str:
    """Return what to add to the plan if ``text`` tells of a variable or of generated code that the suite needs;
    otherwise empty.
    """
    if match := _GENERATED_MODULE.search(text):
        return (
            f'. If protoc generates {match["module"]}, add to py312.toml how: [service."{service}"] '
            'prepare = [["python", "-m", "grpc_tools.protoc", "..."]]'
        )
    match = _MISSING_VARIABLE.search(text)
    if match is None:
        return ""
    name = match[str(match.lastgroup)]
    return (
        f'. If {name} is a variable that the tests need, add to py312.toml: [service."{service}"] '
        f'environment = {{ {name} = "..." }}'
    )


_NUMBER = re.compile(r"(?<![\w.])-?\d{1,20}(?:\.\d{1,20})?(?:e[+-]?\d{1,3})?(?![\w.])", re.ASCII)
_MOST_NUMBERS = 20
_ROUNDING = 1e-12
"""Relative difference below which two results of the same calculation were only rounded differently."""
_ROUNDED_DIGITS = 12
"""Number of decimals from which a number looks like one that was rounded, and not like a time."""
_SUM_REMEDY = (
    "since 3.12 sum() of floats is more exact, so if they come from it, compare them with math.isclose or pytest.approx"
)
"""https://docs.python.org/3/whatsnew/3.12.html#other-language-changes"""


def remedy_for(text: str) -> str:
    """Return the remedy for the end of a traceback, or an empty string if no pattern matches."""
    known = next((remedy for pattern, remedy in REMEDIES if re.search(pattern, text)), "")
    return known or (_SUM_REMEDY if "assert" in text.lower() and _has_close_floats(text) else "")


def _has_close_floats(text: str) -> bool:
    """Return whether ``text`` has two numbers that differ by rounding only."""
    words = [match[0] for match in islice(_NUMBER.finditer(text), _MOST_NUMBERS)]
    pairs = combinations({float(word) for word in words}, 2)
    has_rounded = any(len(word.partition(".")[2]) >= _ROUNDED_DIGITS for word in words)
    return has_rounded and any(isclose(a, b, rel_tol=_ROUNDING) for a, b in pairs)


def with_source_remedy(finding: Finding, source_findings: Iterable[Finding]) -> Finding:
    """Return the finding on a failing test with the place and the remedy of what the source check says of its cause.

    It is about the same cause if it is in the file of the test, and if the exception names what it is about.
    """
    location = finding.location
    if location is None:
        return finding
    file = re.escape(location.path.rpartition("/")[2])
    lines = {int(line) for line in re.findall(rf"^(?:\S*/)?{file}:(\d+): ", finding.detail, re.MULTILINE)}
    about_same = [
        other
        for other in source_findings
        if other.location is not None
        and other.location.path == location.path
        and (not lines or other.location.line in lines)
        and any(_mentions(finding.message, name) for name in other.names)
        and other.remedy
    ]
    if len({other.remedy for other in about_same}) != 1:
        return finding
    only_place = about_same[0].location if len({other.location for other in about_same}) == 1 else location
    return replace(finding, remedy=about_same[0].remedy, location=only_place)


_MISSING_PART = re.compile(
    r"No module named '(?P<module>[A-Za-z_]\w*(?:\.\w+)+)'|cannot import name '\w+' from '(?P<source>[A-Za-z_]\w*)",
    re.ASCII,
)


def with_changed_library(
    finding: Finding, environment: Environment | None, baseline_environment: Environment | None, baseline: Interpreter
) -> Finding:
    """Return the finding with the library whose version here lacks what the one of the baseline has, as its remedy."""
    match = _MISSING_PART.search(finding.message)
    if match is None or environment is None or baseline_environment is None:
        return finding
    module = (match["module"] or match["source"]).partition(".")[0]
    for project in sorted(name for name, modules in environment.modules.items() if module in modules):
        here, there = environment.versions.get(project, ""), baseline_environment.versions.get(project, "")
        if here and there and here != there:
            message = f"{finding.message}; {project} {here} is installed, and {there} on {baseline}"
            remedy = f"require {project}=={there}, the version that {baseline} has, or follow the changes of {project}"
            return replace(finding, message=message, remedy=remedy)
    return finding


def _mentions(message: str, name: str) -> bool:
    last = name.rpartition(".")[2].partition("(")[0]
    return bool(last) and re.search(rf"(?<!\w){re.escape(last)}(?!\w)", message.partition(": ")[2]) is not None


_WARNING = re.compile(r": (?P<category>\w*Warning): (?P<text>[\w ,'.-]{3,80})", re.ASCII)
"""A warning as an exception; of its text, the part that needs no escape in a filter."""


def with_warning_filter(finding: Finding, place: Location | None) -> Finding:
    """Return the finding on a test that fails because a library warns, at the filter that makes warnings errors.

    :param place: that of ``error`` in the settings of pytest; ``None`` if they have none.
    """
    match = _WARNING.search(finding.message)
    if match is None or place is None or not finding.remedy.startswith(CAUSE_ELSEWHERE):
        return finding
    library = finding.remedy.removeprefix(CAUSE_ELSEWHERE).partition(":")[0]
    entry = f"ignore:{match['text'].strip(' .')}:{match['category']}"
    entry = f'"{entry}",' if place.path.endswith(".toml") else entry
    return replace(
        finding,
        message=f"{finding.message} ({place} makes it an error)",
        location=place,
        remedy=f"require a version of {library} that does not warn, or add behind that line: {entry}",
    )
