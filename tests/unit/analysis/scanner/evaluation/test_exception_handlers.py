"""Which exceptions of a ``try`` do no harm, and when its handlers run."""

import pytest

from pytest_py312.analysis.scanner.facts.stdlib_queries import Signature
from tests.unit.analysis.hearing import codes, heard


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


TRIED = "try:\n    import imp\n    HAVE = True\nexcept ImportError:\n    HAVE = False\n"


@pytest.mark.parametrize(
    "text",
    [
        TRIED + "if HAVE:\n    import distutils\n",
        TRIED + "def load():\n    if not HAVE:\n        return None\n    import distutils\n",
        "try:\n    import imp\nexcept ImportError:\n    HAVE = False\nelse:\n    HAVE = True\n"
        "if HAVE:\n    import distutils\n",
        "HAVE = False\ntry:\n    import imp\n    HAVE = True\nexcept ImportError:\n    pass\n"
        "if HAVE:\n    import distutils\n",
        "try:\n    import imp\n    NEW = False\nexcept ImportError:\n    NEW = True\n"
        "if not NEW:\n    import distutils\n",
    ],
)
def test_a_flag_says_whether_the_body_has_worked(text: str) -> None:
    assert heard(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        TRIED + "if not HAVE:\n    import distutils\n",
        TRIED + "HAVE = len(__file__) > 3\nif HAVE:\n    import distutils\n",
        TRIED.replace("imp\n", "json\n") + "if HAVE:\n    import distutils\n",
        TRIED.replace("False", "True") + "if HAVE:\n    import distutils\n",
        "try:\n    import imp\n    HAVE = True\nexcept ImportError:\n    pass\nif HAVE:\n    import distutils\n",
    ],
)
def test_a_flag_that_says_something_else_is_none(text: str) -> None:
    assert len(codes(heard(text))) == 1


@pytest.mark.parametrize("test", ["if lib:", "if lib is not None:"])
def test_what_needs_a_third_party_that_is_not_there_does_not_run(test: str) -> None:
    text = f"try:\n    import lib\nexcept ImportError:\n    lib = None\n{test}\n    import imp\n"

    assert heard(text, lock={}) == ()
    assert len(heard(text, lock={"lib": "1.0"})) == 1


@pytest.mark.parametrize(
    ("leaves", "is_guard"),
    [
        ("raise unittest.SkipTest('no imp')", True),
        ("raise SystemExit(0)", True),
        ("sys.exit(0)", True),
        ("sys.exit()", False),
        ("sys.exit('no imp')", False),
        ("raise SystemExit('no imp')", False),
        ("raise RuntimeError from None", False),
    ],
)
def test_a_handler_that_skips_a_test_or_ends_well_is_a_guard(leaves: str, is_guard: bool) -> None:
    text = f"import sys, unittest\ntry:\n    import imp\nexcept ImportError:\n    {leaves}\n"

    assert (heard(text) == ()) is is_guard


def test_a_module_imported_by_a_chosen_name_is_there_only_where_the_name_is_chosen() -> None:
    text = """
        import sys
        from importlib import import_module
        abcs = import_module("collections.abc" if sys.version_info >= (3, 3) else "collections")
        abcs.Mapping
    """

    assert heard(text) == ()
