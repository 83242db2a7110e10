"""Rewriting of source: only the characters of a name change, the meaning stays, and everything else is refused."""

import ast
import collections
import importlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_py312.analysis.judging.replacements import MOVED_NAMES, RENAMED_NAMES, apply_utc_choice, attach_changes
from pytest_py312.analysis.scanner.facts.facts import FileFacts
from pytest_py312.analysis.scanner.scan import scan_text
from pytest_py312.core.model.findings import Finding, Location, SourceChange
from pytest_py312.core.text_edits import EditRefused
from pytest_py312.repository.edits.python.mock_assertions import REMOVED
from pytest_py312.repository.edits.python.rewrite import RewriteResult, rewrite
from pytest_py312.repository.edits.python.syntax import decode_source

PATH = "services/app/app.py"


def changes_of(text: str, utc: str = "") -> list[SourceChange]:
    """What would be changed if an interpreter had none of the names that are known to be mendable."""
    facts = scan_text(text, PATH)
    found = [change for finding in _findings(facts) for change in attach_changes(finding, facts).changes]
    wanted = [apply_utc_choice(change, utc) for change in found if isinstance(change, SourceChange)]
    return [change for change in wanted if change is not None]


def _findings(facts: FileFacts) -> list[Finding]:
    findings = []
    for reference in facts.references:
        name = f"{reference.module}.{reference.path}".replace("()", "").rstrip(".")
        known = name in MOVED_NAMES or (name.partition(".")[0], name.rpartition(".")[2]) in RENAMED_NAMES
        gone = name in ("imp", "pipes") and reference.kind == "import"
        if gone or (known and reference.kind != "use" and reference.module not in ("imp", "pipes")):
            place = Location(path=PATH, line=reference.line, column=reference.column)
            findings.append(Finding(code="PY201" if gone else "PY202", message=name, location=place, names=(name,)))
    return findings


def rewritten(text: str, utc: str = "") -> RewriteResult:
    return rewrite(text, changes_of(text, utc))


def once_and_twice(text: str, utc: str = "") -> str:
    """Return the rewritten text, in which nothing is left to change."""
    done = rewritten(text, utc)
    assert done.refused == ()
    assert changes_of(done.text, utc) == []
    return done.text


