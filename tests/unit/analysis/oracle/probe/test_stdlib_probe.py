"""The probes answer every query, run in the interpreter that runs these tests."""

import sys
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_py312.analysis.oracle.probe.compiler_probe import compiler_messages
from pytest_py312.analysis.oracle.probe.library import StandardLibrary, is_importable
from pytest_py312.analysis.oracle.probe.stdlib_probe import answer_query
from pytest_py312.analysis.oracle.probe_protocol import parse_answer, parse_compiler_message
from pytest_py312.analysis.scanner.facts.stdlib_queries import StdlibAnswer

MODULES = ("logging", "threading", "json", "datetime", "enum", "collections", "builtins", "sys", "types", "argparse")
NAMES = st.sampled_from(
    ["Thread", "Enum", "loads", "datetime", "now", "__init__", "__class__", "name", "x", "Logger", "type", "object",
     "mro", "__dict__", "__doc__", "Namespace", "OrderedDict", "modules", "ModuleType", "", "()", "a b", "\0", "é"]
)  # fmt: skip


@pytest.fixture(scope="module")
def log() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as recorded:
        warnings.simplefilter("always")
        yield recorded


@given(
    st.sampled_from(MODULES) | st.text(max_size=12),
    st.lists(st.tuples(NAMES, st.booleans()), max_size=4) | st.text(max_size=12),
    st.booleans(),
)
@settings(max_examples=300)
def test_no_query_crashes_the_probe(module: str, path: str | list[tuple[str, bool]], assumed: bool) -> None:
    words = path if isinstance(path, str) else ".".join(f"{name}()" if called else name for name, called in path)
    with warnings.catch_warnings(record=True) as recorded:
        library = StandardLibrary(MODULES, recorded)
        if module in sys.stdlib_module_names and module not in MODULES:
            return  # do not import random modules into this process
        answer = parse_answer(answer_query(library, module, words, assumed))

    assert answer is not None
    assert answer.present is True or answer.reason


def test_an_unknown_module_is_not_imported(log: list[warnings.WarningMessage]) -> None:
    for module in ("pytest_py312", "pytest", "tests.conftest", "os;", "../os", ""):
        modules_before = set(sys.modules)
        answer = parse_answer(answer_query(StandardLibrary(MODULES, log), module, "", False))
        assert answer is not None
        assert answer.present is None
        assert set(sys.modules) == modules_before


@pytest.mark.parametrize(
    "module", ["this", "antigravity", "idlelib.idle", "test.support", "unittest.__main__", "__main__"]
)
def test_a_module_with_side_effects_is_never_imported(module: str, log: list[warnings.WarningMessage]) -> None:
    assert not is_importable(module)
    before = set(sys.modules)
    answer = parse_answer(answer_query(StandardLibrary(MODULES, log), module, "", False))
    assert isinstance(answer, StdlibAnswer)
    assert set(sys.modules) == before


@given(st.binary(max_size=80) | st.text(alphabet="~TrueFals'\\d(\n: =#x0_", max_size=60).map(str.encode))
@settings(max_examples=300)
def test_no_file_crashes_the_compiler(text: bytes) -> None:
    with warnings.catch_warnings(record=True) as recorded:
        warnings.simplefilter("always")
        found = compiler_messages(text, "<file 0>", recorded)

    assert all(parse_compiler_message(item) is not None for item in found)
