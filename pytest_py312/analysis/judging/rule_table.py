"""The meaning of the hand-written rules by release.

All entries were measured on the interpreters, except those for 3.14.
"""

from dataclasses import dataclass

from pytest_py312.core.model.findings import Severity

ERROR, WARNING = Severity.ERROR, Severity.WARNING


@dataclass(frozen=True, kw_only=True, slots=True)
class RulePhase:
    """Effect of a rule from the release ``since`` until the next phase. ``raises`` names the exceptions."""

    since: tuple[int, int]
    code: str
    severity: Severity
    message: str
    raises: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleMeaning:
    """The phases of a rule in their order, and the remedy. ``{0}`` stands for the name in the fact."""

    phases: tuple[RulePhase, ...]
    remedy: str


def _breaks(since: tuple[int, int], message: str, remedy: str, *raises: str, code: str = "PY206") -> RuleMeaning:
    return RuleMeaning(
        phases=(RulePhase(since=since, code=code, severity=ERROR, message=message, raises=raises),), remedy=remedy
    )


def _warns(
    since: tuple[int, int],
    message: str,
    remedy: str,
    *,
    until: tuple[int, int] | None = None,
    then: str = "",
    raises: tuple[str, ...] = (),
    code: str = "PY206",
) -> RuleMeaning:
    phases = [RulePhase(since=since, code="PY220", severity=WARNING, message=message)]
    if until is not None:
        phases.append(RulePhase(since=until, code=code, severity=ERROR, message=then, raises=raises))
    return RuleMeaning(phases=tuple(phases), remedy=remedy)


def _changes_silently(since: tuple[int, int], message: str, remedy: str) -> RuleMeaning:
    phase = RulePhase(since=since, code="PY230", severity=WARNING, message=message)
    return RuleMeaning(phases=(phase,), remedy=remedy)


