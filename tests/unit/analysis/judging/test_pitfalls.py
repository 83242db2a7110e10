"""Each of these once gave a wrong answer, for code of real projects."""

import pytest

from pytest_py312.analysis.judging.evidence import Witnesses
from pytest_py312.analysis.judging.judge import judge
from pytest_py312.analysis.linking.link import linked
from pytest_py312.analysis.scanner.facts.facts import Kind
from pytest_py312.analysis.scanner.facts.stdlib_queries import Answer, Question
from pytest_py312.analysis.scanner.facts.stdlib_queries import Testimony as Said
from tests.unit.analysis.hearing import codes, facts_of, heard


def test_a_name_is_set_for_one_file_only() -> None:
    """Taken for the whole service, one file's patch hid the only real break of a platform."""
    patching = "import inspect\ninspect.getargspec = inspect.getfullargspec\nprint(inspect.getargspec)\n"
    using = "import inspect\nprint(inspect.getargspec)\n"

    found = heard({"patching.py": patching, "using.py": using})

    assert [(one.code, one.location.path) for one in found if one.location] == [("PY202", "using.py")]


def test_what_ran_before_a_name_was_set_is_not_helped() -> None:
    assert codes(heard("import inspect\nprint(inspect.getargspec)\ninspect.getargspec = print\n")) == ["PY202 2"]


def test_plain_constants_settle_nothing() -> None:
    """``self.ready = False`` and ``DEBUG = False`` are changed elsewhere: what they guard is alive."""
    text = """
        DEBUG = False

        class Service:
            def __init__(self):
                self.ready = False

            def run(self):
                if self.ready or DEBUG:
                    import imp
    """

    assert codes(heard(text)) == ["PY201 10"]


@pytest.mark.parametrize("condition", ["False", "0", "TYPE_CHECKING", "sys.version_info < (3, 12)", "PY2"])
def test_some_conditions_settle_it(condition: str) -> None:
    assert heard(f"import sys\nif {condition}:\n    import imp\n") == ()


def test_a_fallback_is_dead_where_the_target_has_the_first_choice() -> None:
    assert heard("try:\n    import json\nexcept ImportError:\n    import imp\n") == ()


def test_a_fallback_lives_where_the_target_lacks_the_first_choice() -> None:
    """Whether the baseline has it says nothing: both ways fail on the target."""
    text = "try:\n    from inspect import getargspec\nexcept ImportError:\n    from collections import Mapping\n"

    assert codes(heard(text)) == ["PY202 4"]


def test_a_handler_that_raises_again_is_no_guard() -> None:
    assert codes(heard("try:\n    import imp\nexcept ImportError:\n    raise\n")) == ["PY201 2"]
    assert heard("try:\n    import imp\nexcept ImportError:\n    imp = None\n") == ()


def test_a_guard_round_a_function_does_not_cover_its_body() -> None:
    text = "try:\n    def load():\n        import imp\nexcept ImportError:\n    pass\n"

    assert codes(heard(text)) == ["PY201 3"]


@pytest.mark.parametrize(
    ("text", "is_likely"),
    [
        ("import threading\n\ndef f(thing):\n    thing.isAlive()\n", True),
        ("def f(thing):\n    thing.isAlive()\n", False),
        ("import threading\n\nclass Own:\n    def isAlive(self): ...\n\ndef f(thing):\n    thing.isAlive()\n", False),
    ],
)
def test_methods_of_unknown_things_are_likely_ones_only(text: str, is_likely: bool) -> None:
    """Deprecated on the baseline, of a module the file imports, and defined by nobody in the service."""
    facts = facts_of(text)
    questions = set(facts.questions())
    old = {question: Answer(present=True, warning="isAlive is deprecated") for question in questions}
    new = {question: Answer(present=not question.path.endswith("isAlive")) for question in questions}
    baseline = Said(origin="a test", version=(3, 8), answers=old)
    target = Said(origin="a test", version=(3, 12), answers=new)

    found = judge([facts], Witnesses(baseline=baseline, target=target))

    assert [one.code for one in found] == (["PY203"] if is_likely else [])


def test_annotations_of_typing_are_no_instances() -> None:
    """``typing.Mapping`` says what can be done with a value, and no class of its name has the method."""
    facts = facts_of("import typing\n\ndef f(x: typing.Mapping):\n    x.nothing()\n")

    assert not [one for one in facts.references if one.kind == Kind.METHOD]


def test_what_the_baseline_cannot_tell_is_not_removed() -> None:
    facts = facts_of("import json\njson.what\n")
    baseline = Said(origin="a test", version=(3, 9), answers={one: Answer(present=None) for one in facts.questions()})
    target = Said(
        origin="a test", version=(3, 12), answers={one: Answer(present=not one.path) for one in facts.questions()}
    )

    assert judge([facts], Witnesses(baseline=baseline, target=target)) == ()


@pytest.mark.parametrize(("folder", "is_own"), [("cmd.py", True), ("cmd/__init__.py", True), ("cmd/server.py", False)])
def test_a_folder_without_init_loses_to_the_standard_library(folder: str, is_own: bool) -> None:
    """The reader of folders says which modules are local: ``cmd`` is, where it is a file or a package."""
    local = {"cmd"} if folder in ("cmd.py", "cmd/__init__.py") else set()

    facts = facts_of("import cmd\ncmd.Cmd\n", local=local)

    assert (Question(module="cmd", path="Cmd") not in set(facts.questions())) is is_own


def test_modules_of_other_systems_are_no_removals() -> None:
    """``winreg`` is missing on both: only what the baseline has can go."""
    found = heard("import winreg\nwinreg.OpenKey\n", gone=("winreg",), new=("winreg",))

    assert found == ()


def test_linking_changes_nothing_of_what_needs_no_other_file() -> None:
    files = (facts_of("import imp\n"), facts_of("print(3)\n", "other.py"))

    assert linked(files) == files
