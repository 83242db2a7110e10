"""Names whose import may fail silently and that are used anyway."""

import pytest

from tests.unit.analysis.fake_interpreters import codes, judge_texts

QUIET = "try:\n    import imp\nexcept ImportError:\n    {}\n"


@pytest.mark.parametrize(
    ("handler", "use"),
    [
        ("pass", "imp.reload\n"),
        ("pass", "print(imp)\n"),
        ("imp = None", "imp.reload\n"),
        ("imp = None", "class Loader(imp.NullImporter):\n    pass\n"),
        ("pass", "import sys\nif sys.version_info >= (3, 6):\n    imp.reload\n"),
    ],
)
def test_a_use_that_is_always_executed_fails(handler: str, use: str) -> None:
    found = judge_texts(QUIET.format(handler) + use)

    assert [one.code for one in found] == ["PY201"]
    assert "used anyway" in found[0].message


@pytest.mark.parametrize(
    ("handler", "use"),
    [
        ("imp = None", "print(imp)\n"),
        ("imp = None", "if imp:\n    imp.reload\n"),
        ("imp = None", "if imp is not None:\n    imp.reload\n"),
        ("imp = None", "imp and imp.reload\n"),
        ("imp = None", "imp.reload if imp else None\n"),
        ("imp = None", "def f():\n    imp.reload\n"),
        ("imp = None", "f = lambda: imp.reload\n"),
        ("imp = None", "import sys\nif len(sys.argv) > 3:\n    imp.reload\n"),
        ("imp = None", "import sys\nif sys.version_info < (3, 12):\n    imp.reload\n"),
        ("imp = None", "try:\n    imp.reload\nexcept AttributeError:\n    pass\n"),
        ("pass", "try:\n    imp.reload\nexcept NameError:\n    pass\n"),
        ("import importlib as imp", "imp.reload\n"),
        ("imp = make()", "imp.reload\n"),
    ],
)
def test_a_use_that_may_never_be_executed_is_not_reported(handler: str, use: str) -> None:
    assert judge_texts(QUIET.format(handler) + use) == ()


def test_a_use_under_the_guard_of_the_import_is_not_reported() -> None:
    assert judge_texts("try:\n    import imp\n    imp.reload\nexcept ImportError:\n    pass\n") == ()
    assert (
        judge_texts(
            "from contextlib import suppress\nx = None\nwith suppress(ImportError):\n    import imp\n    x = imp.a\nx\n"
        )
        == ()
    )


def test_names_imported_from_a_module_fail_in_the_same_way() -> None:
    text = "try:\n    from inspect import getargspec\nexcept ImportError:\n    pass\nprint(getargspec(len))\n"

    assert codes(judge_texts(text)) == ["PY202 5"]
