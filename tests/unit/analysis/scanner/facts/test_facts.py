"""Facts survive being written down, and what was written by another version is not believed."""

import json

import pytest

from pytest_py312.analysis.scanner.facts.facts import FORMAT, packed, unpacked
from pytest_py312.analysis.scanner.facts.stdlib_queries import Question
from tests.truth.cases import read_snippets
from tests.unit.analysis.hearing import facts_of

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


def test_all_kinds_of_facts_survive() -> None:
    facts = facts_of(RICH, local={"flags", "base", "tools"})

    assert unpacked(json.loads(json.dumps(packed(facts)))) == facts
    assert all((facts.references, facts.guards, facts.imports, facts.rules, facts.loose, facts.patches))
    assert all((facts.inherited, facts.through, facts.classes, facts.flags, facts.ignores, facts.defined))
    assert all((facts.exported, facts.replaced))


def test_facts_of_all_snippets_survive() -> None:
    for snippet in read_snippets()[::7]:
        for path, text in snippet.files.items():
            facts = facts_of(text, path)
            assert unpacked(json.loads(json.dumps(packed(facts)))) == facts


@pytest.mark.parametrize("data", [[], [FORMAT], [FORMAT - 1, "a.py"], [FORMAT, "a.py", [3]], None, {}, "facts"])
def test_other_data_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match=r"facts|unpack"):
        unpacked(data)


def test_each_step_of_a_name_is_asked_for() -> None:
    questions = set(facts_of("import threading\nthreading.Thread().isAlive()\n").questions())

    assert {Question(module="threading", path=path) for path in ("", "Thread()", "Thread().isAlive")} <= questions
