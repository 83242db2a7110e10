"""Calls against signatures: parameters that are gone, are going, or have not come yet."""

import pytest

from pytest_py312.analysis.scanner.facts.stdlib_queries import Signature
from pytest_py312.core.model.findings import Severity
from tests.unit.analysis.hearing import codes, heard

WITH_LOOP = Signature(positional=("maxsize",), keywords=("maxsize", "loop"), deprecated=(("loop", "leave loop out"),))
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
def test_a_parameter_that_is_gone(text: str, after: Signature) -> None:
    """Where it warned before and all that is not known is handed on, it is refused further down."""
    found = heard(
        f"import asyncio, functools\n{text}\n", before={"asyncio:Queue": WITH_LOOP}, after={"asyncio:Queue": after}
    )

    assert [one.code for one in found] == ["PY204"]
    assert found[0].severity is Severity.ERROR
    assert "loop" in found[0].message


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
    assert heard(f"import asyncio\n{text}", before={"asyncio:Queue": WITH_LOOP}, after={"asyncio:Queue": WITHOUT}) == ()


def test_a_parameter_that_warns() -> None:
    found = heard("import asyncio\nasyncio.Queue(loop=x)", before={"asyncio:Queue": WITH_LOOP},
                  after={"asyncio:Queue": WITH_LOOP})  # fmt: skip

    assert [(one.code, one.remedy) for one in found] == [("PY220", "leave loop out")]


ALL = Signature(positional=("kind", "value"), keywords=("kind", "value"), required=("kind", "value"))
ONE = Signature(positional=("error", "value"), keywords=("value",), required=("error",))


@pytest.mark.parametrize(
    ("call", "told"),
    [("(x)", True), ("(x, y)", False), ("(x, value=y)", False), ("(*x)", False), ("(x, **y)", False), ("()", False)],
)
def test_a_default_that_the_baseline_lacks(call: str, told: bool) -> None:
    """What may be left out by now, and was asked for before; what all releases refuse is nothing new."""
    known = {"traceback:format_exception": ALL}, {"traceback:format_exception": ONE}
    found = heard(f"import traceback\ntraceback.format_exception{call}\n", before=known[0], after=known[1])

    assert [one.code for one in found] == (["PY210"] if told else [])


def test_keywords_that_the_target_takes_all() -> None:
    """Of a function that took none before; others hand what they do not know on to somebody who may refuse it."""
    before, after = Signature(positional=(), keywords=()), Signature(positional=(), keywords=(), any_keyword=True)
    found = heard(
        "import asyncio\nasyncio.Queue(x=1)", before={"asyncio:Queue": before}, after={"asyncio:Queue": after}
    )

    assert [one.code for one in found] == ["PY210"]
    assert (
        heard("import asyncio\nasyncio.Queue(x=1)", before={"asyncio:Queue": WITHOUT}, after={"asyncio:Queue": OPEN})
        == ()
    )


def test_keywords_that_are_handed_on() -> None:
    """``subprocess.run`` takes all that ``Popen`` takes, and says so of neither."""
    before, after = (
        Signature(positional=("args",), keywords=("args", "cwd")),
        Signature(positional=("args",), keywords=("args", "cwd", "process_group")),
    )
    text = "import subprocess\nsubprocess.run(x, check=True, timeout=3, cwd='.', process_group=0)\n"
    found = heard(text, before={"subprocess:Popen": before}, after={"subprocess:Popen": after})

    assert [(one.code, one.names) for one in found] == [("PY210", ("subprocess.Popen(process_group)",))]


def test_more_arguments_by_position_than_are_taken() -> None:
    before, after = Signature(positional=("x", "random"), keywords=()), Signature(positional=("x",), keywords=())
    known = {"random:shuffle": before}, {"random:shuffle": after}

    assert codes(heard("import random\nrandom.shuffle(x, y)", before=known[0], after=known[1])) == ["PY204 2"]
    assert heard("import random\nrandom.shuffle(x)", before=known[0], after=known[1]) == ()


def test_a_parameter_that_the_baseline_lacks() -> None:
    found = heard("import asyncio\nasyncio.Queue(loop=x)", before={"asyncio:Queue": WITHOUT},
                  after={"asyncio:Queue": WITH_LOOP})  # fmt: skip

    assert "PY210" in [one.code for one in found]


def test_own_typed_dicts_take_their_own_fields() -> None:
    before = {"typing:TypedDict": Signature(positional=("typename", "fields"), keywords=(), any_keyword=True)}
    after = {"typing:TypedDict": Signature(positional=("typename", "fields"), keywords=("total",))}

    made = heard("import typing\nclass A(typing.TypedDict):\n    x: int\nA(x=1)", before=before, after=after)
    called = heard("import typing\ntyping.TypedDict('A', x=int)", before=before, after=after)

    assert made == ()
    assert "PY204" in {one.code for one in called}
