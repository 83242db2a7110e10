"""Typeshed in the place of an interpreter, and what it says of the results of functions."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_py312.analysis.oracle import typeshed
from pytest_py312.analysis.oracle.stub_returns import Stubs
from pytest_py312.analysis.oracle.typeshed import Unknown
from pytest_py312.analysis.scanner.facts.stdlib_queries import Answer, Question

pytest.importorskip("typeshed_client")


def ask(name: str, release: tuple[int, int] = (3, 14)) -> Answer:
    module, _, path = name.partition(":")
    question = Question(module=module, path=path)
    return typeshed.testimony([question], release).answers[question]


def results(folder: Path, name: str) -> list[str]:
    module, _, path = name.partition(":")
    question = Question(module=module, path=path)
    found = Stubs(memory=folder).results([question])
    return [str(one) for one in found.get(question, ())]


def test_it_says_that_it_was_not_the_interpreter() -> None:
    said = typeshed.testimony([Question(module="os")], (3, 14))

    assert said.origin.startswith("typeshed ")
    assert said.version == (3, 14)
    assert not said.asked_itself


@pytest.mark.parametrize("name", ["imp", "asyncio:coroutine", "unittest:TestCase().assertEquals", "os:nothing", "cgi"])
def test_what_is_gone_is_absent(name: str) -> None:
    answer = ask(name)

    assert answer.present is False
    assert answer.reason.startswith("typeshed has no ")


@pytest.mark.parametrize(
    "name",
    ["os", "os.path", "os:path.join", "datetime:datetime.utcnow", "threading:Thread().is_alive", "asyncio:sleep",
     "collections.abc:Mapping", "logging:getLogger().info", "concurrent:futures"],
)  # fmt: skip
def test_what_is_there_is_present(name: str) -> None:
    assert ask(name).present is True


@pytest.mark.parametrize(
    "name", ["requests", "os:_private", "json:loads().x", "builtins:open().read", "os:a b", "formatter"]
)
def test_what_it_does_not_describe_is_not_known(name: str) -> None:
    answer = ask(name)

    assert answer.present is None
    assert answer.reason


def test_deprecations_signatures_and_members_are_told() -> None:
    assert ask("datetime:datetime.utcnow").warning
    assert not ask("datetime:datetime.now").warning
    sleep = ask("threading:Thread().join").signature
    assert sleep is not None
    assert (sleep.positional, sleep.keywords) == (("timeout",), ("timeout",))
    members = ask("collections:OrderedDict").members
    assert members is not None
    assert {"move_to_end", "keys"} <= set(members)
    assert "timeout" in (ask("asyncio").members or ())


def test_each_release_has_its_own_names() -> None:
    assert ask("asyncio:timeout", (3, 10)).present is False
    assert ask("asyncio:timeout", (3, 12)).present is True
    assert ask("imp", (3, 10)).present is True


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
def test_what_a_function_gives_is_a_question_about_a_class(tmp_path: Path, name: str, classes: list[str]) -> None:
    assert results(tmp_path, name) == classes
    assert results(tmp_path, name) == classes  # remembered


def test_without_typeshed_nothing_is_invented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typeshed, "version", lambda: "")

    assert results(tmp_path, "logging:getLogger().warn") == []
    with pytest.raises(Unknown, match="typeshed_client"):
        typeshed.testimony([Question(module="os")], (3, 14))


NAMES = st.sampled_from(["os", "path", "Thread", "getLogger", "x", "__init__", "", "()", "open", "é", "name", "Logger"])


@given(
    st.sampled_from(["os", "logging", "threading", "builtins", "typing"]) | st.text(max_size=8),
    st.lists(st.tuples(NAMES, st.booleans()), max_size=4) | st.text(max_size=8),
)
@settings(max_examples=150, deadline=None)
def test_no_question_crashes_it(module: str, path: str | list[tuple[str, bool]]) -> None:
    words = path if isinstance(path, str) else ".".join(f"{name}()" if called else name for name, called in path)
    answer = ask(f"{module}:{words}")

    assert answer.present is True or answer.reason
