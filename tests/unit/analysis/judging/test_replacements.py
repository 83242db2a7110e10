"""Which findings have a source change, and which only a remedy in words."""

from dataclasses import replace
from textwrap import dedent

import pytest

from pytest_py312.analysis.judging.replacement_table import MODULE_REPLACEMENTS, NAME_REPLACEMENTS
from pytest_py312.analysis.judging.replacements import (
    MOVED_NAMES,
    RENAMED_NAMES,
    UTC_REPLACEMENTS,
    apply_utc_choice,
    attach_changes,
)
from pytest_py312.analysis.scanner.scan import scan_text
from pytest_py312.core.model.findings import Confidence, Finding, Location, SourceChange

PATH = "services/app/app.py"
PLACE = Location(path=PATH, line=2, column=5)
NOTHING = scan_text("", PATH)


def finding_for(name: str, code: str = "PY202", message: str = "it is gone") -> Finding:
    return Finding(code=code, message=message, location=PLACE, names=(name,) if name else ())


@pytest.mark.parametrize(
    ("finding", "old", "new"),
    [
        (finding_for("collections.Mapping"), "collections.Mapping", "collections.abc.Mapping"),
        (
            finding_for("unittest.IsolatedAsyncioTestCase.assertEquals", "PY203"),
            "unittest.IsolatedAsyncioTestCase.assertEquals",
            "unittest.IsolatedAsyncioTestCase.assertEqual",
        ),
        (finding_for("threading.Thread.getName", "PY220"), "threading.Thread.getName", "threading.Thread.name"),
        (
            finding_for("random.randint", "PY206", "random.randint rejects floats"),
            "random.randint(float)",
            "random.randint(int)",
        ),
        (finding_for("has_calls", "PY206"), "has_calls", "assert_has_calls"),
        (finding_for('locals()["x"]', "PY206"), 'locals()["x"]', "namespace[...]"),
        (finding_for("", "PY221", "3.11 warns: invalid escape sequence '\\d'"), "\\d", "\\\\d"),
        (finding_for("", "PY221", "3.12 warns: invalid escape sequence '\\('"), "\\(", "\\\\("),
        (finding_for("", "PY221", '3.14 warns: "\\.b" is an invalid escape sequence. Did'), "\\.", "\\\\."),
    ],
)
def test_what_has_a_successor_of_the_same_meaning_is_fixed(finding: Finding, old: str, new: str) -> None:
    """The change is at the location of the finding."""
    finding = replace(finding, message=finding.message.replace("\\.b", "\\."))
    assert attach_changes(finding, NOTHING).changes == (SourceChange(path=PATH, line=2, column=5, old=old, new=new),)


@pytest.mark.parametrize(
    "finding",
    [
        finding_for("asyncio.coroutine"),
        finding_for("ssl.wrap_socket"),
        finding_for("imp.load_source"),
        finding_for("imp", "PY201"),
        finding_for("distutils.version", "PY201"),
        finding_for("collections.Mapping", "PY210"),
        finding_for("asyncio.wait(loop)", "PY204"),
        finding_for("", "PY220"),
        finding_for("", "PY202"),
        finding_for("", "PY221", '3.12 warns: "is" with a literal. Did you mean "=="?'),
        finding_for("", "PY221", "3.12 warns: invalid octal escape sequence '\\777'"),
        replace(finding_for("collections.Mapping"), waived=True),
        replace(finding_for("collections.Mapping"), location=Location(path=PATH)),
        replace(finding_for("collections.Mapping"), location=None),
        replace(finding_for("threading.Thread.isAlive", "PY203"), confidence=Confidence.LIKELY),
    ],
)
def test_what_needs_thought_has_no_change(finding: Finding) -> None:
    assert attach_changes(finding, NOTHING).changes == ()


