"""The code around imports, beyond the guards of the scanner."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.libraries.summaries.import_context import import_contexts
from pytest_py312.analysis.libraries.summaries.summarize import positions_in_functions


@pytest.mark.parametrize(
    ("text", "line", "conditional"),
    [
        ("import x\n", 1, False),
        ("class A:\n    import x\n", 2, False),
        ("with quiet():\n    import x\n", 2, False),
        ("try:\n    import x\nfinally:\n    import y\n", 4, False),
        ("if sys.version_info >= (3, 9):\n    import x\n", 2, False),
        ("if settings.redis:\n    import x\n", 2, True),
        ("if a:\n    pass\nelse:\n    import x\n", 4, True),
        ("try:\n    pass\nexcept OSError:\n    import x\n", 4, True),
        ("for name in names:\n    import x\n", 2, True),
        ("def f():\n    import x\n", 2, True),
        ("match a:\n    case 1:\n        import x\n", 3, True),
        ("from a import (\n    b,\n    c,\n)\n", 3, False),
    ],
)
def test_an_import_that_does_not_always_run_is_conditional(text: str, line: int, conditional: bool) -> None:
    assert import_contexts(text.encode())[line].conditional is conditional


@given(st.binary(max_size=200))
def test_no_content_raises(content: bytes) -> None:
    assert all(line > 0 for line in import_contexts(content))


@pytest.mark.parametrize("test", ["-" * 600 + "x", "1 + " * 600 + "x", "x" + ".a" * 600])
def test_a_condition_that_is_nested_too_deeply_is_undecided(test: str) -> None:
    """It can be parsed, but not unparsed."""
    assert import_contexts(f"if {test}:\n    import x\n".encode())[2].conditional


@pytest.mark.filterwarnings("error")
def test_a_file_with_compiler_warnings_is_parsed() -> None:
    """Also in a session in which warnings are errors."""
    content = b"pattern = '\\d'\nif a:\n    import x\ndef f():\n    return imp.x\n"
    assert import_contexts(content)[3].conditional
    assert positions_in_functions(content, [(1, 1), (5, 12)]) == {(5, 12)}
