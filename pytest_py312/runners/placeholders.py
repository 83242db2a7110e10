"""Placeholders for the environment variables that a program lacks when it is imported.

They are set where it is deployed, and not in the repository. Without them an import ends before most of the code has
run, on every interpreter, and proves nothing. All is read from the end of a traceback, which is untrusted text.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from pytest_py312.core.text import last_line
from pytest_py312.repository.tree import Tree

_NAME = r"[A-Z][A-Z0-9_]{1,60}"
_NAMED = re.compile(
    rf"[Ss]et the (?P<a>{_NAME}) environment variable"  # django-environ
    rf"|(?P<b>{_NAME}) not found\. Declare it as envvar"  # python-decouple
    rf"|Config '(?P<c>{_NAME})' is missing"  # starlette
    rf"|[Ee]nvironment variable \"(?P<d>{_NAME})\" not set",  # environs
    re.ASCII,
)
_KEY_ERROR = re.compile(rf"^KeyError: '(?P<name>{_NAME})'$", re.MULTILINE | re.ASCII)
_KEY_ERROR_OF_OS = re.compile(
    r'(?:<frozen os>|[/\\]os\.py)", line \d+, in __getitem__\n(?:.*\n){0,3}?KeyError: \'(?P<name>[A-Za-z_]\w{0,60})\'$',
    re.MULTILINE | re.ASCII,
)
_MISSING_FIELD = re.compile(
    r"^(?P<name>[A-Za-z_]\w{0,60})\n[ \t]+[Ff]ield required [(\[]type=(?:value_error\.)?missing",
    re.MULTILINE | re.ASCII,
)
"""Of pydantic 1 and 2: the name of a field of the settings, which is that of the variable in any case."""
_READ_WITHOUT_DEFAULT = re.compile(r"(?:environ\.get|getenv)\(\s*[\"'](?P<name>[A-Za-z_]\w{0,60})[\"']\s*\)", re.ASCII)
_READ_AS_JSON = re.compile(rf"\bloads\(\s*(?:os\.)?{_READ_WITHOUT_DEFAULT.pattern}", re.ASCII)
_JSON_OF_NONE = re.compile(r"TypeError: the JSON object must be str, .*not NoneType")
JSON_VALUE = "{}"
_ABOUT_A_VARIABLE = re.compile(r"\b(?:environ|env ?var|variables?|not set|must be set|undefined)", re.IGNORECASE)
_LONG_NAME = re.compile(r"\b[A-Z][A-Z0-9]{0,30}(?:_[A-Z0-9]{1,30}){1,6}\b", re.ASCII)
_NOT_SET = re.compile(
    r"(?:PYTHON|LD_|DYLD_|PIP_|UV_)\w*|PATH|HOME|TMPDIR|\w*(?:SETTINGS|MODULE|CONFIG)\w*|FLASK_APP", re.ASCII
)
"""Variables of the interpreter and of the system, and those that name a module or a file."""
_MISSING_MODULE = re.compile(r"No module named '(?P<module>[^']{1,200})'")

_OWN_FRAME = re.compile(r'File "[^"]*?/repository/(?P<path>[^"]+\.py)", line \d')
_SWITCH = re.compile(r"(?:^|_)(?:TEST|TESTING|DEBUG|DRY|SKIP|DISABLED?|ENABLED?|USE|MOCK|FAKE|LOCAL)(?:_|$)")
"""Variables that choose what the program does: another branch than that of production would be imported."""

_VALUES = (
    (r"LOG(?:GING)?_?LEVEL", "INFO"),
    (r"PORT$", "1"),
    (r"REGION", "us-east-1"),
    (r"HOST", "localhost"),
    (r"(?:REDIS|BROKER|CELERY|CACHE)\w*(?:UR[IL]|DSN|BACKEND|BROKER)|BROKER$", "redis://localhost:1/0"),
    (r"(?:AMQP|RABBIT)\w*(?:UR[IL]|DSN)", "amqp://localhost:1"),
    (r"MONGO\w*(?:UR[IL]|DSN)", "mongodb://localhost:1/placeholder"),
    (r"(?:DATABASE|DB|POSTGRES\w*|SQLALCHEMY\w*|PG)_?(?:UR[IL]|DSN)|DSN$", "postgresql://localhost:1/placeholder"),
    (r"UR[IL]S?(?:_|$)|ENDPOINT|ORIGIN", "http://localhost:1"),
    (r"SERVER|DOMAIN", "localhost"),
    (r"_DIR(?:ECTORY)?$|_FOLDER$", "/tmp"),
)
"""The value by the name; the first that matches counts."""
OTHER_VALUE = "1"
"""A value that is a text, a number and true."""


def missing_variables(detail: str, declared: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names of the variables for lack of which an import ended, from the end of its traceback.

    :param declared: variables of which a value is known, so that they can be set whatever they are for.
    """
    return _can_be_set(_names(detail), declared)


