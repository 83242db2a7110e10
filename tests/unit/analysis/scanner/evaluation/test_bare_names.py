"""Names whose import may fail without a word, and that are used all the same."""

import pytest

from tests.unit.analysis.hearing import codes, heard

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
def test_a_use_that_is_reached_for_certain_breaks(handler: str, use: str) -> None:
    found = heard(QUIET.format(handler) + use)

    assert [one.code for one in found] == ["PY201"]
    assert "used all the same" in found[0].message


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
def test_a_use_that_may_never_be_reached_is_let_be(handler: str, use: str) -> None:
    assert heard(QUIET.format(handler) + use) == ()


def test_a_use_behind_the_same_guard_is_kept_away_with_the_import() -> None:
    assert heard("try:\n    import imp\n    imp.reload\nexcept ImportError:\n    pass\n") == ()
    assert (
        heard(
            "from contextlib import suppress\nx = None\nwith suppress(ImportError):\n    import imp\n    x = imp.a\nx\n"
        )
        == ()
    )


def test_names_taken_from_a_module_break_in_the_same_way() -> None:
    text = "try:\n    from inspect import getargspec\nexcept ImportError:\n    pass\nprint(getargspec(len))\n"

    assert codes(heard(text)) == ["PY202 5"]
