"""What stands round imports, beyond what the scanner keeps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.libraries.import_context import surroundings_of
from pytest_py312.analysis.libraries.summarize import called_places


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
def test_an_import_is_conditional_where_it_is_not_always_run(text: str, line: int, conditional: bool) -> None:
    assert surroundings_of(text.encode())[line].conditional is conditional


@given(st.binary(max_size=200))
def test_no_content_raises(content: bytes) -> None:
    assert all(line > 0 for line in surroundings_of(content))


@pytest.mark.parametrize("test", ["-" * 600 + "x", "1 + " * 600 + "x", "x" + ".a" * 600])
def test_a_condition_that_is_nested_too_deeply_is_not_known(test: str) -> None:
    """Parsers read it, and what writes it out again gives up."""
    assert surroundings_of(f"if {test}:\n    import x\n".encode())[2].conditional


@pytest.mark.filterwarnings("error")
def test_a_file_that_the_compiler_warns_of_is_read() -> None:
    """Also in a session that takes warnings for errors."""
    content = b"pattern = '\\d'\nif a:\n    import x\ndef f():\n    return imp.x\n"
    assert surroundings_of(content)[3].conditional
    assert called_places(content, [(1, 1), (5, 12)]) == {(5, 12)}
