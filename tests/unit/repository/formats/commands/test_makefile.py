"""Makefiles: the commands of a target, in the order in which make runs them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.commands.makefile import read_makefile

TEXT = """\
PIP ?= pip
FLAGS := --no-deps \\
    --pre

.PHONY: install
all: install
install: venv | tools  # both first
\t@$(PIP) install $(FLAGS) \\
\t  -r a.txt
\t-echo $$HOME $(UNKNOWN)
venv:
\tpython -m venv .venv
tools: ; pip install b
loop: loop
\ttrue
"""


def test_the_commands_of_a_target_follow_those_it_needs() -> None:
    makefile = read_makefile(TEXT)
    assert makefile.default == "all"
    assert list(makefile.commands_of("all", {"PIP": "pip3"})) == [
        (12, "python -m venv .venv"),
        (13, "pip install b"),
        (8, "pip3 install --no-deps --pre -r a.txt"),
        (10, "echo $HOME ${UNKNOWN}"),
    ]


def test_a_target_that_needs_itself_runs_once() -> None:
    assert list(read_makefile(TEXT).commands_of("loop", {})) == [(15, "true")]


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("test:\n\tone\ntest:\n\ttwo\n\tthree\n", ["two", "three"]),
        ("test: ; one\ntest: ; two\n", ["two"]),
        ("test:\n\tone\ntest: test\n", ["one"]),
        ("test::\n\tone\ntest::\n\ttwo\n", ["one", "two"]),
        ("ifdef CI\ntest:\n\tone\nelse\ntest:\n\ttwo\nendif\n", ["one", "two"]),
    ],
)
def test_the_last_recipe_of_a_target_counts(text: str, commands: list[str]) -> None:
    """As make says: "overriding recipe for target"; not between the branches of a condition, or with two colons."""
    assert [command for _, command in read_makefile(text).commands_of("test", {})] == commands


def test_commands_get_the_exported_variables() -> None:
    text = """\
SRC = src
SRC += lib
SRC ?= other
export MODE = test
export PYTHONPATH := $(CURDIR)/$(word)
PLAIN = 1
LATER = 2
export LATER
unit: export STAGE = $(MODE)ing
unit: NAME = a  # not exported
unit: ; run $(NAME) $(SRC)
other: ; run $(NAME)
"""
    makefile = read_makefile(text)
    everywhere = {"LATER": "2", "MODE": "test", "PYTHONPATH": "${CURDIR}/${word}"}
    assert makefile.environment_of("other", {}) == everywhere
    assert makefile.environment_of("unit", {"PLAIN": "3"}) == {**everywhere, "PLAIN": "3", "STAGE": "testing"}
    assert list(makefile.commands_of("unit", {})) == [(11, "run a src lib")]
    assert list(makefile.commands_of("other", {})) == [(12, "run ${NAME}")]


def test_all_variables_may_be_exported() -> None:
    for line in ("export", ".EXPORT_ALL_VARIABLES:"):
        makefile = read_makefile(f"A = 1\n{line}\nB = $(shell pwd)\nC = 2\nunexport C\nt: ; x\n")
        assert makefile.environment_of("t", {}) == {"A": "1", "B": "$(pwd)"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A := a\nA := $(A)b\n", "ab"),
        ("B := one\nA := $(B)\nB := two\n", "one"),
        ("B := one\nA = $(B)\nB := two\n", "two"),
        ('A = ["a", "b"]\n', '["a", "b"]'),
        ("A := pa$$word\n", "pa$word"),
        ("A ?= a\nA ?= b\n", "a"),
        ("A = a\nA += b\n", "a b"),
    ],
)
def test_a_value_is_the_one_that_make_gives(text: str, value: str) -> None:
    assert read_makefile(f"{text}export A\nt: ; x\n").environment_of("t", {}) == {"A": value}


@pytest.mark.parametrize(
    "text",
    ["define HELP\nexport A = 1\nendef\n", "ifdef CI\nexport A = 1\nelse\nexport A = 2\nendif\n"],
)
def test_what_is_text_or_depends_on_a_condition_is_not_exported(text: str) -> None:
    makefile = read_makefile(f"{text}export B = 2\nt: ; x\n")
    assert makefile.environment_of("t", {}) == {"B": "2"}


def test_what_a_needed_target_exports_reaches_its_commands() -> None:
    assert read_makefile("test: unit\nunit: export A = 1\nunit: ; x\n").environment_of("test", {}) == {"A": "1"}


def test_the_environment_comes_before_a_default() -> None:
    assert read_makefile("export A ?= 1\nexport B ?= 1\nB = 2\nt: ; x\n").defaults == {"A"}


@given(st.text(alphabet=st.sampled_from("ab:=\t\n \\$(){}#;|@.?+"), max_size=60))
def test_no_text_raises(text: str) -> None:
    makefile = read_makefile(text)
    for name in makefile.targets:
        assert all(isinstance(value, str) for value in makefile.environment_of(name, {}).values())
        list(makefile.commands_of(name, {}))
