"""Which installed modules a service's imports lead to."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.libraries.import_graph import EnvironmentModules, ImportRoot, InstalledLibrary
from pytest_py312.analysis.libraries.summaries.summary import DistributionSummary, Likelihood, ModuleSummary
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


def root(target: str, how: int = Likelihood.AT_IMPORT) -> ImportRoot:
    return ImportRoot(path="services/a/main.py", line=3, target=target, likelihood=how)


def test_a_chain_is_as_likely_as_its_weakest_import() -> None:
    chains = CHAIN.import_chains([root("web.app.App")])
    assert {name: chain.likelihood for name, chain in chains.items()} == {
        "web": Likelihood.AT_IMPORT,
        "web.app": Likelihood.AT_IMPORT,
        "web.routes": Likelihood.AT_IMPORT,
        "web.debug": Likelihood.WHEN_CALLED,
        "speedup": Likelihood.CONDITIONAL,
    }
    assert chains["web.debug"].via == ("web.app", "web.routes")


def test_the_most_likely_of_several_chains_counts() -> None:
    chains = CHAIN.import_chains([root("web.app", Likelihood.WHEN_CALLED), root("web.debug")])
    assert chains["web.debug"].likelihood == Likelihood.AT_IMPORT
    assert chains["web.routes"].likelihood == Likelihood.WHEN_CALLED


def test_a_successful_import_proves_everything_it_certainly_imports() -> None:
    assert CHAIN.proven_by({"web.app": "", "speedup": "ModuleNotFoundError"}) == {"web", "web.app", "web.routes"}


def test_a_namespace_belongs_to_the_distribution_with_the_imported_part() -> None:
    modules = installed(
        storage={"google/cloud/storage/__init__.py": ""},
        protobuf={"google/protobuf/__init__.py": ""},
        six={"six.py": ""},
    )
    assert [library.name for library in modules.owners("google.cloud.storage.Client")] == ["storage"]
    assert [library.name for library in modules.owners("google.protobuf")] == ["protobuf"]
    assert modules.owners("google.cloud.vision") == ()
    assert modules.owners("google") == ()
    assert [library.name for library in modules.owners("six.moves.urllib")] == ["six"]
    assert modules.has("google.cloud")
    assert not modules.has("google.api")


NAMES = st.sampled_from(["a", "a.b", "a.b.c", "d", "d.e", "f"])


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, st.integers(0, 2), max_size=4)), NAMES, st.integers(0, 2))
def test_no_chain_is_likelier_than_its_first_import(
    graph: dict[str, dict[str, int]], start: str, likelihood: int
) -> None:
    """For any import graph, cyclic ones included. Every step of a chain is reached as well."""
    modules = tuple(ModuleSummary(name=name, path=f"{name}.py", imports=imports) for name, imports in graph.items())
    chains = EnvironmentModules(
        [InstalledLibrary(name="x", version="1", summary=DistributionSummary(modules=modules))]
    ).import_chains([root(start, likelihood)])
    assert all(chain.likelihood <= likelihood for chain in chains.values())
    assert all(step in chains for chain in chains.values() for step in chain.via)
    assert set(chains) <= set(graph)
