"""Names of shared libraries in compiled modules."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.dependencies.system.shared_libraries import linked_libraries
from tests.support.elf import compiled_module


@pytest.mark.parametrize(
    ("needed", "names"),
    [
        (["libpq.so.5", "libc.so.6", "ld-linux-x86-64.so.2"], ("libpq.so.5",)),
        (["libxslt.so.1", "libxml2.so.2", "libz.so.1", "libxslt.so.1"], ("libxml2.so.2", "libxslt.so.1")),
        (["libpython3.9.so.1.0", "libpython3.12.so", "libstdc++.so.6", "libgcc_s.so.1", "libmvec.so.1"], ()),
        ([], ()),
    ],
)
def test_only_libraries_that_not_every_system_has_count(needed: list[str], names: tuple[str, ...]) -> None:
    assert linked_libraries(compiled_module(needed)) == names


def test_what_a_module_only_tries_to_open_is_not_needed() -> None:
    module = compiled_module(["libpq.so.5"], texts=["libcuda.so.1", "cannot load libfoo.so"])
    assert linked_libraries(module) == ("libpq.so.5",)


def test_the_interpreter_that_runs_this_is_read() -> None:
    """A file of a real linker, with more segments and in another order."""
    assert all(".so" in name for name in linked_libraries(Path(sys.executable).resolve().read_bytes()))


@pytest.mark.parametrize("content", [b"", b"\x7fELF\0libpq.so.5\0", compiled_module(["libpq.so.5"])[:100]])
def test_what_is_no_module_needs_nothing(content: bytes) -> None:
    assert linked_libraries(content) == ()


@given(st.binary(max_size=300), st.integers(0, 250))
def test_no_content_breaks_it(content: bytes, place: int) -> None:
    module = compiled_module(["libpq.so.5"])
    assert all(isinstance(name, str) for name in linked_libraries(module[:place] + content + module[place:]))
    assert all(isinstance(name, str) for name in linked_libraries(module[:place] + content))
