"""Warnings are errors where production turns them into errors, if only the target raises them."""

from dataclasses import replace

import pytest

from pytest_py312.analysis.judging.compiler_messages import compiler_findings
from pytest_py312.analysis.judging.evidence import Evidence
from pytest_py312.analysis.judging.warning_filters import WarningFilters, filters_in_code
from pytest_py312.analysis.scanner.facts.facts import FileFacts
from pytest_py312.analysis.scanner.facts.stdlib_queries import CompilerMessage, InterpreterAnswers, Signature
from pytest_py312.core.model.findings import Confidence, Finding, Location, Severity
from pytest_py312.core.model.fleet import InterpreterVariable
from tests.unit.analysis.fake_interpreters import judge_texts

UTCNOW = {"datetime:datetime.utcnow": "datetime.datetime.utcnow() is deprecated"}
CODE = "import datetime, warnings\ndef now():\n    {}\n"
CALL = CODE.format("return datetime.datetime.utcnow()")


@pytest.mark.parametrize(
    ("value", "is_error"),
    [
        ("", False),
        ("error", True),
        ("e", True),
        ("error::DeprecationWarning", True),
        ("error::Warning", True),
        ("error::UserWarning", False),
        ("error::acme.Old", False),
        ("error:datetime.datetime.utcnow:DeprecationWarning", True),
        ("error:other", False),
        ("default", False),
        ("error,ignore::DeprecationWarning", False),
        ("ignore,error::DeprecationWarning", True),
        ("error,ignore::SyntaxWarning", True),
        ("error,ignore::DeprecationWarning:acme", False),
        ("error::DeprecationWarning:acme", False),
        (":::::::", False),
    ],
)
def test_the_last_filter_that_fits_counts(value: str, is_error: bool) -> None:
    (finding,) = judge_texts(CALL, warnings=UTCNOW, python_warnings=value)

    assert (finding.code, finding.severity is Severity.ERROR) == ("PY220", is_error)
    assert finding.message.endswith("and Dockerfile:2 turns this warning into an error") is is_error


def test_what_warns_on_the_baseline_as_well_is_no_error() -> None:
    (finding,) = judge_texts(CALL, warnings=UTCNOW, baseline_warnings=UTCNOW, python_warnings="error")
    assert finding.severity is Severity.WARNING


@pytest.mark.parametrize(
    "code",
    [
        CODE.format("try: return datetime.datetime.utcnow()\n    except DeprecationWarning: pass"),
        f"{CALL}warnings.simplefilter('ignore')\n",
        f"{CALL}warnings.filterwarnings('ignore', category=DeprecationWarning)\n",
    ],
)
def test_code_that_handles_the_warning_keeps_it_a_warning(code: str) -> None:
    (finding,) = judge_texts(code, warnings=UTCNOW, python_warnings="error")
    assert finding.severity is Severity.WARNING


@pytest.mark.parametrize(
    "code",
    [
        f"{CALL}warnings.filterwarnings('ignore', category=UserWarning)\n",
        f"{CALL}with warnings.catch_warnings():\n    warnings.simplefilter('ignore')\n    import this\n",
    ],
)
def test_filters_for_something_else_do_not_count(code: str) -> None:
    (finding,) = judge_texts(code, warnings=UTCNOW, python_warnings="error")
    assert finding.severity is Severity.ERROR


def test_a_rule_counts_as_well() -> None:
    text = "import itertools, copy\ncopy.copy(itertools.count())\n"
    assert [finding.severity for finding in judge_texts(text, python_warnings="error")] == [Severity.ERROR]


@pytest.mark.parametrize("is_new", [True, False])
def test_a_deprecated_parameter_counts_as_well(is_new: bool) -> None:
    names = ("path", "onerror")
    new = Signature(positional=names, keywords=names, deprecated=(("onerror", "use onexc"),))
    old = replace(new, deprecated=()) if is_new else new
    findings = judge_texts(
        "import shutil\nshutil.rmtree('a', onerror=None)\n",
        baseline_signatures={"shutil:rmtree": old},
        target_signatures={"shutil:rmtree": new},
        python_warnings="error",
    )
    assert [finding.severity is Severity.ERROR for finding in findings] == [is_new]