# ---- names


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "import unittest\nclass T(unittest.TestCase):\n\tdef test(self):\n\t\tself.assertEquals(1, 1)  # why\n",
            "import unittest\nclass T(unittest.TestCase):\n\tdef test(self):\n\t\tself.assertEqual(1, 1)  # why\n",
        ),
        (
            "import unittest\nclass T(unittest.TestCase):\n def test(self):\n  (self\n   .assert_(1)\n  )\n",
            "import unittest\nclass T(unittest.TestCase):\n def test(self):\n  (self\n   .assertTrue(1)\n  )\n",
        ),
        (
            "import configparser as c\np = c.SafeConfigParser()\np.readfp(f)\n",
            "import configparser as c\np = c.ConfigParser()\np.read_file(f)\n",
        ),
        (
            "import base64, logging\nbase64.encodestring(b''); logging.warn('%s', x)\n",
            "import base64, logging\nbase64.encodebytes(b''); logging.warning('%s', x)\n",
        ),
        ("import inspect\na = inspect.getargspec(f)[0]\n", "import inspect\na = inspect.getfullargspec(f)[0]\n"),
        (
            "import unittest\ns = unittest.makeSuite(Case)\n",
            "import unittest\ns = unittest.defaultTestLoader.loadTestsFromTestCase(Case)\n",
        ),
        (
            "import threading\nt = threading.Thread(target=f)\nt.setDaemon(True)\nprint(t.getName(), t.isAlive())\n",
            "import threading\nt = threading.Thread(target=f)\nt.daemon = True\nprint(t.name, t.is_alive())\n",
        ),
        (
            "é = '学'; import threading; é = '学', threading.currentThread()\n",
            "é = '学'; import threading; é = '学', threading.current_thread()\n",
        ),
    ],
)
def test_a_name_becomes_its_successor(before: str, after: str) -> None:
    """In the same class or module; nothing else of the line changes."""
    assert once_and_twice(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import collections\nx: collections.Mapping\n", "import collections.abc\nx: collections.abc.Mapping\n"),
        (
            "def f():\n    import os, collections\n    return collections.Set, collections.OrderedDict\n",
            "def f():\n    import os, collections.abc\n    return collections.abc.Set, collections.OrderedDict\n",
        ),
        (
            "import collections\nimport collections.abc\nx = collections.Mapping\n",
            "import collections\nimport collections.abc\nx = collections.abc.Mapping\n",
        ),
        ("from collections import Mapping as M, Set\n", "from collections.abc import Mapping as M, Set\n"),
        (
            "from collections import Mapping, OrderedDict  # both\n",
            "from collections import OrderedDict  # both\nfrom collections.abc import Mapping\n",
        ),
        (
            "if x:\r\n\tfrom collections import (\r\n\t\tdeque,\r\n\t\tMapping,\r\n\t\tSet as S,\r\n\t)\r\n",
            "if x:\r\n\tfrom collections import (\r\n\t\tdeque,\r\n\t)\r\n"
            "\tfrom collections.abc import Mapping, Set as S\r\n",
        ),
        (
            "if x: from collections import deque, Mapping; y = 1\n",
            "if x: from collections import deque; from collections.abc import Mapping; y = 1\n",
        ),
        (
            "from collections import Mapping, deque",
            "from collections import deque\nfrom collections.abc import Mapping",
        ),
        (
            "from configparser import SafeConfigParser\np = SafeConfigParser()\n",
            "from configparser import ConfigParser as SafeConfigParser\np = SafeConfigParser()\n",
        ),
        ("from base64 import (encodestring as e, b64encode)\n", "from base64 import (encodebytes as e, b64encode)\n"),
        ("import imp, os\nimp.reload(os)\n", "import importlib, os\nimportlib.reload(os)\n"),
        ("import imp as i\ni.reload(x)\n", "import importlib as i\ni.reload(x)\n"),
        ("from imp import reload\nreload(x)\n", "from importlib import reload\nreload(x)\n"),
        ("import pipes\nf(pipes.quote(x), pipes.quote(y))\n", "import shlex\nf(shlex.quote(x), shlex.quote(y))\n"),
    ],
)
def test_a_name_that_has_moved_is_imported_from_where_it_is(before: str, after: str) -> None:
    """By the import that is there: no use of a name changes for it, and a new one stands right behind it."""
    assert once_and_twice(before) == after


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import inspect\nargs, _, _, _ = inspect.getargspec(f)\n", "longer tuple"),
        ("import configparser as c\nc.ConfigParser().readfp(f, filename='x')\n", "another name"),
        ("import unittest\nunittest.makeSuite(Case, 'check')\n", "something else"),
        ("from unittest import makeSuite\n", "something else"),
        ("import threading\nx = [threading.Thread().setDaemon(True)]\n", "assignment"),
        ("import threading\nt = threading.Thread()\nt.setName(\n    'x')\n", "several lines"),
        ("import threading\nt = threading.Thread()\nt.setName((yield))\n", "parenthesized"),
        ("import imp\nimp.reload(x)\nprint(imp)\n", "Not everything that is used"),
        ("import imp\nimp.reload(imp)\n", "Not everything that is used"),
        ("import imp\nimp.reload(imp.new_module('x'))\n", "Not everything that is used"),
        ("import imp\nimport os as importlib\nimp.reload(x)\n", "something else in this file"),
        ("import imp\nif x:\n    imp = None\nimp.reload(x)\n", "cannot be determined"),
        ("import collections as c\nx = c.Mapping\n", "has an alias"),
        ("from collections import (\n    Mapping,  # the one\n    deque,\n)\n", "comment"),
        ("import importlib\nm = importlib.import_module('collections')\nx = m.Mapping\n", "cannot be determined"),
        ("x = __import__('collections').Mapping\n", "cannot be determined"),
    ],
)
def test_what_may_mean_something_else_stays(text: str, reason: str) -> None:
    """The reason is reported, and the text stays as it is."""
    done = rewritten(text)
    assert done.text == text
    assert [reason in message for _, message in done.refused] == [True] * len(done.refused)
    assert done.refused


