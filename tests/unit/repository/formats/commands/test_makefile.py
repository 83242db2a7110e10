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


@given(st.text(alphabet=st.sampled_from("ab:=\t\n \\$(){}#;|@.?+"), max_size=60))
def test_no_text_raises(text: str) -> None:
    makefile = read_makefile(text)
    for name in makefile.targets:
        list(makefile.commands_of(name, {}))
