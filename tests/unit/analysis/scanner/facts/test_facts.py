"""Facts survive packing, and facts of another version are rejected."""

import json

import pytest

from pytest_py312.analysis.scanner.facts.facts import FORMAT_VERSION, pack, unpack
from pytest_py312.analysis.scanner.facts.stdlib_queries import StdlibQuery
from tests.truth.cases import read_snippets
from tests.unit.analysis.fake_interpreters import facts_of

RICH = """
    import imp, sys, unittest
    from flags import IS_OLD
    from base import Base
    import tools
    class Case(Base):
        def test_it(self):
            self.assertEquals(1, 1)  # py312: ignore[PY203] why
            thing.isAlive()
    if IS_OLD or sys.version_info < (3, 12):
        imp.reload(sys, **{"a": 1})
    sys.modules["imp"] = tools.inspect.getargspec
    tools.inspect.getargspec = None
    OLD = sys.version_info < (3, 12)
    open("a", "rU")
"""


def test_all_kinds_of_facts_survive_packing() -> None:
    facts = facts_of(RICH, local={"flags", "base", "tools"})

    assert unpack(json.loads(json.dumps(pack(facts)))) == facts
    assert all(
        (facts.references, facts.guards, facts.imports, facts.rule_matches, facts.untyped_methods, facts.monkeypatches)
    )
    assert all(
        (
            facts.inherited_attributes,
            facts.indirect_references,
            facts.classes,
            facts.flags,
            facts.suppressions,
            facts.defined_names,
        )
    )
    assert all((facts.exported_names, facts.overwritten_names))


def test_the_facts_of_all_snippets_survive_packing() -> None:
    for snippet in read_snippets()[::7]:
        for path, text in snippet.files.items():
            facts = facts_of(text, path)
            assert unpack(json.loads(json.dumps(pack(facts)))) == facts


@pytest.mark.parametrize(
    "data", [[], [FORMAT_VERSION], [FORMAT_VERSION - 1, "a.py"], [FORMAT_VERSION, "a.py", [3]], None, {}, "facts"]
)
def test_malformed_facts_are_rejected(data: object) -> None:
    with pytest.raises(ValueError, match=r"facts|unpack"):
        unpack(data)


def test_each_step_of_a_name_is_queried() -> None:
    queries = set(facts_of("import threading\nthreading.Thread().isAlive()\n").queries())

    assert {StdlibQuery(module="threading", path=path) for path in ("", "Thread()", "Thread().isAlive")} <= queries