ESCAPE = "invalid escape sequence"


@pytest.mark.parametrize(
    ("value", "of_baseline", "is_error"),
    [
        ("error::SyntaxWarning", "DeprecationWarning", True),
        ("error::SyntaxWarning", "SyntaxWarning", False),
        ("error::SyntaxWarning", "", True),
        ("error::SyntaxWarning", None, False),
        ("error", "DeprecationWarning", False),
        ("error::DeprecationWarning", "DeprecationWarning", False),
    ],
)
def test_a_warning_of_the_compiler_is_compared_with_that_of_the_baseline(
    value: str, of_baseline: str | None, is_error: bool
) -> None:
    """Until 3.11 an invalid escape is a DeprecationWarning, and its message has no quotation marks in 3.9."""

    def messages(category: str, text: str) -> list[CompilerMessage]:
        return [CompilerMessage(is_error=False, category=category, message=text, line=1)] if category else []

    before, after = (InterpreterAnswers(origin="a test", version=(3, minor), answers={}) for minor in (9, 12))
    variable = InterpreterVariable(name="PYTHONWARNINGS", value=value, location=Location(path="Dockerfile", line=2))
    evidence = Evidence(
        baseline=before,
        target=after,
        baseline_messages={} if of_baseline is None else {"a.py": messages(of_baseline, f"{ESCAPE} \\d")},
        target_messages={"a.py": messages("SyntaxWarning", f"{ESCAPE} '\\d'")},
        warning_filters=WarningFilters(variables=(variable,), files={"a.py": b""}),
    )
    (finding,) = compiler_findings(FileFacts(path="a.py"), evidence)
    assert (finding.severity is Severity.ERROR) is is_error


def found_at(path: str, line: int, code: str = "PY220", confidence: Confidence = Confidence.CERTAIN) -> Finding:
    place = Location(path=path, line=line)
    return Finding(code=code, message="old", severity=Severity.WARNING, confidence=confidence, location=place)


MAIN = b"import warnings\nimport app\nwarnings.simplefilter('error')\napp.run()\n"


@pytest.mark.parametrize(
    ("finding", "is_error"),
    [
        (found_at("main.py", 2), False),
        (found_at("main.py", 4), True),
        (found_at("app.py", 1), False),
        (found_at("app.py", 3), True),
        (found_at("app.py", 3, "PY221"), False),
        (found_at("app.py", 3, confidence=Confidence.LIKELY), False),
        (found_at("tests/test_app.py", 3), False),
        (found_at("app.py", 99), False),
    ],
)
def test_a_filter_that_code_sets_is_for_what_runs_after_it(finding: Finding, is_error: bool) -> None:
    files = {"main.py": MAIN, "app.py": b"import imp\ndef run():\n    imp.reload()\n"}
    filters = WarningFilters(of_code=tuple(filters_in_code("main.py", MAIN)), files=files)
    assert (filters.as_error(finding, "DeprecationWarning").severity is Severity.ERROR) is is_error


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("warnings.simplefilter('error')", "error::"),
        ('warnings.filterwarnings("error", category=DeprecationWarning)', "error::DeprecationWarning"),
        ("warnings.simplefilter('error', DeprecationWarning)", "error::DeprecationWarning"),
        ("warnings.filterwarnings('error', 'a text')", ""),
        ("    warnings.simplefilter('error')", ""),
    ],
)
def test_filters_in_code(line: str, value: str) -> None:
    variables = filters_in_code("main.py", f"import warnings\n{line}\n".encode())
    assert [(each.value, str(each.location)) for each in variables] == ([(value, "main.py:2")] if value else [])
