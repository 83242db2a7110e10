"""The search for cycles, kept off while trees are read."""

import gc

import pytest

from pytest_py312.analysis.scanner.gc_pause import no_collector


@pytest.mark.parametrize("on_before", [True, False])
def test_the_collector_is_off_inside_and_as_it_was_after(on_before: bool) -> None:
    was = gc.isenabled()
    try:
        (gc.enable if on_before else gc.disable)()
        with no_collector():
            assert not gc.isenabled()
        assert gc.isenabled() is on_before
        with pytest.raises(KeyError), no_collector():
            raise KeyError
        assert gc.isenabled() is on_before
    finally:
        (gc.enable if was else gc.disable)()
