"""Which findings are mended by a change, and which stay a sentence."""

from dataclasses import replace
from textwrap import dedent

import pytest

from pytest_py312.analysis.judging.replacements import MOVED, NAMES, RENAMED, UTC, asked_for, with_changes
from pytest_py312.analysis.scanner.scan import scan_text
from pytest_py312.core.model.findings import Confidence, Finding, Location, SourceChange

PATH = "services/app/app.py"
PLACE = Location(path=PATH, line=2, column=5)
NOTHING = scan_text("", PATH)


def found(name: str, code: str = "PY202", message: str = "it is gone") -> Finding:
    return Finding(code=code, message=message, location=PLACE, names=(name,) if name else ())


@pytest.mark.parametrize(
    ("finding", "old", "new"),
    [
        (found("collections.Mapping"), "collections.Mapping", "collections.abc.Mapping"),
        (
            found("unittest.IsolatedAsyncioTestCase.assertEquals", "PY203"),
            "unittest.IsolatedAsyncioTestCase.assertEquals",
            "unittest.IsolatedAsyncioTestCase.assertEqual",
        ),
        (found("threading.Thread.getName", "PY220"), "threading.Thread.getName", "threading.Thread.name"),
        (found("", "PY221", "3.11 warns: invalid escape sequence '\\d'"), "\\d", "\\\\d"),
        (found("", "PY221", "3.12 warns: invalid escape sequence '\\('"), "\\(", "\\\\("),
        (found("", "PY221", '3.14 warns: "\\.b" is an invalid escape sequence. Did'), "\\.", "\\\\."),
    ],
)
def test_what_has_a_successor_of_the_same_meaning_is_mended(finding: Finding, old: str, new: str) -> None:
    """At the place of the finding."""
    finding = replace(finding, message=finding.message.replace("\\.b", "\\."))
    assert with_changes(finding, NOTHING).changes == (SourceChange(path=PATH, line=2, column=5, old=old, new=new),)


@pytest.mark.parametrize(
    "finding",
    [
        found("asyncio.coroutine"),
        found("ssl.wrap_socket"),
        found("imp.load_source"),
        found("imp", "PY201"),
        found("distutils.version", "PY201"),
        found("collections.Mapping", "PY210"),
        found("asyncio.wait(loop)", "PY204"),
        found("", "PY220"),
        found("", "PY202"),
        found("", "PY221", '3.12 warns: "is" with a literal. Did you mean "=="?'),
        found("", "PY221", "3.12 warns: invalid octal escape sequence '\\777'"),
        replace(found("collections.Mapping"), waived=True),
        replace(found("collections.Mapping"), location=Location(path=PATH)),
        replace(found("collections.Mapping"), location=None),
        replace(found("threading.Thread.isAlive", "PY203"), confidence=Confidence.LIKELY),
    ],
)
def test_what_needs_thought_is_not(finding: Finding) -> None:
    assert with_changes(finding, NOTHING).changes == ()


def test_a_name_of_ones_own_keeps_its_name() -> None:
    """``self.warn`` was given to something of the library: to call it ``self.warning`` would name nothing."""
    text = """
        import logging
        class Job:
            def __init__(self):
                self.warn = logging.getLogger().warn
            def run(self):
                self.warn("late")
        """
    facts = scan_text(dedent(text).lstrip(), PATH)
    given = replace(found("logging.Logger.warn", "PY220"), location=Location(path=PATH, line=6, column=9))
    named = replace(given, location=Location(path=PATH, line=4, column=21))
    assert with_changes(given, facts).changes == ()
    assert [change.new for change in with_changes(named, facts).changes] == ["logging.Logger.warning"]


def test_an_assertion_of_something_unknown_is_one_of_unittest() -> None:
    """Nobody else has methods of these names, so a mixin of test cases is mended as well."""
    finding = replace(found("unittest.TestCase.assertEquals", "PY203"), confidence=Confidence.LIKELY)
    assert [change.new for change in with_changes(finding, NOTHING).changes if isinstance(change, SourceChange)] == [
        "unittest.TestCase.assertEqual"
    ]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("import imp\nimp.reload(x)\nimp.reload(y)\n", [2, 3]),
        ("from imp import reload\nreload(x)\n", [1]),
        ("import imp\nimp.reload(x)\nimp.find_module('y')\n", []),
        ("import imp\ngetattr(imp, 'find_module')\nimp.reload(x)\n", []),
    ],
)
def test_a_module_is_mended_where_all_of_it_that_is_used_has_moved(text: str, lines: list[int]) -> None:
    changes = with_changes(found("imp", "PY201"), scan_text(text, PATH)).changes
    assert [(change.line, change.new) for change in changes] == [(line, "importlib.reload") for line in lines]


def test_every_name_that_is_mended_has_a_remedy_in_words() -> None:
    """And the words name what is written."""
    for old, new in MOVED.items():
        known = NAMES.get(old)
        assert known is None or old in UTC or any(part in known.remedy for part in new.rsplit(".", 1)), old
    known_last = {name.rpartition(".")[2] for name in NAMES}
    assert [last for _, last in RENAMED if last not in known_last and not last.startswith("fail")] == []


def test_times_in_utc_are_mended_only_where_it_was_asked_for() -> None:
    (change,) = with_changes(found("datetime.datetime.utcnow", "PY220"), NOTHING).changes
    assert isinstance(change, SourceChange)
    assert asked_for(change, "") is None
    assert asked_for(change, "aware") == change
    assert asked_for(change, "naive") == replace(change, new=f"{change.new}.replace(tzinfo=None)")


def test_all_others_are_made_in_any_case() -> None:
    change = SourceChange(path=PATH, line=1, column=1, old="pipes.quote", new="shlex.quote")
    assert [asked_for(change, utc) for utc in ("", "aware", "naive")] == [change] * 3
