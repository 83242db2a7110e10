"""Names that exec binds in a function, which locals() has up to 3.12."""

import pytest

from tests.unit.analysis.fake_interpreters import facts_of


def details(body: str, before: str = "") -> list[str]:
    text = f"{before}def f(text, given):\n" + "".join(f"    {line}\n" for line in body.split("\n"))
    return [fact.detail for fact in facts_of(text).rule_matches if fact.rule == "exec-locals"]


@pytest.mark.parametrize(
    "body",
    [
        'exec(text)\nreturn locals()["x"]',
        'exec("x = 1")\ny = locals()["x"]',
        'with given:\n    exec(text)\nfor i in given:\n    print(locals()["x"])',
    ],
)
def test_a_name_that_only_exec_binds_is_matched(body: str) -> None:
    assert details(body) == ['locals()["x"]']


@pytest.mark.parametrize(
    "body",
    [
        'return locals()["x"]\nexec(text)',
        'exec(text, {}, given)\nreturn locals()["x"]',
        'exec(text)\nreturn locals()["given"]',
        'x = 1\nexec(text)\nreturn locals()["x"]',
        'exec(text)\nimport x\nreturn locals()["x"]',
        "exec(text)\nreturn locals()[given]",
        'exec(text)\ntry:\n    return locals()["x"]\nexcept KeyError:\n    pass',
        'if given:\n    exec(text)\nreturn locals()["x"]',
        'exec(text)\ndef g():\n    return locals()["x"]\nreturn g',
        'exec(text)\nlocals()["x"] = 1',
    ],
)
def test_other_names_and_conditional_code_are_not(body: str) -> None:
    assert details(body) == []


def test_functions_of_the_same_name_are_not_those() -> None:
    assert details('exec(text)\nreturn locals()["x"]', "def exec(text): ...\n") == []