def variables_without_default(detail: str, root: Path, declared: Collection[str] = ()) -> tuple[str, ...]:
    """Return the variables that a file of the repository reads without a default, if its use of ``None`` failed.

    :param detail: the end of a traceback; the file is that of its innermost frame in a copy of the repository.
    :param root: the repository.
    :param declared: variables of which a value is known.
    """
    error = last_line(detail)
    path = next((match["path"] for match in reversed(list(_OWN_FRAME.finditer(detail)))), "")
    if "NoneType" not in error or not path:
        return ()
    text = Tree(root).read_or_none(path) or ""
    if _JSON_OF_NONE.match(error):
        return tuple(dict.fromkeys(match["name"] for match in _READ_AS_JSON.finditer(text)))
    names = (match["name"] for match in _READ_WITHOUT_DEFAULT.finditer(text))
    candidates = _can_be_set(names, declared)
    return tuple(name for name in candidates if name in declared or not _SWITCH.search(name.upper()))


def _can_be_set(names: Iterable[str], declared: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in dict.fromkeys(names) if name in declared or not _NOT_SET.fullmatch(name))


def placeholder_of(name: str, detail: str = "") -> str:
    """Return a value for a variable that nothing can be reached with.

    :param detail: the end of the traceback that it is for the lack of: the value may have to be JSON.
    """
    if _JSON_OF_NONE.match(last_line(detail)):
        return JSON_VALUE
    return next((value for pattern, value in _VALUES if re.search(pattern, name.upper())), OTHER_VALUE)


def names_placeholder_module(detail: str, values: Iterable[str]) -> bool:
    """Return whether an import ended because a placeholder was taken for the name of a module."""
    match = _MISSING_MODULE.search(detail)
    return match is not None and not {*match["module"].split(".")}.isdisjoint(values)


def mentions(text: str, values: Iterable[str]) -> bool:
    """Return whether an exception names the value of a placeholder: another version of a library may refuse it."""
    return any(re.search(rf"(?<![\w.]){re.escape(value)}(?![\w.])", text) is not None for value in values)


def _names(detail: str) -> Iterator[str]:
    error = last_line(detail)
    for match in _NAMED.finditer(detail):
        yield match[str(match.lastgroup)]
    for pattern in (_KEY_ERROR, _KEY_ERROR_OF_OS):
        yield from (match["name"] for match in pattern.finditer(detail))
    yield from (match["name"].upper() for match in _MISSING_FIELD.finditer(detail))
    if "NoRegionError" in error:
        yield from ("AWS_DEFAULT_REGION", "AWS_REGION")
    if "SECRET_KEY setting must not be empty" in error:
        yield from ("SECRET_KEY", "DJANGO_SECRET_KEY")
    if _ABOUT_A_VARIABLE.search(error):
        yield from (match[0] for match in _LONG_NAME.finditer(error))
    if "None" in error:
        yield from (match["name"] for match in _READ_WITHOUT_DEFAULT.finditer(detail))
