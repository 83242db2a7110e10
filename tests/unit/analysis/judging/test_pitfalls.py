"""Regression tests: each of these cases once gave a wrong result for code of real projects."""

import pytest

from pytest_py312.analysis.judging.evidence import Evidence
from pytest_py312.analysis.judging.judge import judge_files
from pytest_py312.analysis.linking.link import link_files
from pytest_py312.analysis.scanner.facts.facts import ReferenceKind
from pytest_py312.analysis.scanner.facts.stdlib_queries import InterpreterAnswers, StdlibAnswer, StdlibQuery
from tests.unit.analysis.fake_interpreters import codes, facts_of, judge_texts


def test_a_name_is_set_for_one_file_only() -> None:
    """When it applied to the whole service, the patch of one file hid the only real problem of a platform."""
    patching = "import inspect\ninspect.getargspec = inspect.getfullargspec\nprint(inspect.getargspec)\n"
    using = "import inspect\nprint(inspect.getargspec)\n"

    found = judge_texts({"patching.py": patching, "using.py": using})

    assert [(one.code, one.location.path) for one in found if one.location] == [("PY202", "using.py")]


def test_uses_before_a_name_is_assigned_are_reported() -> None:
    assert codes(judge_texts("import inspect\nprint(inspect.getargspec)\ninspect.getargspec = print\n")) == ["PY202 2"]


def test_plain_constants_decide_no_condition() -> None:
    """``self.ready = False`` and ``DEBUG = False`` are changed elsewhere: the guarded code may run."""
    text = """
        DEBUG = False

        class Service:
            def __init__(self):
                self.ready = False

            def run(self):
                if self.ready or DEBUG:
                    import imp
    """

    assert codes(judge_texts(text)) == ["PY201 10"]


@pytest.mark.parametrize("condition", ["False", "0", "TYPE_CHECKING", "sys.version_info < (3, 12)", "PY2"])
def test_some_conditions_are_decided(condition: str) -> None:
    assert judge_texts(f"import sys\nif {condition}:\n    import imp\n") == ()


def test_a_fallback_is_dead_where_the_target_has_the_first_choice() -> None:
    assert judge_texts("try:\n    import json\nexcept ImportError:\n    import imp\n") == ()


def test_a_fallback_lives_where_the_target_lacks_the_first_choice() -> None:
    """The baseline is irrelevant: both branches fail on the target."""
    text = "try:\n    from inspect import getargspec\nexcept ImportError:\n    from collections import Mapping\n"

    assert codes(judge_texts(text)) == ["PY202 4"]


def test_a_handler_that_reraises_is_no_guard() -> None:
    assert codes(judge_texts("try:\n    import imp\nexcept ImportError:\n    raise\n")) == ["PY201 2"]
    assert judge_texts("try:\n    import imp\nexcept ImportError:\n    imp = None\n") == ()


def test_a_guard_round_a_function_does_not_cover_its_body() -> None:
    text = "try:\n    def load():\n        import imp\nexcept ImportError:\n    pass\n"

    assert codes(judge_texts(text)) == ["PY201 3"]


@pytest.mark.parametrize(
    ("text", "is_likely"),
    [
        ("import threading\n\ndef f(thing):\n    thing.isAlive()\n", True),
        ("def f(thing):\n    thing.isAlive()\n", False),
        ("import threading\n\nclass Own:\n    def isAlive(self): ...\n\ndef f(thing):\n    thing.isAlive()\n", False),
    ],
)
def test_methods_of_untyped_objects_are_reported_as_likely(text: str, is_likely: bool) -> None:
    """Deprecated on the baseline, from a module that the file imports, and not defined in the service."""
    facts = facts_of(text)
    queries = set(facts.queries())
    old = {query: StdlibAnswer(present=True, warning="isAlive is deprecated") for query in queries}
    new = {query: StdlibAnswer(present=not query.path.endswith("isAlive")) for query in queries}
    baseline = InterpreterAnswers(origin="a test", version=(3, 8), answers=old)
    target = InterpreterAnswers(origin="a test", version=(3, 12), answers=new)

    found = judge_files([facts], Evidence(baseline=baseline, target=target))

    assert [one.code for one in found] == (["PY203"] if is_likely else [])


def test_annotations_of_typing_are_no_instances() -> None:
    """``typing.Mapping`` describes what a value supports; no class of this name has the method."""
    facts = facts_of("import typing\n\ndef f(x: typing.Mapping):\n    x.nothing()\n")

    assert not [one for one in facts.references if one.kind == ReferenceKind.METHOD]


def test_what_the_baseline_cannot_tell_is_not_removed() -> None:
    facts = facts_of("import json\njson.what\n")
    baseline = InterpreterAnswers(
        origin="a test", version=(3, 9), answers={one: StdlibAnswer(present=None) for one in facts.queries()}
    )
    target = InterpreterAnswers(
        origin="a test", version=(3, 12), answers={one: StdlibAnswer(present=not one.path) for one in facts.queries()}
    )

    assert judge_files([facts], Evidence(baseline=baseline, target=target)) == ()


@pytest.mark.parametrize(("folder", "is_own"), [("cmd.py", True), ("cmd/__init__.py", True), ("cmd/server.py", False)])
def test_a_folder_without_init_loses_to_the_standard_library(folder: str, is_own: bool) -> None:
    """The folder listing determines local modules: ``cmd`` is one if it is a file or a package."""
    local = {"cmd"} if folder in ("cmd.py", "cmd/__init__.py") else set()

    facts = facts_of("import cmd\ncmd.Cmd\n", local=local)

    assert (StdlibQuery(module="cmd", path="Cmd") not in set(facts.queries())) is is_own


def test_modules_of_other_systems_are_no_removals() -> None:
    """``winreg`` is missing on both: only what the baseline has can be removed."""
    found = judge_texts("import winreg\nwinreg.OpenKey\n", gone=("winreg",), new=("winreg",))

    assert found == ()


def test_linking_does_not_change_files_without_links() -> None:
    files = (facts_of("import imp\n"), facts_of("print(3)\n", "other.py"))

    assert link_files(files) == files
