"""Which installed modules a service's imports lead to."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.libraries.import_graph import Installed, Library, Root
from pytest_py312.analysis.libraries.summary import Digest, How, Module
from tests.unit.analysis.libraries.samples import installed

CHAIN = installed(
    web={
        "web/__init__.py": "",
        "web/app.py": "import web.routes\ntry:\n    import speedup\nexcept ImportError:\n    pass\n",
        "web/routes.py": "def build():\n    from web import debug\n",
        "web/debug.py": "import imp\n",
        "web/unused.py": "",
    },
    speedup={"speedup.py": ""},
)


def root(target: str, how: int = How.AT_IMPORT) -> Root:
    return Root(path="services/a/main.py", line=3, target=target, how=how)


def test_a_module_is_as_sure_as_the_weakest_import_on_the_way() -> None:
    found = CHAIN.reach([root("web.app.App")])
    assert {name: reached.how for name, reached in found.items()} == {
        "web": How.AT_IMPORT,
        "web.app": How.AT_IMPORT,
        "web.routes": How.AT_IMPORT,
        "web.debug": How.WHEN_CALLED,
        "speedup": How.PERHAPS,
    }
    assert found["web.debug"].way == ("web.app", "web.routes")


def test_the_surest_of_several_ways_counts() -> None:
    found = CHAIN.reach([root("web.app", How.WHEN_CALLED), root("web.debug")])
    assert found["web.debug"].how == How.AT_IMPORT
    assert found["web.routes"].how == How.WHEN_CALLED


def test_what_was_imported_for_real_has_run_all_that_it_surely_imports() -> None:
    assert CHAIN.proven({"web.app": "", "speedup": "ModuleNotFoundError"}) == {"web", "web.app", "web.routes"}


def test_a_namespace_belongs_to_whoever_has_the_part() -> None:
    found = installed(
        storage={"google/cloud/storage/__init__.py": ""},
        protobuf={"google/protobuf/__init__.py": ""},
        six={"six.py": ""},
    )
    assert [library.name for library in found.owners("google.cloud.storage.Client")] == ["storage"]
    assert [library.name for library in found.owners("google.protobuf")] == ["protobuf"]
    assert found.owners("google.cloud.vision") == ()
    assert found.owners("google") == ()
    assert [library.name for library in found.owners("six.moves.urllib")] == ["six"]
    assert found.has("google.cloud")
    assert not found.has("google.api")


NAMES = st.sampled_from(["a", "a.b", "a.b.c", "d", "d.e", "f"])


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, st.integers(0, 2), max_size=4)), NAMES, st.integers(0, 2))
def test_no_way_is_surer_than_its_first_step(graph: dict[str, dict[str, int]], start: str, how: int) -> None:
    """Whatever imports whatever, in circles too; and every step of a way was reached before."""
    modules = tuple(Module(name=name, path=f"{name}.py", imports=imports) for name, imports in graph.items())
    found = Installed([Library(name="x", version="1", digest=Digest(modules=modules))]).reach([root(start, how)])
    assert all(reached.how <= how for reached in found.values())
    assert all(step in found for reached in found.values() for step in reached.way)
    assert set(found) <= set(graph)