def test_modules_of_which_something_else_is_used_are_not_touched() -> None:
    """There is no half of an import of ``imp``."""
    assert changes_of("import imp\nimp.reload(x)\nimp.find_module('y')\n") == []


def test_a_refused_change_does_not_hide_the_others() -> None:
    text = "import inspect\nx = inspect.getargspec(f)\ny = inspect.getargspec(f).args\n"
    done = rewritten(text)
    assert done.text == text.replace("getargspec(f).args", "getfullargspec(f).args")
    assert [change.line for change, _ in done.refused] == [2]


def test_a_change_that_was_made_already_changes_nothing() -> None:
    text = "import base64\nbase64.encodestring(x)\n"
    changes = changes_of(text)
    new = rewrite(text, changes).text
    assert rewrite(new, changes) == RewriteResult(text=new)


@pytest.mark.parametrize("line", [0, 1, 2, 99])
def test_a_name_that_is_not_where_it_is_expected_is_refused(line: int) -> None:
    change = SourceChange(path=PATH, line=line, column=3, old="base64.encodestring", new="base64.encodebytes")
    done = rewrite("import base64\n", [change])
    assert done.text == "import base64\n"
    assert "does not occur here" in done.refused[0][1]


@pytest.mark.parametrize("text", ["x = (\n", "x = 1\0", "(" * 3000])
def test_what_cannot_be_parsed_is_refused(text: str) -> None:
    with pytest.raises(EditRefused, match="cannot be parsed"):
        rewrite(text, [])


# ---- times in UTC


@pytest.mark.parametrize(
    ("source", "aware"),
    [
        (
            "import datetime as d\nx = d.datetime.utcnow( )\n",
            "import datetime as d\nx = d.datetime.now( d.timezone.utc)\n",
        ),
        (
            "from datetime import datetime as dt, timedelta\nx = dt.utcnow() - y\n",
            "from datetime import datetime as dt, timezone, timedelta\nx = dt.now(timezone.utc) - y\n",
        ),
        (
            "from datetime import datetime, timezone as tz\nx = datetime.utcfromtimestamp(0,)\n",
            "from datetime import datetime, timezone as tz\nx = datetime.fromtimestamp(0, tz.utc,)\n",
        ),
    ],
)
def test_times_in_utc_are_rewritten_as_requested(source: str, aware: str) -> None:
    """Either with a time zone, or naive as before; unchanged without the option."""
    assert changes_of(source) == []
    assert once_and_twice(source, "aware") == aware
    naive = once_and_twice(source, "naive")
    assert naive == aware.replace("utc)", "utc).replace(tzinfo=None)").replace("utc,)", "utc,).replace(tzinfo=None)")
    assert _value_of(naive).tzinfo is None


def _value_of(text: str) -> Any:
    """Return the value of ``x`` after the code ran, without the subtraction from it."""
    names: dict[str, Any] = {}
    exec(text.replace(" - y", ""), names)
    return names["x"]


@pytest.mark.parametrize(
    ("utc", "after"),
    [
        ("aware", "default=lambda: datetime.now(timezone.utc), z=1)"),
        ("naive", "default=lambda: datetime.now(timezone.utc).replace(tzinfo=None), z=1)"),
    ],
)
def test_a_default_that_is_called_for_each_value_becomes_a_function(utc: str, after: str) -> None:
    """As columns and fields of data classes have it."""
    before = "from datetime import datetime\nx = dict(default=datetime.utcnow, z=1)\n"
    new = once_and_twice(before, utc)
    assert new == f"from datetime import datetime, timezone\nx = dict({after}\n"
    assert (_value_of(new)["default"]().tzinfo is None) == (utc == "naive")


