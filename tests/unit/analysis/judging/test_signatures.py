"""Calls and signatures: parameters that were removed, are deprecated or do not exist yet."""

import pytest

from pytest_py312.analysis.scanner.facts.stdlib_queries import Signature
from pytest_py312.core.model.findings import Severity
from tests.unit.analysis.fake_interpreters import codes, judge_texts

WITH_LOOP = Signature(positional=("maxsize",), keywords=("maxsize", "loop"), deprecated=(("loop", "remove loop"),))
WITHOUT = Signature(positional=("maxsize",), keywords=("maxsize",))
OPEN = Signature(positional=("maxsize",), keywords=("maxsize",), any_keyword=True)


@pytest.mark.parametrize(
    "text",
    [
        "asyncio.Queue(loop=x)",
        "asyncio.Queue(3, loop=x)",
        "asyncio.Queue(**{'loop': x})",
        "options = {'loop': x}\nasyncio.Queue(**options)",
        "options = dict(loop=x)\nasyncio.Queue(**options)",
        "options = {}\noptions['loop'] = x\nasyncio.Queue(**options)",
        "options = dict()\noptions.update(loop=x)\nasyncio.Queue(**options)",
        "options = {'a': 'b'}\noptions.setdefault('loop', x)\noptions.pop('a')\nasyncio.Queue(**options)",
        "functools.partial(asyncio.Queue, loop=x)()",
        "functools.partial(asyncio.Queue, 3)(loop=x)",
        "queue = asyncio.Queue\nqueue(loop=x)",
        "class Own(asyncio.Queue): ...\nOwn(loop=x)",
        "class Own(asyncio.Queue):\n    def __init__(self, x):\n        super().__init__(loop=x)",
        "class Own(asyncio.Queue):\n    def __init__(self, x):\n        asyncio.Queue.__init__(self, loop=x)",
    ],
)
@pytest.mark.parametrize("after", [WITHOUT, OPEN])
def test_a_removed_parameter(text: str, after: Signature) -> None:
    """If it was deprecated and the target forwards unknown keywords, it is rejected further down."""
    findings = judge_texts(
        f"import asyncio, functools\n{text}\n",
        baseline_signatures={"asyncio:Queue": WITH_LOOP},
        target_signatures={"asyncio:Queue": after},
    )

    assert [finding.code for finding in findings] == ["PY204"]
    assert findings[0].severity is Severity.ERROR
    assert "loop" in findings[0].message


@pytest.mark.parametrize(
    "text",
    [
        "asyncio.Queue(3)",
        "asyncio.Queue(maxsize=3)",
        "asyncio.Queue(**options)",
        "asyncio.Queue(*arguments)",
        "options = {'loop': x}\noptions.pop('loop')\nasyncio.Queue(**options)",
        "options = {'loop': x}\nif y:\n    del options['loop']\nasyncio.Queue(**options)",
        "options = {}\nif x:\n    options['loop'] = x\nasyncio.Queue(**options)",
        "options = {}\ndef f():\n    options['loop'] = x\nasyncio.Queue(**options)",
        "options[x] = 3\ndel options[x]\nasyncio.Queue(**options)",
        "class Own(asyncio.Queue):\n    def __init__(self, loop): ...\nOwn(loop=x)",
        "class Own:\n    def __init__(self, loop): ...\nOwn(loop=x)",
        "try:\n    asyncio.Queue(loop=x)\nexcept TypeError:\n    pass",
    ],
)
def test_calls_without_it(text: str) -> None:
    assert (
        judge_texts(
            f"import asyncio\n{text}",
            baseline_signatures={"asyncio:Queue": WITH_LOOP},
            target_signatures={"asyncio:Queue": WITHOUT},
        )
        == ()
    )


def test_a_parameter_that_warns() -> None:
    findings = judge_texts("import asyncio\nasyncio.Queue(loop=x)", baseline_signatures={"asyncio:Queue": WITH_LOOP},
                  target_signatures={"asyncio:Queue": WITH_LOOP})  # fmt: skip

    assert [(finding.code, finding.remedy) for finding in findings] == [("PY220", "remove loop")]