def test_an_own_alias_is_not_renamed() -> None:
    """``self.warn`` was assigned a library function: ``self.warning`` does not exist."""
    text = """
        import logging
        class Job:
            def __init__(self):
                self.warn = logging.getLogger().warn
            def run(self):
                self.warn("late")
        """
    facts = scan_text(dedent(text).lstrip(), PATH)
    given = replace(finding_for("logging.Logger.warn", "PY220"), location=Location(path=PATH, line=6, column=9))
    named = replace(given, location=Location(path=PATH, line=4, column=21))
    assert attach_changes(given, facts).changes == ()
    assert [change.new for change in attach_changes(named, facts).changes] == ["logging.Logger.warning"]


def test_an_assertion_of_an_untyped_object_is_one_of_unittest() -> None:
    """No other library has methods of these names, so a mixin of test cases is fixed as well."""
    finding = replace(finding_for("unittest.TestCase.assertEquals", "PY203"), confidence=Confidence.LIKELY)
    assert [change.new for change in attach_changes(finding, NOTHING).changes if isinstance(change, SourceChange)] == [
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
def test_a_module_is_fixed_where_all_of_it_that_is_used_has_moved(text: str, lines: list[int]) -> None:
    changes = attach_changes(finding_for("imp", "PY201"), scan_text(text, PATH)).changes
    assert [(change.line, change.new) for change in changes] == [(line, "importlib.reload") for line in lines]


def test_every_name_that_is_fixed_has_a_remedy_in_words() -> None:
    """The remedy contains the new name."""
    for old, new in MOVED_NAMES.items():
        replacement = NAME_REPLACEMENTS.get(old)
        assert (
            replacement is None
            or old in UTC_REPLACEMENTS
            or any(part in replacement.remedy for part in new.rsplit(".", 1))
        ), old
    known_last = {name.rpartition(".")[2] for name in NAME_REPLACEMENTS}
    assert [last for _, last in RENAMED_NAMES if last not in known_last and not last.startswith("fail")] == []


def test_times_in_utc_are_fixed_only_on_request() -> None:
    (change,) = attach_changes(finding_for("datetime.datetime.utcnow", "PY220"), NOTHING).changes
    assert isinstance(change, SourceChange)
    assert apply_utc_choice(change, "") is None
    assert apply_utc_choice(change, "aware") == change
    assert apply_utc_choice(change, "naive") == replace(change, new=f"{change.new}.replace(tzinfo=None)")


def test_all_other_changes_are_applied_in_any_case() -> None:
    change = SourceChange(path=PATH, line=1, column=1, old="pipes.quote", new="shlex.quote")
    assert [apply_utc_choice(change, utc) for utc in ("", "aware", "naive")] == [change] * 3


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("import imp\nimp.reload(x)\n", "imp.reload: use importlib.reload"),
        (
            "import imp\nm = imp.load_source('a', 'b')\nimp.find_module('c')\n",
            "imp.load_source: use importlib.util.spec_from_file_location and module_from_spec; "
            "imp.find_module: use importlib.util.find_spec",
        ),
        ("from imp import get_magic\n", "imp.get_magic: use importlib.util.MAGIC_NUMBER"),
    ],
)
def test_the_remedy_says_which_function_replaces_which_use(text: str, remedy: str) -> None:
    """Of those that this file uses."""
    assert attach_changes(finding_for("imp", "PY201"), scan_text(text, PATH)).remedy == remedy


def test_every_function_of_imp_has_a_replacement() -> None:
    """Of those that users call; the general remedy names the usual ones."""
    functions = (
        "acquire_lock", "cache_from_source", "find_module", "get_magic", "get_suffixes", "get_tag", "init_builtin",
        "init_frozen", "is_builtin", "is_frozen", "load_compiled", "load_dynamic", "load_module", "load_package",
        "load_source", "lock_held", "new_module", "release_lock", "reload", "source_from_cache",
    )  # fmt: skip
    assert [name for name in functions if f"imp.{name}" not in NAME_REPLACEMENTS] == []
    assert "load_source" in MODULE_REPLACEMENTS["imp"].remedy