@pytest.mark.parametrize(
    "text",
    [
        "from datetime import datetime\nx = call(datetime.utcnow)\n",
        "from datetime import datetime\nx = call(clock=datetime.utcnow)\n",
        "class A:\n    from datetime import datetime, timezone\n    x = field(default=datetime.utcnow)\n",
        "from datetime import datetime\nfrom django.utils import timezone\nx = datetime.utcnow()\n",
        "from datetime import datetime\ndef f(timezone): return datetime.utcnow()\n",
    ],
)
def test_a_time_whose_zone_cannot_be_named_stays(text: str) -> None:
    done = rewritten(text, "aware")
    assert done.text == text
    assert len(done.refused) == 1


# ---- escapes


def escape(line: int = 1) -> SourceChange:
    return SourceChange(path=PATH, line=line, column=1, old="\\d", new="\\\\d")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (r'x = "\d+"', r'x = r"\d+"'),
        (r"x = b'\d'  # \d", r"x = rb'\d'  # \d"),
        (r'x = "\d\n"', r'x = "\\d\n"'),
        (r'x = u"\d"', r'x = u"\\d"'),
        (r'x = "\d" "\n" r"\w" "\w"', r'x = r"\d" "\n" r"\w" r"\w"'),
        (r'x = f"\d{y}\{z}"', r'x = rf"\d{y}\{z}"'),
        (r'x = F"\d{y}\n"', r'x = F"\\d{y}\n"'),
        ('def f():\r\n\t"""a\r\n\t\\d"""\r\n', 'def f():\r\n\tr"""a\r\n\t\\d"""\r\n'),
        ('x = "\\\r\n\\d"\r\n', 'x = "\\\r\n\\\\d"\r\n'),
    ],
)
def test_an_escape_that_means_nothing_goes(before: str, after: str) -> None:
    """A raw string where that changes nothing, else a second backslash: the value is the same."""
    line = 3 if "def" in before else 1
    assert rewrite(before, [escape(line)]) == RewriteResult(text=after)


@settings(max_examples=40)
@given(
    prefix=st.sampled_from(["", "b", "B", "f", "F", "u", "r", "rb"]),
    quote=st.sampled_from(['"', "'", '"""', "'''"]),
    parts=st.lists(st.sampled_from(["\\d", "\\ ", "\\w", "\\n", "\\\\", "\\x41", "\\'", '\\"', "\\8", "a", " {y} "])),
)
def test_every_string_stays_what_it_is(prefix: str, quote: str, parts: list[str]) -> None:
    """Its value is the same, no escape is left to warn of, and a second time changes nothing."""
    text = f"before = 1\nx = {prefix}{quote}{''.join(parts)} {quote}\nafter = 2\n"
    done = rewrite(text, [escape(2)])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert ast.dump(ast.parse(done.text)) == ast.dump(_quietly_parsed(text))
        assert [one for one in seen if "escape" in str(one.message)] == []
    assert rewrite(done.text, [escape(2)]).text == done.text
    assert (done.text == text) == bool(done.refused)


def _quietly_parsed(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


# ---- whatever the file


NAMES = ("Mapping", "Set", "Sequence", "OrderedDict", "deque", "namedtuple", "MutableMapping")
imported = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(["", " as {}_", " as Same"])), min_size=1, max_size=6
)


