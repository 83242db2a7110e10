"""Names of shared libraries in compiled modules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.dependencies.system.shared_libraries import linked_libraries


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"\x7fELF\0libpq.so.5\0libc.so.6\0", ("libpq.so.5",)),
        (b"\0libxslt.so.1\0libxml2.so.2\0libz.so.1\0libxslt.so.1\0", ("libxml2.so.2", "libxslt.so.1")),
        (b"\0libpython3.9.so.1.0\0libpython3.12.so\0libstdc++.so.6\0libgcc_s.so.1\0", ()),
        (b"cannot load libpq.so.5\0 libfoo.so \0", ()),
        (b"", ()),
    ],
)
def test_only_libraries_that_not_every_system_has_count(content: bytes, names: tuple[str, ...]) -> None:
    assert linked_libraries(content) == names


@given(st.binary(max_size=300))
def test_no_content_breaks_it(content: bytes) -> None:
    assert all(name.startswith("lib") for name in linked_libraries(b"\x7fELF" + content))
