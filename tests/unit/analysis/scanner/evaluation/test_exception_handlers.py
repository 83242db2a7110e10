"""Which exceptions a ``try`` catches, and when its handlers run."""

import pytest

from pytest_py312.analysis.scanner.facts.stdlib_queries import Signature
from tests.unit.analysis.fake_interpreters import codes, judge_texts


@pytest.mark.parametrize(
    "handler",
    [
        "ImportError", "ModuleNotFoundError", "Exception", "BaseException", "(ImportError, AttributeError)",
        "Exception as error", "ERRORS", "builtins.ImportError", "",
    ],
)  # fmt: skip
def test_these_handlers_catch_an_import_error(handler: str) -> None:
    text = f"import builtins\nERRORS = (ImportError, ValueError)\ntry:\n    import imp\nexcept {handler}:\n    pass\n"

    assert judge_texts(text) == ()


@pytest.mark.parametrize("handler", ["ValueError", "AttributeError", "(KeyError, TypeError)", "OTHERS"])
def test_these_handlers_do_not_catch_an_import_error(handler: str) -> None:
    text = f"OTHERS = (KeyError, TypeError)\ntry:\n    import imp\nexcept {handler}:\n    imp = None\n"

    assert codes(judge_texts(text)) == ["PY201 3"]


def test_attribute_errors_and_import_errors_are_distinguished() -> None:
    assert judge_texts("import inspect\ntry:\n    inspect.getargspec\nexcept AttributeError:\n    pass\n") == ()
    assert codes(judge_texts("import inspect\ntry:\n    inspect.getargspec\nexcept ImportError:\n    pass\n")) == [
        "PY202 3"
    ]


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
def test_other_guards_catch_as_well(text: str) -> None:
    assert judge_texts(text) == ()


PLAIN = Signature(positional=(), keywords=())
WITH_LOOP = Signature(positional=(), keywords=("loop",))
GROUPED = Signature(positional=(), keywords=("group",))


@pytest.mark.parametrize(
    ("body", "signature", "runs"),
    [("asyncio.Lock()", PLAIN, False), ("asyncio.Lock(group=1)", GROUPED, False), ("asyncio.Lock(3)", PLAIN, True),
     ("json.dumps(x)", PLAIN, True)],
)  # fmt: skip
def test_a_handler_with_another_call_runs_where_the_first_call_is_refused(
    body: str, signature: Signature, runs: bool
) -> None:
    """``except TypeError`` around a call is a guard only if it calls the same function in another way."""
    text = f"import asyncio, json\ntry:\n    {body}\nexcept TypeError:\n    asyncio.Lock(loop=x)\n"

    findings = judge_texts(
        text, baseline_signatures={"asyncio:Lock": WITH_LOOP}, target_signatures={"asyncio:Lock": signature}
    )

    assert ("PY204 5" in codes(findings)) is runs


def test_a_handler_with_another_call_is_recognised_if_the_name_may_be_a_backport() -> None:
    text = """
        try:
            from asyncio import Lock
        except ImportError:
            from backport import Lock
        try:
            Lock()
        except TypeError:
            Lock(loop=x)
    """

    assert (
        judge_texts(text, baseline_signatures={"asyncio:Lock": WITH_LOOP}, target_signatures={"asyncio:Lock": PLAIN})
        == ()
    )


def test_code_after_handlers_that_return_runs_where_the_body_succeeded() -> None:
    text = "def f():\n    try:\n        import imp\n    except ImportError:\n        return\n    imp.reload\n"

    assert judge_texts(text, gone=("imp",)) == ()


def test_code_after_a_body_that_returns_runs_where_the_body_failed() -> None:
    text = """
        def spec(function):
            try:
                from json import loads
                return loads
            except ImportError:
                pass
            import imp
    """

    assert judge_texts(text) == ()


def test_the_else_branch_runs_where_nothing_is_missing() -> None:
    text = "try:\n    import imp\nexcept ImportError:\n    pass\nelse:\n    imp.reload(imp)\n"

    assert judge_texts(text) == ()


def test_warnings_that_are_silenced_or_expected_are_not_reported() -> None:
    late = {"datetime:datetime.utcnow": "utcnow is deprecated"}
    call = "datetime.datetime.utcnow()"
    silenced = f"with warnings.catch_warnings():\n    warnings.simplefilter('ignore')\n    {call}\n"
    recorded = f"with warnings.catch_warnings(record=True):\n    {call}\n"
    expected = f"with pytest.warns(DeprecationWarning):\n    {call}\n"
    shown = f"with warnings.catch_warnings():\n    {call}\n"

    reported = [
        codes(judge_texts(f"import datetime, warnings\n{text}", warnings=late))
        for text in (silenced, recorded, expected, shown)
    ]

    assert reported == [[], [], [], ["PY220 3"]]


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
def test_a_flag_records_whether_the_body_succeeded(text: str) -> None:
    assert judge_texts(text) == ()


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
def test_a_flag_with_another_meaning_is_ignored(text: str) -> None:
    assert len(codes(judge_texts(text))) == 1


@pytest.mark.parametrize("test", ["if lib:", "if lib is not None:"])
def test_code_that_needs_a_missing_third_party_module_does_not_run(test: str) -> None:
    text = f"try:\n    import lib\nexcept ImportError:\n    lib = None\n{test}\n    import imp\n"

    assert judge_texts(text, lock={}) == ()
    assert len(judge_texts(text, lock={"lib": "1.0"})) == 1


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
def test_a_handler_that_skips_a_test_or_exits_successfully_is_a_guard(leaves: str, is_guard: bool) -> None:
    text = f"import sys, unittest\ntry:\n    import imp\nexcept ImportError:\n    {leaves}\n"

    assert (judge_texts(text) == ()) is is_guard


def test_a_conditional_module_name_is_imported_only_under_its_condition() -> None:
    text = """
        import sys
        from importlib import import_module
        abcs = import_module("collections.abc" if sys.version_info >= (3, 3) else "collections")
        abcs.Mapping
    """

    assert judge_texts(text) == ()