@settings(max_examples=40)
@given(imported, st.sampled_from(["{}", "({})", "(\n    {},\n)", "({}  \\\n)"]), st.sampled_from(["\n", "\r\n", "\r"]))
def test_an_import_brings_the_same_names_as_before(names: list[tuple[str, str]], layout: str, line_end: str) -> None:
    """Whatever is imported besides, and however it is written: run for real, since before it no longer runs."""
    separator = ",\n    " if "\n    " in layout else ", "
    listed = separator.join(name + known_as.format(name) for name, known_as in names)
    text = f"# é\nfrom collections import {layout.format(listed)}\nx = 1\n".replace("\n", line_end)
    done = rewritten(text)
    assert done.refused == ()
    namespace: dict[str, Any] = {}
    exec(done.text.replace("\r\n", "\n").replace("\r", "\n"), namespace)
    expected: dict[str, object] = {}
    for name, known_as in names:
        home = collections if hasattr(collections, name) else collections.abc
        expected.setdefault(known_as.format(name).rpartition(" ")[2] or name, getattr(home, name))
    assert set(expected) <= set(namespace)
    assert all(namespace[name] is value for name, value in expected.items() if name != "Same")
    assert "\n" not in re.sub(line_end, "", done.text)
    assert "\r" not in re.sub(line_end, "", done.text)


FILLERS = (
    "# assertEquals, collections.Mapping: é\x0c", "x = 'self.assertEquals(1)'", "\ty = '''\\\\d \u2028'''", "", "  ",
    "z = (1,  2)   # 学", "if True:\n\tw = [ 1 ,2]",
)  # fmt: skip
USES = (
    "base64.encodestring(b'')", "case.assertEquals(1, 2)", "x = collections.Mapping, collections.Set",
    "configparser.SafeConfigParser()", "f'{x}', threading.currentThread()",
)  # fmt: skip
HEAD = "import base64, unittest, collections, configparser, threading\ncase = unittest.TestCase()\nx = 1\n"


@settings(max_examples=40)
@given(st.lists(st.sampled_from([*FILLERS, *USES]), max_size=12), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_all_else_is_byte_for_byte_what_it_was(lines: list[str], line_end: str, closed: bool) -> None:
    """Comments, tabs, form feeds, text in strings, line ends and the end of the file."""
    body = "\n".join(line.strip("\t ") if line.startswith("\t") else line for line in lines)
    text = (HEAD + body + "\n" * closed).replace("\n", line_end)
    new = once_and_twice(text)
    undone = new
    for old, now in _SPELLINGS.items():
        undone = re.sub(rf"(?<![\w']){re.escape(now)}(?!\w)", old, undone)
    assert undone == text
    assert all(new.count(filler) >= text.count(filler) for filler in FILLERS[:2])


_SPELLINGS: Mapping[str, str] = {
    "base64.encodestring": "base64.encodebytes",
    "case.assertEquals": "case.assertEqual",
    "collections.Mapping": "collections.abc.Mapping",
    "collections.Set": "collections.abc.Set",
    "unittest, collections,": "unittest, collections.abc,",
    "configparser.SafeConfigParser": "configparser.ConfigParser",
    "threading.currentThread": "threading.current_thread",
}


@settings(max_examples=40)
@given(st.text(), st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 9), st.sampled_from(sorted(MOVED_NAMES)))))
def test_no_text_and_no_change_raises_anything_but_a_refusal(text: str, places: list[tuple[int, int, str]]) -> None:
    changes = [SourceChange(path=PATH, line=a, column=b, old=old, new=MOVED_NAMES[old]) for a, b, old in places]
    try:
        done = rewrite(text, [*changes, *[replace(escape(), line=a) for a, _, _ in places]])
    except EditRefused:
        return
    assert done.text == text or len(done.refused) < len(changes) + len(places)


# ---- encodings


@pytest.mark.parametrize(
    "data",
    [
        "# -*- coding: latin-1 -*-\nx = 'größer'\n".encode("latin-1"),
        "# vim: set fileencoding=cp1252 :\nx = '€'\r\n".encode("cp1252"),
        "\ufeffx = 'größer'\n".encode(),
        "x = '学'".encode(),
    ],
)
def test_the_encoding_is_the_one_that_the_file_declares(data: bytes) -> None:
    """PEP 263: what is not changed keeps its bytes."""
    text, encode = decode_source(data)
    assert encode(text) == data
    assert not text.startswith("\ufeff")


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"x = '\xff'\n", "decoded"), (b"# coding: no-such\n", "decoded"), (b"# coding: utf-7\nx = '+AGE-'\n", "survive")],
)
def test_what_would_not_survive_an_edit_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(EditRefused, match=reason):
        decode_source(data)


