"""Workflows: every value that selects a Python, with its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.declarations.declaration import DeclarationRole, service_declarations
from pytest_py312.repository.declarations.reader import read_workflow


def read_declared(text: str) -> list[tuple[str, int | None, str | None]]:
    """Return (text, line, interpreter) of each version."""
    declared = service_declarations(read_workflow(text, "ci.yml"))
    return [
        (declaration.text, declaration.location.line, str(declaration.interpreter) if declaration.interpreter else None)
        for declaration in declared
    ]


WORKFLOW = """\
name: CI
env:
  PYTHON_VERSION: "3.12"
jobs:
  test:
    strategy:
      matrix:
        python: ['3.9', "3.10"]
        include:
          - python: "3.12"
    container: python:3.10-slim
    steps:
      - name: Set up Python 3.8
        uses: actions/setup-python@v5
        with:
          python-version: ${{ matrix.python }}
  lint:
    steps:
      - uses: actions/setup-python@v5
        with: {python-version: "${{ env.PYTHON_VERSION }}"}
"""


def test_expressions_are_resolved() -> None:
    """A matrix with its includes, a variable of the workflow, a container; never the name of a step."""
    assert read_declared(WORKFLOW) == [
        ("3.12", 3, "3.12"),
        ("3.9", 8, "3.9"),
        ("3.10", 8, "3.10"),
        ("3.12", 10, "3.12"),
        ("python:3.10-slim", 11, "3.10"),
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("'3.9'", [("3.9", 1, "3.9")]),
        ("3.9", [("3.9", 1, "3.9")]),
        ("'3.10.4'", [("3.10.4", 1, "3.10")]),
        ("['3.9', '3.12']", [("3.9", 1, "3.9"), ("3.12", 1, "3.12")]),
        ("\n- '3.9'\n- '3.12'", [("3.9", 2, "3.9"), ("3.12", 3, "3.12")]),
        ("|\n  3.9\n  3.12", [("3.9", 2, "3.9"), ("3.12", 3, "3.12")]),
        ("3.x", [("3.x", 1, None)]),
        ("'>=3.9 <3.12'", [(">=3.9 <3.12", 1, None)]),
        ("pypy3.9", [("pypy3.9", 1, None)]),
        ("${{ inputs.python }}", [("${{ inputs.python }}", 1, None)]),
    ],
)
def test_all_forms_of_values_are_read(value: str, expected: list[tuple[str, int, str | None]]) -> None:
    """Quoted, plain, lists of both styles, one per line, ranges, and values that only a run can determine."""
    assert read_declared(f"python-version: {value}\n") == expected


@pytest.mark.parametrize(
    ("strategy", "role"),
    [
        ("", DeclarationRole.FLOATING),
        ("strategy: {matrix: '${{ fromJSON(needs.a.outputs.b) }}'}\n    ", DeclarationRole.UNKNOWN),
        ("strategy: {matrix: {other: [1]}}\n    ", DeclarationRole.UNKNOWN),
    ],
)
def test_the_matrix_of_a_job_without_one_is_empty(strategy: str, role: DeclarationRole) -> None:
    """Then the Python is that of the machine; a computed matrix may have the value."""
    step = "steps: [{with: {python-version: '${{ matrix.python }}'}}]"
    text = f"jobs:\n  test:\n    runs-on: ubuntu-latest\n    {strategy}{step}\n"
    assert [place.role for place in read_workflow(text, "ci.yml")] == [role]


def test_the_matrix_may_have_several_values_of_a_python() -> None:
    """Each combination is an item of the list: the target's is added beside it."""
    text = (
        "jobs:\n  test:\n    strategy:\n      matrix:\n        python:\n"
        "          - {short: '3.9', version: '3.9.18'}\n          - {short: '3.10', version: '3.10.16'}\n"
        "    steps: [{with: {python-version: '${{ matrix.python.version }}'}}]\n"
    )
    places = read_workflow(text, "ci.yml")
    assert [(place.text, str(place.version), place.line, place.role) for place in places] == [
        ("3.9.18", "3.9", 6, DeclarationRole.LIST_ITEM),
        ("3.10.16", "3.10", 7, DeclarationRole.LIST_ITEM),
    ]
    items = [place.item for place in places if place.item is not None]
    assert [text[item.start : item.end] for item in items] == [
        "{short: '3.9', version: '3.9.18'}",
        "{short: '3.10', version: '3.10.16'}",
    ]


def test_an_unquoted_three_ten_is_three_one() -> None:
    """YAML reads a number, so 3.10 is not set up; 3.9 and 3.12 are unaffected."""
    places = read_workflow("python-version: [3.9, 3.10, 3.12]\n", "ci.yml")
    assert [(one.text, one.misread_as, one.as_service_declaration.interpreter is None) for one in places] == [
        ("3.9", "", False),
        ("3.10", "3.1", True),
        ("3.12", "", False),
    ]


def test_aliases_are_not_expanded() -> None:
    """Nine levels of nine aliases remain nine small nodes, and the value is found once."""
    lines = ["a0: &a0 {python-version: '3.9'}"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 10)]
    assert read_declared("\n".join(lines)) == [("3.9", 1, "3.9")]


@pytest.mark.parametrize("text", ["a: [", "\tx", "a: b: c", "[" * 20_000, "x" * 600_000, "---\na\n---\nb"])
def test_invalid_yaml_has_no_versions(text: str) -> None:
    """Unclosed, too deep, too long, several documents."""
    assert read_workflow(text, "ci.yml") == ()


@given(st.text())
def test_no_text_crashes_the_reader(text: str) -> None:
    """It has versions or none."""
    assert all(one.path == "ci.yml" for one in read_workflow(text, "ci.yml"))


@given(
    st.lists(
        st.sampled_from(
            ["python-version", "matrix", "env", "container", ": ", "\n", "  ", "- ", "[", "]", "{", "}", "&a ", "*a",
             "<<", "${{ matrix.x }}", "${{ env.x }}", "x", "'", "3.9", "|", "!!python/object:os.system ", "#",
             "strategy"]
        )
    )
)  # fmt: skip
def test_no_arrangement_of_the_grammar_crashes_the_reader(pieces: list[str]) -> None:
    """Lines are within the file."""
    text = "".join(pieces)
    assert all(1 <= one.line <= text.count("\n") + 2 for one in read_workflow(text, "ci.yml"))
