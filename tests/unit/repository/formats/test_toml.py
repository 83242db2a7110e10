"""Positions of the keys of a TOML document: correct, or missing."""

import tomllib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_py312.repository.formats.toml import KeyPath, key_lines, string_spans


def lines_of(text: str) -> dict[KeyPath, int]:
    return dict(key_lines(text, tomllib.loads(text)))


def test_keys_tables_and_elements_have_their_own_lines() -> None:
    """Each where it begins, an element of a list on its own line."""
    lines = lines_of(
        '# plan\ntarget = "3.12"\n\n[[stage]]\nnumber = 1\nservices = [\n  "a", # first\n  "b",\n]\n[[stage]]\n'
    )
    assert lines[("target",)] == 2
    assert lines[("stage", 0)] == 4
    assert lines[("stage", 0, "number")] == 5
    assert lines[("stage", 0, "services")] == 6
    assert lines[("stage", 0, "services", 0)] == 7
    assert lines[("stage", 0, "services", 1)] == 8
    assert lines[("stage", 1)] == 10


@pytest.mark.parametrize(
    "decoy",
    [
        'a = """\n[stage]\nkey = 1\n"""',
        "a = '''\nkey = 1\n'''",
        'a = "# key = 1"',
        'a = """x\\"""\nkey = 1\n"""""',
        "a = ''''\nkey = 1'''''",
        "a = [ # key = 1 ]\n'key = 1' ]",
        "a = { b = 'key = 1', c = [1,\n2] }",
        "a = 2026-11-01 10:00:00 # key = 1",
        "a = 2026-11-01T10:00:00Z",
        'a.\'b.c\'."d\\"e" = inf',
        "[ a . 'b' ]",
        "[[a]]\n[a.b]\n[[a.b.c]]\n[[a]]\n[a.b]",
        "a = []\nb = {}",
        "a = [[1, [2]], [{x = 1}]]",
    ],
)
def test_similar_looking_text_is_no_key(decoy: str) -> None:
    """Strings, comments, dates and nested values before the key do not change its line."""
    found = lines_of(f"{decoy}\nkey = 1\n")
    path = next(path for path in found if path[-1] == "key")
    assert found[path] == decoy.count("\n") + 2


def test_windows_line_ends_count_once() -> None:
    """A plan saved on Windows has the same lines."""
    assert lines_of("a = 1\r\nb = [\r\n 2]\r\n") == {("a",): 1, ("b",): 2, ("b", 0): 3}


def test_a_table_that_is_written_after_its_children_has_its_own_line() -> None:
    """The header counts, not the first mention."""
    assert lines_of("[a.b]\n[a]\n")[("a",)] == 2


def test_no_lines_for_a_different_document() -> None:
    """No line is better than a wrong one."""
    assert key_lines("a = 1\nb = 2\n", {"a": 1}) == {}
    assert key_lines("a = ", {"a": 1}) == {}
    assert key_lines(".".join("a" * 40) + " = 1", {}) == {}


NAMES = st.text(alphabet="ab.-[]\"#'= é", min_size=1, max_size=4)
LEAVES = st.sampled_from(
    ['"#"', "'[x]'", '"""\n[a]\nb = 1\n"""', "1", "true", "2027-01-31", "[1,\n 2 ]", "{ x = [\n] }"]
)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '\\"') + '"'


@given(
    st.dictionaries(NAMES, st.lists(st.tuples(NAMES, LEAVES), max_size=4, unique_by=lambda pair: pair[0]), max_size=4)
)
def test_every_line_is_correct_for_any_names_and_values(
    tables: dict[str, list[tuple[str, str]]],
) -> None:
    """A document written line by line is found line by line."""
    text = ""
    expected: dict[KeyPath, int] = {}
    for table, pairs in tables.items():
        expected[(table,)] = text.count("\n") + 1
        text += f"[{quoted(table)}]\n"
        for name, leaf in pairs:
            text += "# comment\n\n"
            expected[(table, name)] = text.count("\n") + 1
            text += f"{quoted(name)} = {leaf}\n"
    found = lines_of(text)
    assert {path: line for path, line in found.items() if len(path) == 1 or path in expected} == expected


@example("'\r'")
@given(st.text(alphabet="ab.=[]{}\"'#,\n\r 1-:T\\", max_size=60))
def test_lines_exist_for_any_text(text: str) -> None:
    """Invalid TOML does not crash the scanner either."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        document = {}
    found = key_lines(text, document)
    assert all(1 <= line <= text.count("\n") + 1 for line in found.values())


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_string_is_found_with_its_quotation_marks(ending: str) -> None:
    """In arrays, inline tables and over several lines, with any line ends."""
    text = ending.join(['a = [\'x\', """', 'y"""]', "[t]", 'k = { v = "z", n = 1 } # "c"', ""])
    spans = string_spans(text, tomllib.loads(text))
    found = {path: text[start:end] for path, (start, end) in spans.items()}
    assert found == {("a", 0): "'x'", ("a", 1): f'"""{ending}y"""', ("t", "k", "v"): '"z"'}


def test_no_strings_for_a_different_document() -> None:
    """A wrong position is worse than none."""
    assert string_spans('a = "x"', {"b": "x"}) == {}
    assert string_spans("a = ", {"a": "x"}) == {}