RULES: dict[str, RuleMeaning] = {
    "exec-locals": _breaks(
        (3, 13), "{0} no longer has the names that exec has bound",
        "pass a dictionary: exec(text, globals(), names), then names[...]", "KeyError",
    ),
    "open-mode-u": _breaks(
        (3, 11), 'the mode "{0}" is rejected: "U" was removed', 'remove "U": it has no effect since 3.0', "ValueError"
    ),
    "regex-flags": _breaks(
        (3, 11), "the regular expression no longer compiles: {0} is not at its start",
        "put {0} at the start of the pattern, or pass the flag as an argument", "error", "PatternError",
    ),
    "sample-of-set": _breaks(
        (3, 11), "random.sample rejects sets", "pass a sequence: random.sample(sorted(...), k)", "TypeError"
    ),
    "randrange-of-float": _warns(
        (3, 10), "{0} with a float is deprecated", "convert it to int first: int(...) or //",
        until=(3, 12), then="{0} rejects floats", raises=("TypeError",),
    ),
    "factorial-of-float": _warns(
        (3, 9), "{0} with a float is deprecated", "convert it to int first: int(...)",
        until=(3, 10), then="{0} rejects floats", raises=("TypeError",),
    ),
    "wait-of-coroutines": _warns(
        (3, 8), "{0} with coroutines is deprecated", "create tasks first: asyncio.create_task(...)",
        until=(3, 11), then="{0} rejects coroutines", raises=("TypeError",),
    ),
    "decimal-as-int": _warns(
        (3, 8), "{0} with a Decimal or a Fraction is deprecated", "convert it to int first: int(...)",
        until=(3, 10), then="{0} rejects a Decimal or a Fraction", raises=("TypeError",),
    ),
    "seed-type": _warns(
        (3, 9), "{0} with anything other than None, int, float, str or bytes is deprecated",
        "convert it to a string or a number first",
        until=(3, 11), then="{0} accepts only None, int, float, str and bytes", raises=("TypeError",),
    ),
    "shlex-none": _warns(
        (3, 9), "{0}(None) is deprecated", "pass the text: sys.stdin.read()",
        until=(3, 12), then="{0}(None) is rejected", raises=("ValueError",),
    ),
    "no-items": _warns(
        (3, 8), "indexing a {0} is deprecated", "loop over it, or call next()",
        until=(3, 11), then="a {0} no longer supports indexing", raises=("TypeError",),
    ),
    "wide-port": _warns(
        (3, 7), "{0} with more than 16 bits is deprecated", "pass the lower 16 bits: number & 0xFFFF",
        until=(3, 10), then="{0} rejects more than 16 bits", raises=("OverflowError",),
    ),
    "autospec-of-mock": _breaks(
        (3, 10), "{0} rejects a mock as the specification", "pass the class that the mock replaces",
        "InvalidSpecError",
    ),
    "spec-of-mock": _breaks(
        (3, 11), "{0} rejects a mock as the specification", "pass the class that the mock replaces",
        "InvalidSpecError",
    ),
    "regex-group": _warns(
        (3, 11), "the group {0} of a regular expression is deprecated", "use ASCII digits or letters only",
        until=(3, 12), then="the group {0} of a regular expression is rejected", raises=("error", "PatternError"),
    ),
    "process-executor": _breaks(
        (3, 11), "{0} accepts only a ThreadPoolExecutor", "pass a process pool to run_in_executor", "TypeError"
    ),
    "mock-assertion": _breaks(
        (3, 12), "{0} is not an assertion: mocks reject the name", "write assert_{0}", "AttributeError"
    ),
    "mock-assertion-asserted": _breaks(
        (3, 12), "{0} is not an assertion: mocks reject the name",
        "replace the assert statement by a call of assert_{0}(...) without `assert`: it returns None, which an assert "
        "statement would take for a failure", "AttributeError",
    ),
    "mock-misspelt": _breaks(
        (3, 10), "{0} is not an assertion: mocks reject the name", "spell it assert_...", "AttributeError"
    ),
    "boolean-action": _warns(
        (3, 12), "{0} with type, choices or metavar is deprecated", "remove them: they have no effect",
        until=(3, 14), then="{0} does not accept type, choices or metavar", raises=("TypeError",),
    ),
    "typed-dict-keywords": _warns(
        (3, 11), "fields of {0} as keyword arguments are deprecated", "pass a dict, or define a class",
        until=(3, 13), then="{0} no longer accepts fields as keyword arguments", raises=("TypeError",),
    ),
    "named-tuple-keywords": _warns(
        (3, 13), "fields of {0} as keyword arguments, or no fields, are deprecated", "pass a list, or define a class"
    ),
    "ast-value": _warns(
        (3, 12), "{0} is deprecated", "read value", until=(3, 14), then="{0} was removed", raises=("AttributeError",)
    ),
    "ast-old-class": _warns(
        (3, 12), "{0} is deprecated", "use ast.Constant", until=(3, 14), then="{0} was removed", raises=("ImportError",)
    ),
    "int-of-trunc": _warns((3, 11), "int() through {0}.__trunc__ is deprecated", "define __int__"),
    "byte-string": _warns(
        (3, 12), "{0} is deprecated", "use collections.abc.Buffer (3.12), Sequence, or bytes and bytearray"
    ),
    "itertools-copy": _warns((3, 12), "copying and pickling {0} is deprecated", "convert it to a list"),
    "fork-with-threads": _warns(
        (3, 12), "{0} in a program with threads is deprecated: the child may hang", "start the child before the threads"
    ),
    "child-watcher": _warns(
        (3, 12), "{0} is deprecated", "remove it: child processes are watched anyway", until=(3, 14),
        then="{0} was removed", raises=("AttributeError",),
    ),
    "url-opener": _warns(
        (3, 3), "{0} is deprecated", "use urllib.request.urlopen, or build_opener", until=(3, 14),
        then="{0} was removed", raises=("AttributeError",),
    ),
    "load-module": _warns((3, 10), "{0} is deprecated", "use importlib.util.module_from_spec and exec_module"),
    "relative-to-many": _warns(
        (3, 12), "{0} with several arguments is deprecated", "join them first: relative_to(Path(a, b))",
        until=(3, 14), then="{0} accepts one argument", raises=("TypeError",),
    ),
    "sqlite-named": _warns(
        (3, 12), "a sequence for named placeholders is deprecated", "pass a dict, or use ? in the statement"
    ),
    "sqlite-positional": _warns(
        (3, 13), "{0} with positional arguments after the database is deprecated", "pass them by name"
    ),
    "re-positional": _warns((3, 13), "{0} with positional count, maxsplit or flags is deprecated", "pass them by name"),
    "strptime-without-year": _warns(
        (3, 13), "{0} of a day without a year is deprecated", "add a year to text and format, for example a leap year"
    ),
    "array-u": _warns((3, 13), 'the type code "u" of {0} is deprecated', 'use "w"'),
    "not-implemented-truth": _warns(
        (3, 9), "the truth value of {0} is deprecated", "compare with is", until=(3, 14), then="{0} has no truth value",
        raises=("TypeError",),
    ),
    "event-loop-needed": _warns(
        (3, 10), "{0} without a current event loop is deprecated", "call it in a coroutine that asyncio.run(...) runs",
        until=(3, 14), then="{0} without a current event loop raises a RuntimeError", raises=("RuntimeError",),
    ),
    "entry-points-mapping": _warns(
        (3, 10), "importlib.metadata.entry_points() as a mapping is deprecated",
        "select instead: entry_points(group=...)", until=(3, 12),
        then="importlib.metadata.entry_points() no longer returns a mapping", raises=("AttributeError", "KeyError"),
    ),
    "code-type": _breaks(
        (3, 11), "the arguments of types.CodeType have changed",
        "change an existing code object instead: code.replace(...)", "TypeError",
    ),
    "unhashable-default": _breaks(
        (3, 11), 'the default of "{0}" is rejected: it is mutable (not hashable)',
        "use field(default_factory=...)", "ValueError",
    ),
    "path-context": _warns(
        (3, 11), "{0} as a context manager is deprecated",
        "remove the with statement: it has had no effect since 3.9", until=(3, 13),
        then="{0} is no longer a context manager", raises=("TypeError", "AttributeError"),
    ),
    "bool-invert": _warns((3, 12), "~ on a bool is deprecated", 'use "not", or convert with int(...) first'),
    "generator-throw": _warns(
        (3, 12), "{0}() with a type, a value and a traceback is deprecated", "pass only the exception"
    ),
    "element-truth": _warns(
        (3, 12), "the truth value of an Element is deprecated", 'write "is not None", or len(element) > 0'
    ),
    "ssl-context": _warns(
        (3, 10), "{0} without a protocol for a client or a server is deprecated",
        "use ssl.PROTOCOL_TLS_CLIENT or ssl.PROTOCOL_TLS_SERVER",
    ),
    "ssl-old-version": _warns((3, 10), "{0} is deprecated", "use ssl.TLSVersion.TLSv1_2 or later"),
    "ssl-old-options": _warns((3, 10), "{0} is deprecated", "set context.minimum_version instead"),
    "co-lnotab": _warns((3, 12), "co_lnotab is deprecated", "use co_lines()"),
    "event-loop": _warns(
        (3, 12), "asyncio.get_event_loop() without a current event loop is deprecated",
        "use asyncio.run(...), asyncio.get_running_loop() in coroutines, or asyncio.new_event_loop()", until=(3, 14),
        then="asyncio.get_event_loop() without a current event loop raises a RuntimeError", raises=("RuntimeError",),
    ),
    "tar-filter": _warns(
        (3, 12), "{0} without a filter is deprecated (3.14 filters by default)",
        'pass filter="data", or filter="fully_trusted" for the previous behaviour',
    ),
    "sqlite-adapter": _warns(
        (3, 12), "the default adapter of sqlite3 for {0} is deprecated",
        "pass value.isoformat(), or register your own adapter",
    ),
    "test-returns": _warns((3, 11), "{0} returns a value, which is deprecated for a test", "return nothing"),
    "ast-visitor": _warns(
        (3, 8), "{0} is deprecated: constants are visited by visit_Constant", "define visit_Constant",
        until=(3, 14), then="{0} is no longer called", code="PY207",
    ),
    "find-module-hook": _breaks(
        (3, 12), "{0} is no longer called: imports ignore this finder", "define find_spec", code="PY207"
    ),
    "refuses": _breaks(
        (3, 0), "the module itself rejects this Python version", "find out why, and remove the restriction", "Exception"
    ),
    "refuses-call": _changes_silently(
        (3, 0), "a function rejects this Python version", "find out why, and remove the restriction"
    ),
    "version-table": _breaks(
        (3, 0), "{0} has no entry for this Python version", "add one for it, or call .get() with a default", "KeyError"
    ),
    "version-cut": _changes_silently(
        (3, 10), '{0} is "3.1" on 3.10 and later', 'write "%d.%d" % sys.version_info[:2]'
    ),
    "version-as-text": _changes_silently(
        (3, 10), "this comparison takes 3.10 and later for older than {0}: it compares text or a float",
        "compare numbers: sys.version_info >= (3, 7)",
    ),
    "mixed-enum-format": _changes_silently(
        (3, 11), "format() and f-strings use the name of a member of {0} instead of its value",
        "write member.value, or derive from enum.StrEnum (3.11)",
    ),
    "int-enum-text": _changes_silently(
        (3, 11), "str() returns the number of {0} instead of its name", "write member.name, or repr(member)"
    ),
    "thread-at-exit": _changes_silently(
        (3, 12), "{0}, which atexit calls, starts a thread: a RuntimeError while the interpreter ends",
        "do the work in the function itself, or before the program ends",
    ),
    "strict-certificates": _changes_silently(
        (3, 13), "{0} verifies strictly (VERIFY_X509_STRICT): certificates of an own authority that do not follow "
        "RFC 5280 are rejected", "issue them with the extensions of RFC 5280, or unset the flag of the context",
    ),
    "start-method": _changes_silently(
        (3, 14), "{0} starts children by forkserver instead of fork: they do not inherit what the program has set, and "
        "their arguments have to be picklable", 'pass what they need as arguments, or get_context("fork")',
    ),
    "implicit-optional": _changes_silently(
        (3, 11), "get_type_hints({0}) no longer makes a parameter with the default None optional",
        "write X | None, or Optional[X]",
    ),
    "classmethod-property": _changes_silently(
        (3, 13), "{0} is no longer a class property: classmethod no longer wraps property", "define a descriptor"
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class NewFeature:
    """A feature that releases before ``since`` reject."""

    since: tuple[int, int]
    description: str
    raises: tuple[str, ...] = ("TypeError",)


NEW_FEATURES: dict[str, NewFeature] = {
    "union-of-types": NewFeature(since=(3, 10), description="X | Y for types"),
    "regex-possessive": NewFeature(
        since=(3, 11),
        description="a possessive or atomic part of a regular expression",
        raises=("error", "PatternError"),
    ),
    "iso-text": NewFeature(
        since=(3, 11), description="fromisoformat with a format other than that of isoformat", raises=("ValueError",)
    ),
    "enum-contains": NewFeature(
        since=(3, 12), description="testing whether an enumeration contains a value that is not a member"
    ),
    "from-bytes": NewFeature(since=(3, 11), description="the default of byteorder of int.from_bytes"),
    "to-bytes": NewFeature(since=(3, 11), description="the defaults of length and byteorder of int.to_bytes"),
    "generic-record": NewFeature(since=(3, 11), description="a generic NamedTuple or TypedDict"),
    "static-called": NewFeature(since=(3, 10), description="calling a static method in the body of its class"),
    "bit-count": NewFeature(since=(3, 10), description="int.bit_count", raises=("AttributeError",)),
    "zip-strict": NewFeature(since=(3, 10), description="the parameter strict of zip"),
}
