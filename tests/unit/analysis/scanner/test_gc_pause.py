"""The garbage collector is paused while syntax trees are built."""

import gc

import pytest

from pytest_py312.analysis.scanner.gc_pause import gc_paused


@pytest.mark.parametrize("on_before", [True, False])
def test_the_collector_is_disabled_inside_and_restored_after(on_before: bool) -> None:
    was = gc.isenabled()
    try:
        (gc.enable if on_before else gc.disable)()
        with gc_paused():
            assert not gc.isenabled()
        assert gc.isenabled() is on_before
        with pytest.raises(KeyError), gc_paused():
            raise KeyError
        assert gc.isenabled() is on_before
    finally:
        (gc.enable if was else gc.disable)()
