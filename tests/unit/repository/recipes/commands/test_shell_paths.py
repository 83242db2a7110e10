"""Paths that scripts compute from their own place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.commands.shell import ARGUMENT, UNKNOWN, read_shell
from pytest_py312.repository.recipes.commands.shell_paths import expand_paths


def expanded(text: str, script: str = "deploy/test.sh") -> list[str]:
    (command,) = read_shell(text)
    return list(expand_paths(command.words, {"source": "/w/source"}, "/w/a", script))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('cd "$(cd "$(dirname "${BASH_SOURCE[0]}")" >/dev/null 2>&1 && pwd)/../x"', ["cd", "/w/a/deploy/../x"]),
        ('root="$(cd $PWD/..; pwd -P)/source"', ["root=/w/source"]),
        ("cd $(dirname $0)/..", ["cd", "deploy/.."]),
        ('cd "${0%/*}"', ["cd", "deploy"]),
        ("x `pwd`", ["x", "/w/a"]),
        ("name=${PWD##*/}", ["name=a"]),
        ('cd "$(dirname "$(readlink -f "$0")")"', ["cd", "/w/a/deploy"]),
        ("x ${source%/*} ${source##*/} ${source%rce} ${source##/w/}", ["x", "/w", "source", "/w/sou", "source"]),
        ("x ${source%%/*} ${y%/*}", ["x", "${source%%/*}", "${y%/*}"]),
        ("run $(basename $source/)", ["run", "source"]),
        ('cd "$source/b"', ["cd", "/w/source/b"]),
        ("x $1", ["x", f"{UNKNOWN}${ARGUMENT}1{UNKNOWN}"]),
        ("x $(git rev-parse HEAD) $(cd $y && pwd)", [
            "x", f"{UNKNOWN}$(git rev-parse HEAD){UNKNOWN}", f"{UNKNOWN}$(cd $y && pwd){UNKNOWN}",
        ]),
    ],
)  # fmt: skip
def test_paths_of_words(text: str, words: list[str]) -> None:
    assert expanded(text) == words


def test_commands_outside_of_a_script_have_no_name() -> None:
    assert expanded("cd $(dirname $0)", script="") == ["cd", f"{UNKNOWN}$(dirname $0){UNKNOWN}"]


@given(st.text(alphabet="$(){}`\"' /.0pwdcirnameBASH_SOURCE[]%#*&;\n\\", max_size=60))
def test_any_text_is_expanded(text: str) -> None:
    for command in read_shell(text):
        words = expand_paths(command.words, {}, "/w", "a.sh")
        assert all(isinstance(word, str) for word in words)
