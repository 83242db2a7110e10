"""Shell text to commands: words, lines, operators, here-documents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.commands.shell import ShellCommand, expand_words, read_shell, unknown_parts


def words_of(text: str, **variables: str) -> list[list[str]]:
    return [list(expand_words(command.words, variables)) for command in read_shell(text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pip install a", [["pip", "install", "a"]]),
        ("pip install 'a>=1' \"b<2\" c\\>3", [["pip", "install", "a>=1", "b<2", "c>3"]]),
        ("a && b || c; d | e & f", [["a"], ["b"], ["c"], ["d"], ["e"], ["f"]]),
        ("a \\\n  b # c\nd#e", [["a", "b"], ["d#e"]]),
        ("a 2>&1 >/dev/null b", [["a", "b"]]),
        ("a \"\" ''", [["a", "", ""]]),
        ("(cd x && make)", [["cd", "x"], ["make"]]),
        ("a 'unclosed", [["a", "unclosed"]]),
    ],
)
def test_words(text: str, words: list[list[str]]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x $A", [["x", "1", "2"]]),
        ('x "$A"', [["x", "1 2"]]),
        ("x '$A'", [["x", "$A"]]),
        ("x pre${A}post", [["x", "pre1", "2post"]]),
        ("x ${EMPTY}", [["x"]]),
        ("x ${B:-default} ${A:+set}", [["x", "default", "set"]]),
        ('x \\$A "\\$A"', [["x", "$A", "$A"]]),
    ],
)
def test_variables_are_expanded_as_a_shell_does(text: str, words: list[list[str]]) -> None:
    assert words_of(text, A="1 2", EMPTY="") == words


def test_what_has_no_value_is_marked() -> None:
    """A variable that is not known is not the same as an empty one."""
    ((program, variable, output),) = words_of("x r-$UNKNOWN.txt $(cat 'a b')")
    assert program == "x"
    assert unknown_parts(variable) == ("$UNKNOWN",)
    assert unknown_parts(output) == ("$(cat 'a b')",)


def test_lines_are_those_of_the_text() -> None:
    text = "a && \\\n  b \\\n  c\ncat <<EOF > f && d\n1\n2\nEOF\ne\n"
    assert [(expand_words(command.words, {})[0], command.line) for command in read_shell(text)] == [
        ("a", 1), ("b", 2), ("cat", 4), ("d", 4), ("e", 8),
    ]  # fmt: skip


def test_a_here_document_belongs_to_its_command() -> None:
    first, second = read_shell("bash <<'E' && b\npip install a\nE\n")
    assert (first.here_document, first.here_document_line) == ("pip install a\n", 2)
    assert second.here_document == ""
    (alone,) = read_shell("<<EOF\npip install a\nEOF\n")
    assert (alone.words, alone.here_document) == ((), "pip install a\n")


def test_the_file_that_a_command_writes_is_kept() -> None:
    (command,) = read_shell("uv export > requirements.txt")
    assert expand_words((command.output,), {}) == ("requirements.txt",)


def test_operators_are_kept_with_parentheses() -> None:
    assert [command.operator for command in read_shell("a && (b; c) || d")] == ["", "&&(", ";", ")||"]


@given(st.text(alphabet=st.sampled_from("ab $\"'`\\\n(){}<>|&;#=1EOF-[]@*?!"), max_size=60))
def test_no_text_raises(text: str) -> None:
    """And every command has a line of the text."""
    for command in read_shell(text):
        assert isinstance(command, ShellCommand)
        assert 1 <= command.line <= text.count("\n") + 1
        expand_words(command.words, {"A": "b c"})
