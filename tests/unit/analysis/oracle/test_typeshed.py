"""Typeshed answers instead of an interpreter, and declares the results of functions."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_py312.analysis.oracle import typeshed
from pytest_py312.analysis.oracle.stub_returns import ReturnTypeCache
from pytest_py312.analysis.oracle.typeshed import NotDescribed
from pytest_py312.analysis.scanner.facts.stdlib_queries import StdlibAnswer, StdlibQuery

pytest.importorskip("typeshed_client")


def typeshed_answer(name: str, release: tuple[int, int] = (3, 14)) -> StdlibAnswer:
    module, _, path = name.partition(":")
    query = StdlibQuery(module=module, path=path)
    return typeshed.answer_from_typeshed([query], release).answers[query]


def results(folder: Path, name: str) -> list[str]:
    module, _, path = name.partition(":")
    query = StdlibQuery(module=module, path=path)
    result_queries = ReturnTypeCache(folder=folder).returned_classes([query])
    return [str(result) for result in result_queries.get(query, ())]


def test_answers_from_typeshed_are_marked() -> None:
    answers = typeshed.answer_from_typeshed([StdlibQuery(module="os")], (3, 14))

    assert answers.origin.startswith("typeshed ")
    assert answers.version == (3, 14)


@pytest.mark.parametrize("name", ["imp", "asyncio:coroutine", "unittest:TestCase().assertEquals", "os:nothing", "cgi"])
def test_removed_names_are_absent(name: str) -> None:
    answer = typeshed_answer(name)

    assert answer.present is False
    assert answer.reason.startswith("typeshed has no ")


@pytest.mark.parametrize(
    "name",
    ["os", "os.path", "os:path.join", "datetime:datetime.utcnow", "threading:Thread().is_alive", "asyncio:sleep",
     "collections.abc:Mapping", "logging:getLogger().info", "concurrent:futures"],
)  # fmt: skip
def test_existing_names_are_present(name: str) -> None:
    assert typeshed_answer(name).present is True


@pytest.mark.parametrize(
    "name", ["requests", "os:_private", "json:loads().x", "builtins:open().read", "os:a b", "formatter"]
)
def test_undescribed_names_are_undecided(name: str) -> None:
    answer = typeshed_answer(name)

    assert answer.present is None
    assert answer.reason


def test_deprecations_signatures_and_members_are_reported() -> None:
    assert typeshed_answer("datetime:datetime.utcnow").warning
    assert not typeshed_answer("datetime:datetime.now").warning
    sleep = typeshed_answer("threading:Thread().join").signature
    assert sleep is not None
    assert (sleep.positional, sleep.keywords) == (("timeout",), ("timeout",))
    members = typeshed_answer("collections:OrderedDict").members
    assert members is not None
    assert {"move_to_end", "keys"} <= set(members)
    assert "timeout" in (typeshed_answer("asyncio").members or ())


def test_each_release_has_its_own_names() -> None:
    assert typeshed_answer("asyncio:timeout", (3, 10)).present is False
    assert typeshed_answer("asyncio:timeout", (3, 12)).present is True
    assert typeshed_answer("imp", (3, 10)).present is True


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("logging:getLogger().warn", ["logging.Logger().warn"]),
        ("threading:current_thread().isAlive", ["threading.Thread().isAlive"]),
        ("subprocess:run().stdout", ["subprocess.CompletedProcess().stdout"]),
        ("datetime:datetime.now().utcnow", ["datetime.datetime().utcnow"]),
        ("threading:Thread().isAlive", []),
        ("json:loads().x", []),
        ("asyncio:sleep().x", []),
        ("os:nothing().x", []),
        ("requests:get().json", []),
    ],
)
def test_the_result_of_a_function_is_translated_to_its_class(tmp_path: Path, name: str, classes: list[str]) -> None:
    assert results(tmp_path, name) == classes
    assert results(tmp_path, name) == classes  # cached


def test_without_typeshed_there_are_no_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typeshed, "version", lambda: "")

    assert results(tmp_path, "logging:getLogger().warn") == []
    with pytest.raises(NotDescribed, match="typeshed_client"):
        typeshed.answer_from_typeshed([StdlibQuery(module="os")], (3, 14))


NAMES = st.sampled_from(["os", "path", "Thread", "getLogger", "x", "__init__", "", "()", "open", "é", "name", "Logger"])


@given(
    st.sampled_from(["os", "logging", "threading", "builtins", "typing"]) | st.text(max_size=8),
    st.lists(st.tuples(NAMES, st.booleans()), max_size=4) | st.text(max_size=8),
)
@settings(max_examples=150, deadline=None)
def test_no_query_crashes_the_stub_reader(module: str, path: str | list[tuple[str, bool]]) -> None:
    words = path if isinstance(path, str) else ".".join(f"{name}()" if called else name for name, called in path)
    answer = typeshed_answer(f"{module}:{words}")

    assert answer.present is True or answer.reason
