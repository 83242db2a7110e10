"""What the hand rules mean, and since which release. Measured on the interpreters, save what is said of 3.14."""

from dataclasses import dataclass

from pytest_py312.core.model.findings import Severity

ERROR, WARNING = Severity.ERROR, Severity.WARNING


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """What a rule means from the release ``since`` on, until the next phase. ``raises`` names the exception."""

    since: tuple[int, int]
    code: str
    severity: Severity
    message: str
    raises: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleMeaning:
    """The phases of a rule, in their order, and what to write instead. ``{0}`` is the name the fact gives."""

    phases: tuple[Phase, ...]
    remedy: str


def _breaks(since: tuple[int, int], message: str, remedy: str, *raises: str, code: str = "PY206") -> RuleMeaning:
    return RuleMeaning(
        phases=(Phase(since=since, code=code, severity=ERROR, message=message, raises=raises),), remedy=remedy
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
    phases = [Phase(since=since, code="PY220", severity=WARNING, message=message)]
    if until is not None:
        phases.append(Phase(since=until, code=code, severity=ERROR, message=then, raises=raises))
    return RuleMeaning(phases=tuple(phases), remedy=remedy)


def _silent(since: tuple[int, int], message: str, remedy: str) -> RuleMeaning:
    phase = Phase(since=since, code="PY230", severity=WARNING, message=message)
    return RuleMeaning(phases=(phase,), remedy=remedy)


RULES: dict[str, RuleMeaning] = {
    "open-mode-u": _breaks(
        (3, 11), 'the mode "{0}" is refused: "U" is gone', 'leave "U" out: it has meant nothing since 3.0', "ValueError"
    ),
    "regex-flags": _breaks(
        (3, 11),
        "the regular expression no longer compiles: {0} does not stand at its start",
        "put {0} at the start of the pattern, or hand the flag over as an argument",
        "error",
        "PatternError",
    ),
    "sample-of-set": _breaks(
        (3, 11), "random.sample refuses a set", "hand over a sequence: random.sample(sorted(...), k)", "TypeError"
    ),
    "randrange-of-float": RuleMeaning(
        phases=(
            Phase(since=(3, 10), code="PY220", severity=WARNING, message="{0} with a float is deprecated"),
            Phase(
                since=(3, 12), code="PY206", severity=ERROR, message="{0} refuses floats", raises=("TypeError",)
            ),
        ),
        remedy="make it an int first: int(...) or //",
    ),
    "factorial-of-float": RuleMeaning(
        phases=(
            Phase(since=(3, 9), code="PY220", severity=WARNING, message="{0} with a float is deprecated"),
            Phase(
                since=(3, 10), code="PY206", severity=ERROR, message="{0} refuses floats", raises=("TypeError",)
            ),
        ),
        remedy="make it an int first: int(...)",
    ),
    "wait-of-coroutines": RuleMeaning(
        phases=(
            Phase(since=(3, 8), code="PY220", severity=WARNING, message="{0} with coroutines is deprecated"),
            Phase(
                since=(3, 11), code="PY206", severity=ERROR, message="{0} refuses coroutines", raises=("TypeError",)
            ),
        ),
        remedy="make tasks of them first: asyncio.create_task(...)",
    ),
    "decimal-as-int": _warns(
        (3, 8), "{0} with a Decimal or a Fraction is deprecated", "make it an int first: int(...)",
        until=(3, 10), then="{0} refuses a Decimal or a Fraction", raises=("TypeError",),
    ),
    "seed-type": _warns(
        (3, 9), "{0} with something else than None, int, float, str or bytes is deprecated",
        "make a text or a number of it first",
        until=(3, 11), then="{0} takes None, int, float, str and bytes only", raises=("TypeError",),
    ),
    "shlex-none": _warns(
        (3, 9), "{0}(None) is deprecated", "hand over the text: sys.stdin.read()",
        until=(3, 12), then="{0}(None) is refused", raises=("ValueError",),
    ),
    "no-items": _warns(
        (3, 8), "items of a {0} are deprecated", "loop over it, or call next()",
        until=(3, 11), then="a {0} has no items any more", raises=("TypeError",),
    ),
    "wide-port": _warns(
        (3, 7), "{0} of more than 16 bits is deprecated", "hand over the lower 16 bits: number & 0xFFFF",
        until=(3, 10), then="{0} refuses more than 16 bits", raises=("OverflowError",),
    ),
    "autospec-of-mock": _breaks(
        (3, 10), "{0} refuses a mock as the specification", "hand over the class that the mock stands for",
        "InvalidSpecError",
    ),
    "spec-of-mock": _breaks(
        (3, 11), "{0} refuses a mock as the specification", "hand over the class that the mock stands for",
        "InvalidSpecError",
    ),
    "regex-group": _warns(
        (3, 11), "the group {0} of a regular expression is deprecated", "write ASCII digits or letters alone",
        until=(3, 12), then="the group {0} of a regular expression is refused", raises=("error", "PatternError"),
    ),
    "process-executor": _breaks(
        (3, 11), "{0} takes a ThreadPoolExecutor only", "hand a process pool to run_in_executor", "TypeError"
    ),
    "mock-assertion": _breaks(
        (3, 12), "{0} is no assertion: a mock refuses the name", "write assert_{0}", "AttributeError"
    ),
    "mock-misspelt": _breaks(
        (3, 10), "{0} is no assertion: a mock refuses the name", "spell it assert_...", "AttributeError"
    ),
    "boolean-action": _warns(
        (3, 12), "{0} with type, choices or metavar is deprecated", "leave them out: they have no effect",
        until=(3, 14), then="{0} takes no type, choices or metavar", raises=("TypeError",),
    ),
    "typed-dict-keywords": _warns(
        (3, 11), "fields of {0} by keywords are deprecated", "hand over a dict, or write a class",
        until=(3, 13), then="{0} takes no fields by keywords any more", raises=("TypeError",),
    ),
    "named-tuple-keywords": _warns(
        (3, 13), "fields of {0} by keywords, or none at all, are deprecated", "hand over a list, or write a class"
    ),
    "ast-value": _warns(
        (3, 12), "{0} is deprecated", "read value", until=(3, 14), then="{0} is gone", raises=("AttributeError",)
    ),
    "ast-old-class": _warns(
        (3, 12), "{0} is deprecated", "use ast.Constant", until=(3, 14), then="{0} is gone", raises=("ImportError",)
    ),
    "int-of-trunc": _warns((3, 11), "int() through {0}.__trunc__ is deprecated", "define __int__"),
    "byte-string": _warns(
        (3, 12), "{0} is deprecated", "use collections.abc.Buffer (3.12), Sequence, or bytes and bytearray"
    ),
    "itertools-copy": _warns((3, 12), "copying and pickling {0} is deprecated", "make a list of it"),
    "fork-with-threads": _warns(
        (3, 12), "{0} in a program with threads is deprecated: the child may hang", "start the child before the threads"
    ),
    "child-watcher": _warns(
        (3, 12), "{0} is deprecated", "leave it out: child processes are watched all the same", until=(3, 14),
        then="{0} is gone", raises=("AttributeError",),
    ),
    "url-opener": _warns(
        (3, 3), "{0} is deprecated", "use urllib.request.urlopen, or build_opener", until=(3, 14), then="{0} is gone",
        raises=("AttributeError",),
    ),
    "load-module": _warns((3, 10), "{0} is deprecated", "use importlib.util.module_from_spec and exec_module"),
    "relative-to-many": _warns(
        (3, 12), "{0} with several arguments is deprecated", "join them first: relative_to(Path(a, b))",
        until=(3, 14), then="{0} takes one argument", raises=("TypeError",),
    ),
    "sqlite-named": _warns(
        (3, 12), "a sequence for placeholders with names is deprecated", "hand over a dict, or write ? in the statement"
    ),
    "sqlite-positional": _warns(
        (3, 13), "{0} with more than the database by position is deprecated", "name the parameters"
    ),
    "re-positional": _warns((3, 13), "{0} with count, maxsplit or flags by position is deprecated", "name them"),
    "strptime-without-year": _warns(
        (3, 13), "{0} of a day without a year is deprecated", "add a year to both, a leap year perhaps"
    ),
    "array-u": _warns((3, 13), 'the type code "u" of {0} is deprecated', 'use "w"'),
    "not-implemented-truth": _warns(
        (3, 9), "the truth of {0} is deprecated", "compare with is", until=(3, 14), then="{0} has no truth",
        raises=("TypeError",),
    ),
    "event-loop-needed": _warns(
        (3, 10), "{0} where no event loop is set is deprecated", "call it in a coroutine, run by asyncio.run(...)",
        until=(3, 14), then="{0} where no event loop is set raises a RuntimeError", raises=("RuntimeError",),
    ),
    "entry-points-mapping": _warns(
        (3, 10),
        "importlib.metadata.entry_points() as a mapping is deprecated",
        "select instead: entry_points(group=...)",
        until=(3, 12),
        then="importlib.metadata.entry_points() gives no mapping any more",
        raises=("AttributeError", "KeyError"),
    ),
    "code-type": _breaks(
        (3, 11),
        "types.CodeType takes other arguments",
        "change an existing code object instead: code.replace(...)",
        "TypeError",
    ),
    "unhashable-default": _breaks(
        (3, 11),
        'the default of "{0}" is refused: it is mutable (not hashable)',
        "use field(default_factory=...)",
        "ValueError",
    ),
    "path-context": _warns(
        (3, 11),
        "{0} as a context manager is deprecated",
        "leave the with statement out: it has done nothing since 3.9",
        until=(3, 13),
        then="{0} is no context manager any more",
        raises=("TypeError", "AttributeError"),
    ),
    "bool-invert": _warns((3, 12), "~ on a bool is deprecated", 'write "not", or int(...) before it'),
    "generator-throw": _warns(
        (3, 12), "{0}() with a type, a value and a traceback is deprecated", "hand over the exception alone"
    ),
    "element-truth": _warns(
        (3, 12), "the truth of an Element is deprecated", 'write "is not None", or len(element) > 0'
    ),
    "ssl-context": _warns(
        (3, 10),
        "{0} without a protocol for a client or a server is deprecated",
        "use ssl.PROTOCOL_TLS_CLIENT or ssl.PROTOCOL_TLS_SERVER",
    ),
    "ssl-old-version": _warns((3, 10), "{0} is deprecated", "use ssl.TLSVersion.TLSv1_2 or later"),
    "ssl-old-options": _warns((3, 10), "{0} is deprecated", "set context.minimum_version instead"),
    "co-lnotab": _warns((3, 12), "co_lnotab is deprecated", "use co_lines()"),
    "event-loop": _warns(
        (3, 12),
        "asyncio.get_event_loop() where no event loop is set is deprecated",
        "use asyncio.run(...), asyncio.get_running_loop() in coroutines, or asyncio.new_event_loop()",
        until=(3, 14),
        then="asyncio.get_event_loop() where no event loop is set raises a RuntimeError",
        raises=("RuntimeError",),
    ),
    "tar-filter": _warns(
        (3, 12),
        "{0} without a filter is deprecated (3.14 filters by itself)",
        'say which: filter="data", or filter="fully_trusted" as before',
    ),
    "sqlite-adapter": _warns(
        (3, 12),
        "the default adapter of sqlite3 for {0} is deprecated",
        "hand over value.isoformat(), or register an adapter of your own",
    ),
    "test-returns": _warns((3, 11), "{0} returns a value, which is deprecated for a test", "return nothing"),
    "ast-visitor": _warns(
        (3, 8),
        "{0} is deprecated: constants are visited by visit_Constant",
        "define visit_Constant",
        until=(3, 14),
        then="{0} is no longer called",
        code="PY207",
    ),
    "find-module-hook": _breaks(
        (3, 12), "{0} is no longer called: imports go on without this finder", "define find_spec", code="PY207"
    ),
    "refuses": _breaks((3, 0), "the module refuses this Python itself", "find out why, and lift it", "Exception"),
    "mixed-enum-format": _silent(
        (3, 11),
        "format() and f-strings give the name of a member of {0}, no longer its value",
        "write member.value, or derive from enum.StrEnum (3.11)",
    ),
    "int-enum-text": _silent(
        (3, 11), "str() gives the number of {0}, no longer its name", "write member.name, or repr(member)"
    ),
    "implicit-optional": _silent(
        (3, 11),
        "get_type_hints({0}) no longer makes a parameter with the default None optional",
        "write X | None, or Optional[X]",
    ),
    "classmethod-property": _silent(
        (3, 13), "{0} is no property of the class any more: classmethod no longer wraps property", "define a descriptor"
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Needed:
    """What the releases before ``since`` refuse."""

    since: tuple[int, int]
    what: str
    raises: tuple[str, ...] = ("TypeError",)


NEEDED: dict[str, Needed] = {
    "union-of-types": Needed(since=(3, 10), what="X | Y for types"),
    "regex-possessive": Needed(
        since=(3, 11), what="a possessive or atomic part of a regular expression", raises=("error", "PatternError")
    ),
    "iso-text": Needed(
        since=(3, 11), what="fromisoformat of a text that isoformat does not write", raises=("ValueError",)
    ),
    "enum-contains": Needed(since=(3, 12), what="asking an enumeration whether it has a value that is no member"),
    "from-bytes": Needed(since=(3, 11), what="the default of byteorder of int.from_bytes"),
    "to-bytes": Needed(since=(3, 11), what="the defaults of length and byteorder of int.to_bytes"),
    "generic-record": Needed(since=(3, 11), what="a NamedTuple or a TypedDict that is generic"),
    "static-called": Needed(since=(3, 10), what="calling a static method in the body of its class"),
    "bit-count": Needed(since=(3, 10), what="int.bit_count", raises=("AttributeError",)),
    "zip-strict": Needed(since=(3, 10), what="the parameter strict of zip"),
}
