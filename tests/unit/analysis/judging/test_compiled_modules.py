"""Extension modules that are compiled for the baseline only, and what of the service imports them."""

from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.judging.compiled_modules import compiled_module_findings, find_compiled_modules
from pytest_py312.analysis.judging.evidence import Evidence
from pytest_py312.analysis.scanner.facts.stdlib_queries import InterpreterAnswers
from pytest_py312.analysis.scanner.scan import scan_text
from pytest_py312.core.model.findings import Finding

OLD = "svc/db/_fast.cpython-39-x86_64-linux-gnu.so"


def findings(
    compiled: Iterable[str],
    files: Mapping[str, str],
    baseline: tuple[int, int] = (3, 9),
    target: tuple[int, int] = (3, 12),
) -> list[Finding]:
    facts = [scan_text(text.encode("utf-8", "replace"), path) for path, text in files.items()]
    answers = [InterpreterAnswers(version=version, answers={}, origin="a test") for version in (baseline, target)]
    modules = find_compiled_modules(compiled, files)
    return list(compiled_module_findings(modules, facts, Evidence(baseline=answers[0], target=answers[1])))


def reported(compiled: Iterable[str], files: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(finding.severity.value, str(finding.location)) for finding in findings(compiled, files)]


@pytest.mark.parametrize(
    "statement",
    [
        "from svc.db._fast import connect",
        "import svc.db._fast",
        "from db import _fast",
        "from db._fast import connect",
        "import _fast",
        "def connect():\n    import db._fast",
    ],
)
def test_an_import_that_has_to_succeed_is_an_error(statement: str) -> None:
    (finding,) = findings([OLD], {"svc/main.py": f"{statement}\n"})

    assert (finding.code, finding.severity.value, finding.names) == ("PY211", "error", ("_fast",))
    assert str(finding.location).startswith("svc/main.py:")
    assert finding.message == f"extension module _fast is compiled for 3.9 only: 3.12 cannot import it ({OLD})"


@pytest.mark.parametrize(("number", "count"), [(3425, 1), (3531, 0), (1, 0)], ids=["3.9", "3.12", "unknown"])
def test_bytecode_without_a_source_is_for_one_version(number: int, count: int) -> None:
    path = "svc/db/secret.pyc"
    modules = find_compiled_modules((), {}, {path: number})
    answers = [InterpreterAnswers(version=version, answers={}, origin="a test") for version in ((3, 9), (3, 12))]
    facts = [scan_text(b"from db import secret", "svc/main.py")]
    found = list(compiled_module_findings(modules, facts, Evidence(baseline=answers[0], target=answers[1])))
    messages = [f"bytecode of the module secret is compiled for 3.9 only: 3.12 cannot import it ({path})"] * count
    assert [finding.message for finding in found] == messages


def test_relative_imports_name_the_very_module() -> None:
    assert reported([OLD], {"svc/db/__init__.py": "from ._fast import connect\n"}) == [
        ("error", "svc/db/__init__.py:1")
    ]
    assert reported([OLD], {"svc/db/__init__.py": "from . import _fast\n"}) == [("error", "svc/db/__init__.py:1")]
    assert reported([OLD], {"svc/web/__init__.py": "from . import _fast\n"}) == [("warning", OLD)]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("try:\n    from db import _fast\nexcept ImportError:\n    _fast = None\n", "svc/main.py:2"),
        ("import sys\nif sys.version_info < (3, 10):\n    from db import _fast\n", OLD),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from db import _fast\n", OLD),
        ("import json\n", OLD),
    ],
    ids=["caught", "only on older versions", "only for types", "nothing imports it"],
)
def test_an_import_that_may_fail_is_a_warning(text: str, place: str) -> None:
    assert reported([OLD], {"svc/main.py": text}) == [("warning", place)]


@pytest.mark.parametrize(
    ("compiled", "files"),
    [
        ([OLD, "svc/db/_fast.cpython-312-x86_64-linux-gnu.so"], {}),
        ([OLD, "svc/db/_fast.cp312-win_amd64.pyd"], {}),
        ([OLD, "svc/db/_fast.abi3.so"], {}),
        ([OLD, "svc/db/_fast.so"], {}),
        ([OLD], {"svc/db/_fast.py": ""}),
        ([OLD], {"svc/db/_fast/__init__.py": ""}),
        (["svc/db/_fast.cpython-38-x86_64-linux-gnu.so"], {}),
        (["svc/db/_fast.pypy39-pp73-x86_64-linux-gnu.so"], {}),
        (["svc/lib/libssl.so.1.1", "svc/lib/libfoo-3.9.so"], {}),
    ],
    ids=["both", "of another platform", "stable", "untagged", "source", "package", "neither", "PyPy", "shared library"],
)
def test_what_the_target_can_import_or_the_baseline_cannot_is_no_finding(
    compiled: list[str], files: dict[str, str]
) -> None:
    assert reported(compiled, {"svc/main.py": "from db import _fast\n", **files}) == []


@pytest.mark.parametrize(
    ("baseline", "target", "count"),
    [((3, 9), (3, 10), 1), ((3, 9), (3, 12), 1), ((3, 10), (3, 12), 0), ((3, 9), (3, 9), 0), ((3, 12), (3, 13), 0)],
)
def test_two_digit_minors_are_versions(baseline: tuple[int, int], target: tuple[int, int], count: int) -> None:
    assert len(findings([OLD], {"svc/main.py": "from db import _fast\n"}, baseline, target)) == count


@given(st.lists(st.text(max_size=40), max_size=5), st.text(max_size=40))
def test_no_name_is_too_odd(compiled: list[str], text: str) -> None:
    reported_findings = findings([*compiled, f"svc/{text}.cpython-39-x.so"], {"svc/main.py": f"import {text}\n"})

    assert {finding.code for finding in reported_findings} <= {"PY211"}
