"""Pages that are generated, or that quote the code, agree with it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from pytest_py312.analysis.judging.rule_table import RULES
from pytest_py312.gate.checks import CHECKS
from tests.documentation import python_changes
from tests.documentation.commands import ROOT

TROUBLESHOOTING = ROOT / "docs/how-to/troubleshooting.md"
POLICY = ROOT / "docs/explanation/dependency-policy.md"
WRITE_A_CHECK = ROOT / "docs/how-to/write-a-check.md"
QUOTED = re.compile(r"^\| `([^`]+)` \| [^|]+ \|$", re.MULTILINE)


def test_the_page_of_changes_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert python_changes.main(["--check"]) == 0, "python -m tests.documentation.python_changes"
    assert capsys.readouterr().out == "docs/reference/python-changes.md is up to date\n"


def test_the_page_of_changes_has_codes_of_the_source_check() -> None:
    codes = {code for check in CHECKS for code in check.codes}
    assert set(re.findall(r"PY\d{3}", python_changes.page())) <= codes


def test_each_subject_belongs_to_a_rule() -> None:
    assert set(python_changes.SUBJECTS) <= set(RULES)


@cache
def texts_of_the_code() -> tuple[str, ...]:
    """Return the strings of the package, with a line break in place of each value that is inserted."""
    texts = []
    for file in (ROOT / "pytest_py312").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "\n" for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return tuple(texts)


def has_in_order(text: str, parts: list[str]) -> bool:
    """Return whether a text has all parts, one after the other."""
    position = 0
    for part in parts:
        start = text.find(part, position)
        if start < 0:
            return False
        position = start + len(part)
    return True


def is_message(quoted: str) -> bool:
    """Return whether a text of the code has the parts of a quoted message in their order."""
    parts = [part.strip() for part in quoted.split("…")]
    return any(has_in_order(text, parts) for text in texts_of_the_code())


@pytest.mark.parametrize("quoted", QUOTED.findall(TROUBLESHOOTING.read_text(encoding="utf-8")))
def test_a_message_of_the_page_is_one_of_the_code(quoted: str) -> None:
    assert is_message(quoted)


def test_other_messages_are_noticed() -> None:
    assert not is_message("no Python … was found on the moon")


def test_the_policy_lists_every_requirement() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.findall(r"^\| `([\w-]+)` \| (?!`)", POLICY.read_text(encoding="utf-8"), re.MULTILINE)
    assert named == [re.split(r"[>=<]", requirement)[0] for requirement in project["dependencies"]]
    for_users = ("benchmark", "charts", "rollout", "grpc", "kubernetes")
    extras = re.findall(r"^\| `([\w-]+)` \| (`.+`) \|.*\|$", POLICY.read_text(encoding="utf-8"), re.MULTILINE)
    assert {extra: re.findall(r"`([\w-]+)`", cell) for extra, cell in extras} == {
        extra: [re.split(r"[>=<]", requirement)[0] for requirement in project["optional-dependencies"][extra]]
        for extra in for_users
    }


@pytest.mark.parametrize("name", ["py312_health_check.py", "pyproject.toml"])
def test_the_example_of_a_check_is_printed_as_it_is(name: str) -> None:
    page = WRITE_A_CHECK.read_text(encoding="utf-8")
    block = re.search(rf'^```\w+ title="{re.escape(name)}"\n(.*?)^```', page, re.MULTILINE | re.DOTALL)
    assert block is not None
    assert block[1] == Path(ROOT / "examples/health-check" / name).read_text(encoding="utf-8")