ALL = Signature(positional=("kind", "value"), keywords=("kind", "value"), required=("kind", "value"))
ONE = Signature(positional=("error", "value"), keywords=("value",), required=("error",))


@pytest.mark.parametrize(
    ("call", "is_reported"),
    [("(x)", True), ("(x, y)", False), ("(x, value=y)", False), ("(*x)", False), ("(x, **y)", False), ("()", False)],
)
def test_a_default_that_the_baseline_lacks(call: str, is_reported: bool) -> None:
    """An argument that became optional. What all releases reject is not reported."""
    signatures = {"traceback:format_exception": ALL}, {"traceback:format_exception": ONE}
    findings = judge_texts(
        f"import traceback\ntraceback.format_exception{call}\n",
        baseline_signatures=signatures[0],
        target_signatures=signatures[1],
    )

    assert [finding.code for finding in findings] == (["PY210"] if is_reported else [])


def test_keywords_of_a_function_that_accepts_any_on_the_target() -> None:
    """The function accepted none before. Others forward unknown keywords to code that may reject them."""
    before, after = Signature(positional=(), keywords=()), Signature(positional=(), keywords=(), any_keyword=True)
    findings = judge_texts(
        "import asyncio\nasyncio.Queue(x=1)",
        baseline_signatures={"asyncio:Queue": before},
        target_signatures={"asyncio:Queue": after},
    )

    assert [finding.code for finding in findings] == ["PY210"]
    assert (
        judge_texts(
            "import asyncio\nasyncio.Queue(x=1)",
            baseline_signatures={"asyncio:Queue": WITHOUT},
            target_signatures={"asyncio:Queue": OPEN},
        )
        == ()
    )


def test_keywords_that_are_forwarded() -> None:
    """``subprocess.run`` forwards everything to ``Popen``; neither signature shows it."""
    baseline, target = (
        Signature(positional=("args",), keywords=("args", "cwd")),
        Signature(positional=("args",), keywords=("args", "cwd", "process_group")),
    )
    text = "import subprocess\nsubprocess.run(x, check=True, timeout=3, cwd='.', process_group=0)\n"
    findings = judge_texts(
        text, baseline_signatures={"subprocess:Popen": baseline}, target_signatures={"subprocess:Popen": target}
    )

    assert [(finding.code, finding.names) for finding in findings] == [("PY210", ("subprocess.Popen(process_group)",))]


def test_too_many_positional_arguments() -> None:
    before, after = Signature(positional=("x", "random"), keywords=()), Signature(positional=("x",), keywords=())
    signatures = {"random:shuffle": before}, {"random:shuffle": after}

    assert codes(
        judge_texts(
            "import random\nrandom.shuffle(x, y)", baseline_signatures=signatures[0], target_signatures=signatures[1]
        )
    ) == ["PY204 2"]
    assert (
        judge_texts(
            "import random\nrandom.shuffle(x)", baseline_signatures=signatures[0], target_signatures=signatures[1]
        )
        == ()
    )


def test_a_parameter_that_the_baseline_lacks() -> None:
    findings = judge_texts("import asyncio\nasyncio.Queue(loop=x)", baseline_signatures={"asyncio:Queue": WITHOUT},
                  target_signatures={"asyncio:Queue": WITH_LOOP})  # fmt: skip

    assert "PY210" in [finding.code for finding in findings]


def test_own_typed_dicts_accept_their_own_fields() -> None:
    baseline = {"typing:TypedDict": Signature(positional=("typename", "fields"), keywords=(), any_keyword=True)}
    target = {"typing:TypedDict": Signature(positional=("typename", "fields"), keywords=("total",))}

    made = judge_texts(
        "import typing\nclass A(typing.TypedDict):\n    x: int\nA(x=1)",
        baseline_signatures=baseline,
        target_signatures=target,
    )
    called = judge_texts(
        "import typing\ntyping.TypedDict('A', x=int)", baseline_signatures=baseline, target_signatures=target
    )

    assert made == ()
    assert "PY204" in {finding.code for finding in called}