# ---- whole numbers


def converted(text: str, column: int = 1, name: str = "random.randint") -> RewriteResult:
    return rewrite(text, [SourceChange(path=PATH, line=1, column=column, old=f"{name}(float)", new=f"{name}(int)")])


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("random.randint(1e9, (1e10 - 1))\n", "random.randint(int(1e9), (int(1e10 - 1)))\n"),
        ("randint(1, -2.0 * 3)\n", "randint(1, int(-2.0 * 3))\n"),
        ("random.randint(a, 4 / 2)\n", "random.randint(a, int(4 / 2))\n"),
        ("random.randint(a=0, b=10**2.0)\n", "random.randint(a=0, b=int(10**2.0))\n"),
    ],
)
def test_literal_floats_with_a_whole_value_are_converted(text: str, after: str) -> None:
    """The value stays; a second time changes nothing."""
    assert converted(text) == RewriteResult(text=after)
    assert converted(after) == RewriteResult(text=after)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("random.randint(0, 1.5)\n", "whole number"),
        ("random.randint(0, n * 2.0)\n", "whole number"),
        ("random.randint(0, n / 2)\n", "whole number"),
        ("random.randint(0, 10.0 ** 999)\n", "whole number"),
        ("random.randint(0, 1e400)\n", "whole number"),
        ("random.randint(0, time.time())\n", "None of the arguments"),
        ("x = random.randint\n", "not called here"),
    ],
)
def test_other_floats_are_refused(text: str, reason: str) -> None:
    """What they are is not known here."""
    result = converted(text, column=5 if text.startswith("x") else 1)
    assert result.text == text
    assert [reason in refused for _, refused in result.refused] == [True]


# ---- a subset of a dictionary

SUBSET_CASE = "import unittest\nclass T(unittest.TestCase):\n    def test(self, d, e):\n        self.{}\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("assertDictContainsSubset({'a': 1}, d)", "assertEqual({**d, **{'a': 1}}, {**d})"),
        ("assertDictContainsSubset(\n            e, d.x, 'why'\n        )",
         "assertEqual(\n            {**d.x, **e}, {**d.x}, 'why'\n        )"),
        ("assertDictContainsSubset(dict(a=1), d, msg=e)", "assertEqual({**d, **dict(a=1)}, {**d}, msg=e)"),
    ],
)  # fmt: skip
def test_a_subset_is_compared_with_the_whole(before: str, after: str) -> None:
    assert once_and_twice(SUBSET_CASE.format(before)) == SUBSET_CASE.format(after)


@pytest.mark.parametrize(
    "call", ["({}, f())", "({}, f().x)", "(*d)", "({}, d, e, 1)", "(subset={}, dictionary=d)", "(d or e, d)"]
)
def test_a_dictionary_that_is_computed_is_left(call: str) -> None:
    text = SUBSET_CASE.format(f"assertDictContainsSubset{call}")
    result = rewritten(text)
    assert (result.text, len(result.refused)) == (text, 1)


# ---- the namespace of exec


def with_namespace(text: str) -> RewriteResult:
    reads = re.finditer(r"(?:locals\(\)|\bnamespace)\[", text)
    places = [
        (text.count("\n", 0, read.start()) + 1, read.start() - text.rfind("\n", 0, read.start())) for read in reads
    ]
    return rewrite(
        text,
        [SourceChange(path=PATH, line=line, column=column, old='locals()["x"]', new="") for line, column in places],
    )


