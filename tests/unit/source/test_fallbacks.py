"""Which exceptions of a ``try`` do no harm, and when its handlers run."""

import pytest

from pytest_py312.source.questions import Signature
from tests.unit.source.hearing import codes, heard


@pytest.mark.parametrize(
    "handler",
    [
        "ImportError", "ModuleNotFoundError", "Exception", "BaseException", "(ImportError, AttributeError)",
        "Exception as error", "ERRORS", "builtins.ImportError", "",
    ],
)  # fmt: skip
def test_these_catch_an_import(handler: str) -> None:
    text = f"import builtins\nERRORS = (ImportError, ValueError)\ntry:\n    import imp\nexcept {handler}:\n    pass\n"

    assert heard(text) == ()


@pytest.mark.parametrize("handler", ["ValueError", "AttributeError", "(KeyError, TypeError)", "OTHERS"])
def test_these_do_not(handler: str) -> None:
    text = f"OTHERS = (KeyError, TypeError)\ntry:\n    import imp\nexcept {handler}:\n    imp = None\n"

    assert codes(heard(text)) == ["PY201 3"]


def test_an_attribute_is_no_import() -> None:
    assert heard("import inspect\ntry:\n    inspect.getargspec\nexcept AttributeError:\n    pass\n") == ()
    assert codes(heard("import inspect\ntry:\n    inspect.getargspec\nexcept ImportError:\n    pass\n")) == ["PY202 3"]


@pytest.mark.parametrize(
    "text",
    [
        "import contextlib\nwith contextlib.suppress(ImportError):\n    import imp\n",
        "import pytest\nwith pytest.raises((ImportError, ValueError)):\n    import imp\n",
        "class C:\n    def f(self):\n        with self.assertRaises(ImportError):\n            import imp\n",
        "import inspect\ncheck.assertRaises(AttributeError, lambda: inspect.getargspec)\n",
        "for load in (lambda: __import__('imp'),):\n    try:\n        load()\n    except ImportError:\n        pass\n",
    ],
)
def test_other_things_that_catch(text: str) -> None:
    assert heard(text) == ()


PLAIN = Signature(positional=(), keywords=())
WITH_LOOP = Signature(positional=(), keywords=("loop",))
GROUPED = Signature(positional=(), keywords=("group",))


@pytest.mark.parametrize(
    ("body", "signature", "runs"),
    [("asyncio.Lock()", PLAIN, False), ("asyncio.Lock(group=1)", GROUPED, False), ("asyncio.Lock(3)", PLAIN, True),
     ("json.dumps(x)", PLAIN, True)],
)  # fmt: skip
def test_another_call_of_the_same_is_for_those_that_refuse_the_first(
    body: str, signature: Signature, runs: bool
) -> None:
    """``except TypeError`` round a call is no guard of what stands in it, unless it calls the same in another way."""
    text = f"import asyncio, json\ntry:\n    {body}\nexcept TypeError:\n    asyncio.Lock(loop=x)\n"

    found = heard(text, before={"asyncio:Lock": WITH_LOOP}, after={"asyncio:Lock": signature})

    assert ("PY204 5" in codes(found)) is runs


def test_what_follows_handlers_that_leave_runs_only_where_the_body_worked() -> None:
    text = "def f():\n    try:\n        import imp\n    except ImportError:\n        return\n    imp.reload\n"

    assert heard(text, gone=("imp",)) == ()


def test_what_follows_a_body_that_leaves_runs_only_where_it_failed() -> None:
    text = """
        def spec(function):
            try:
                from json import loads
                return loads
            except ImportError:
                pass
            import imp
    """

    assert heard(text) == ()


def test_else_runs_where_nothing_is_missing() -> None:
    text = "try:\n    import imp\nexcept ImportError:\n    pass\nelse:\n    imp.reload(imp)\n"

    assert heard(text) == ()


def test_warnings_that_are_silenced_or_expected_are_not_told() -> None:
    late = {"datetime:datetime.utcnow": "utcnow is deprecated"}
    call = "datetime.datetime.utcnow()"
    silenced = f"with warnings.catch_warnings():\n    warnings.simplefilter('ignore')\n    {call}\n"
    recorded = f"with warnings.catch_warnings(record=True):\n    {call}\n"
    expected = f"with pytest.warns(DeprecationWarning):\n    {call}\n"
    shown = f"with warnings.catch_warnings():\n    {call}\n"

    found = [
        codes(heard(f"import datetime, warnings\n{text}", warnings=late))
        for text in (silenced, recorded, expected, shown)
    ]

    assert found == [[], [], [], ["PY220 3"]]
