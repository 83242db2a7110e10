"""What one command installs, and what a later one replaces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.recipes.install_groups import replaced_lines


@pytest.mark.parametrize(
    ("commands", "replaced"),
    [
        ([["x==1"], ["x>=2"]], {"x==1"}),
        ([["x>=2"], ["X==1"]], {"x>=2"}),
        ([["x==1"], ["x>=2"], ["x==1"]], {"x>=2"}),
        ([["x==1", "x>=2"]], set()),  # of one command: pip refuses it
        ([["x>=1"], ["x<1"]], set()),  # only exact versions are compared
        ([["x==1"], ["y==2"]], set()),
        ([["x==1.*"], ["x==2"]], {"x==1.*"}),
        ([["x==1; python_version < '3.12'"], ["x==2"]], set()),
        ([["x @ https://example.org/x.whl"], ["x==2"]], set()),
    ],
)
def test_a_later_command_replaces_versions(commands: list[list[str]], replaced: set[str]) -> None:
    assert replaced_lines(commands) == replaced


@given(st.lists(st.lists(st.text(alphabet="xy=<>!.12 ;@", max_size=8), max_size=4), max_size=4))
def test_any_lines_are_read(commands: list[list[str]]) -> None:
    assert replaced_lines(commands) <= {line for lines in commands for line in lines}