@pytest.mark.parametrize("argument", ["text", "get('a', b=1)", '"""x = 2\n"""'])
def test_exec_gets_the_namespace_that_is_read(argument: str) -> None:
    original = f'def f(text):\n    exec({argument})\n    y = locals()["x"]\n    return y, locals()["x"]\n'
    after = (
        f"def f(text):\n    exec({argument}, globals(), namespace := locals())\n"
        '    y = namespace["x"]\n    return y, namespace["x"]\n'
    )
    assert with_namespace(original) == RewriteResult(text=after)
    assert with_namespace(after) == RewriteResult(text=after)


def test_the_namespace_of_exec_means_the_same_here() -> None:
    text = "def f(text):\n    a = 1\n    exec(text)\n    return locals()['x'], locals()['a']\n"
    values: dict[str, Any] = {}
    exec(with_namespace(text).text, values)
    assert values["f"]("x = a + 1") == (2, 1)


@pytest.mark.parametrize(
    "text",
    [
        "def f(a, b):\n    exec(a)\n    exec(b)\n    return locals()['x']\n",
        "def f(a):\n    exec(a, {})\n    return locals()['x']\n",
        "exec(a)\nlocals()['x']\n",
        "def f(a):\n    exec(a,)\n    return locals()['x']\n",
        "def f(a):\n    for b in a:\n        exec(b)\n    return locals()['x']\n",
        "def f(a):\n    [exec(b) for b in a]\n    return locals()['x']\n",
        "def f(a):\n    exec(*a)\n    return locals()['x']\n",
    ],
)
def test_another_exec_is_refused(text: str) -> None:
    result = with_namespace(text)
    assert result.text == text
    assert len(result.refused) == 1


# ---- assertions that mocks took for attributes

MISSPELT = r"\b(?:called_once_with|called_once|called_with|has_calls|not_called)\b"


def asserted(text: str, new: str = "") -> RewriteResult:
    """The changes are where the scanner finds them: at the start of the expression."""
    changes = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and re.fullmatch(MISSPELT, node.attr):
            place = {"path": PATH, "line": node.lineno, "column": node.col_offset + 1}
            changes.append(SourceChange(**place, old=node.attr, new=new or f"assert_{node.attr}"))  # type: ignore[arg-type]
    return rewrite(text, changes)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("assert m.called_once()", "m.assert_called_once()"),
        ("assert m.called_once", "m.assert_called_once()"),
        ("assert (m.f().not_called)", "m.f().assert_not_called()"),
        ("assert m.called_with(1, a=[2])  # why", "m.assert_called_with(1, a=[2])  # why"),
        ("m.called_once_with(\n    1,\n)", "m.assert_called_once_with(\n    1,\n)"),
        ("await m.f.called_once_with(1)", "m.f.assert_called_once_with(1)"),
        ("assert await m.called_with(1)", "m.assert_called_with(1)"),
        ("self.assertTrue(m.has_calls([1]))", "m.assert_has_calls([1])"),
    ],
)
def test_a_misspelt_assertion_becomes_one(text: str, after: str) -> None:
    function = "async def test_a(self, m):\n    {}\n    return 1\n".format
    assert asserted(function(text)) == RewriteResult(text=function(after))
    assert asserted(function(after)).text == function(after)
    removed = asserted(function(text), REMOVED)
    assert removed == RewriteResult(text="async def test_a(self, m):\n    return 1\n")


def test_no_blank_lines_stay_at_the_end_of_a_block() -> None:
    function = "def test_a(m):\n    m()  \n{}\n\ndef b(): pass\n".format
    assert asserted(function("\n    m.called_with(1)\n"), REMOVED) == RewriteResult(text=function(""))


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("x = m.called_with(1)\n", ""),
        ("assert m.called_with(1) and y\n", ""),
        ("assert m.called_with(1), 'why'\n", ""),
        ("assert m.called_with\n", ""),
        ("assert (  # why\n    m.called_with(1)\n)\n", ""),
        ("self.assertTrue(m.called_with(1), 'why')\n", ""),
        ("def test_a():\n    m.called_with(1)\n", REMOVED),
        ("a = 1; m.called_with(1)\n", REMOVED),
        ("x = m.called_with(1)\n", REMOVED),
    ],
)
def test_another_use_of_the_attribute_is_refused(text: str, new: str) -> None:
    result = asserted(text, new)
    assert result.text == text
    assert len(result.refused) == 1


