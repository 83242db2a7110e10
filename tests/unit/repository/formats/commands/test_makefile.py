"""Makefiles: the commands of a target, in the order in which make runs them."""

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
    assert read_makefile("A = 1\nexport\nB = $(shell pwd)\nt: ; x\n").environment_of("t", {}) == {"A": "1"}
    makefile = read_makefile(".EXPORT_ALL_VARIABLES:\nB = $(shell pwd)\nt: ; x\n")
    assert makefile.environment_of("t", {}) == {"B": "$(pwd)"}


@given(st.text(alphabet=st.sampled_from("ab:=\t\n \\$(){}#;|@.?+"), max_size=60))
def test_no_text_raises(text: str) -> None:
    makefile = read_makefile(text)
    for name in makefile.targets:
        assert makefile.environment_of(name, {}).keys() <= makefile.variables.keys() | dict(
            makefile.targets[name].variables
        )
        list(makefile.commands_of(name, {}))