# ---- pkg_resources


def without_pkg_resources(text: str) -> RewriteResult:
    line = next(number for number, line in enumerate(text.splitlines(), start=1) if "import pkg_resources" in line)
    column = text.splitlines()[line - 1].index("pkg_resources") + 1
    change = SourceChange(path=PATH, line=line, column=column, old="pkg_resources", new="importlib.resources")
    return rewrite(text, [change])


OWN_FILES = "importlib.resources.files(__package__ or __name__)"
READ_METADATA = """\
def f():
    import pkg_resources
    try:
        return pkg_resources.get_distribution('a-b').version
    except pkg_resources.DistributionNotFound:
        return pkg_resources.resource_string(__package__, n)
"""
READ_METADATA_AFTER = f"""\
def f():
    import importlib.metadata
    import importlib.resources
    try:
        return importlib.metadata.version('a-b')
    except importlib.metadata.PackageNotFoundError:
        return {OWN_FILES}.joinpath(n).read_bytes()
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            'import pkg_resources\nx = pkg_resources.resource_string(__name__, "a/b.json").decode()\n',
            f'import importlib.resources\nx = {OWN_FILES}.joinpath("a/b.json").read_bytes().decode()\n',
        ),
        (
            "import pkg_resources\nwith pkg_resources.resource_stream(__name__,\n    x) as f:\n    pass\n",
            f'import importlib.resources\nwith {OWN_FILES}.joinpath(x).open("rb") as f:\n    pass\n',
        ),
        (READ_METADATA, READ_METADATA_AFTER),
    ],
)
def test_pkg_resources_is_replaced_by_the_standard_library(before: str, after: str) -> None:
    assert without_pkg_resources(before) == RewriteResult(text=after)


def test_the_file_of_a_package_is_read_as_before(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'import pkg_resources\nDATA = pkg_resources.resource_string(__name__, "b.txt")\n'
    (tmp_path / "own_package_312").mkdir()
    for name in ("__init__.py", "a.py"):
        (tmp_path / "own_package_312" / name).write_text(without_pkg_resources(text).text)
    (tmp_path / "own_package_312" / "b.txt").write_bytes(b"b")
    monkeypatch.syspath_prepend(tmp_path)
    assert [importlib.import_module(f"own_package_312{name}").DATA for name in ("", ".a")] == [b"b", b"b"]


@pytest.mark.parametrize(
    "use",
    [
        "for e in pkg_resources.iter_entry_points('x'): pass",
        "pkg_resources.resource_string('other', 'x')",
        "pkg_resources.resource_string(__name__, *x)",
        "pkg_resources.resource_string(__name__, 'x') if __name__ == '__main__' else 1",
        "pkg_resources.resource_string(__name__, ('x'))",
        "pkg_resources.get_distribution('a>=1').version",
        "pkg_resources.get_distribution('a').key",
        "f(pkg_resources)",
        "pkg_resources = None",
        "import x as importlib; pkg_resources.resource_string(__name__, 'x')",
    ],
)
def test_pkg_resources_stays_for_another_use(use: str) -> None:
    text = f"import pkg_resources\npkg_resources.resource_string(__name__, 'x')\n{use}\n"
    result = without_pkg_resources(text)
    assert result.text == text
    assert len(result.refused) == 1


@pytest.mark.parametrize(
    "line", ["import pkg_resources as p", "import pkg_resources, os", "x = 1; import pkg_resources"]
)
def test_only_a_plain_import_of_pkg_resources_is_replaced(line: str) -> None:
    text = f"{line}\npkg_resources.resource_string(__name__, 'x')\n"
    assert without_pkg_resources(text).text == text
