"""Versions that pandas refuses only when a function needs them."""

from collections.abc import Collection, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.libraries.refused_versions import USES, refused_version_findings, refused_versions
from pytest_py312.core.model.findings import Finding, Interpreter, Location, Severity
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution

PANDAS = (
    "numpy>=1.26",
    'openpyxl>=3.1.5; extra == "excel"',
    'openpyxl>=3.1.5; extra == "all"',
    'sqlalchemy>=2.0.36; extra == "postgresql"',
    'numexpr>=2.10; extra == "performance"',
    'pytest>=8.3; extra == "test"',
    "not a requirement;;",
)
OLD_PANDAS = ("numpy>=1.20", 'openpyxl>=3.0; extra == "excel"')
LINE = Location(path="svc/requirements.txt", line=2)


def installed(pandas: Collection[str] = PANDAS, **versions: str) -> list[StoredDistribution]:
    entries = [StoredDistribution(name=name, version=version, folder=Path(name)) for name, version in versions.items()]
    return [*entries, StoredDistribution(name="pandas", version="3.0.0", folder=Path("p"), requires=tuple(pandas))]


def findings_of(
    code: str,
    target: list[StoredDistribution],
    baseline: list[StoredDistribution],
    lines: Mapping[str, Location] | None = None,
    deployed: Collection[str] | None = None,
) -> list[Finding]:
    findings = refused_version_findings(
        target,
        baseline,
        interpreter=Interpreter(3, 12),
        lines={"openpyxl": LINE} if lines is None else lines,
        deployed=deployed,
        sources={"svc/app.py": f"import pandas as pd\n{code}\n".encode(), "svc/other.py": b"def read_excel(): ...\n"},
    )
    return list(findings)


@pytest.mark.parametrize(
    ("versions", "refused"),
    [
        ({"openpyxl": "3.1.2"}, ["openpyxl"]),
        ({"openpyxl": "3.1.5", "sqlalchemy": "1.4.54"}, ["sqlalchemy"]),
        ({"openpyxl": "3.2.0b1", "numexpr": "2.0", "pytest": "7.0"}, []),
        ({"openpyxl": "not a version"}, []),
        ({}, []),
    ],
)
def test_bounds_of_extras_decide(versions: dict[str, str], refused: list[str]) -> None:
    """Those that make it faster, or test it, count for nothing."""
    assert [each.project for each in refused_versions(installed(**versions))] == refused


@pytest.mark.parametrize(
    ("code", "severity"),
    [
        ("pd.read_excel('a.xlsx')", Severity.ERROR),
        ("frame.to_excel ('a.xlsx')", Severity.ERROR),
        ("patch('app.pd.read_excel')", Severity.WARNING),
        ("read_excel_values()", Severity.WARNING),
        ("", Severity.WARNING),
    ],
)
def test_a_use_in_production_blocks(code: str, severity: Severity) -> None:
    [finding] = findings_of(code, installed(openpyxl="3.1.2"), installed(OLD_PANDAS, openpyxl="3.1.2"))
    assert (finding.code, finding.severity, finding.preexisting) == ("PY244", severity, False)
    assert finding.location == LINE
    assert finding.remedy == "require openpyxl>=3.1.5"
    assert ("svc/app.py:2" in finding.message) is (severity is Severity.ERROR)


def test_what_is_refused_on_the_baseline_as_well_does_not_block() -> None:
    [finding] = findings_of("pd.read_excel('a')", installed(openpyxl="3.1.2"), installed(openpyxl="3.1.2"))
    assert not finding.blocks


def test_what_others_require_counts_where_it_is_deployed_and_used() -> None:
    both = installed(sqlalchemy="1.4.54"), installed(OLD_PANDAS, sqlalchemy="1.4.54")
    assert findings_of("", *both, lines={}) == []
    [finding] = findings_of("pd.read_sql('a', engine)", *both, lines={})
    assert str(finding.location) == "svc/app.py:2"
    assert findings_of("pd.read_sql('a', engine)", *both, lines={}, deployed=["pandas"]) == []


@given(st.lists(st.sampled_from([*PANDAS, "openpyxl ; extra == 'a'", "x>=1;extra=='a'", "", ";"])))
def test_any_metadata_is_read(lines: list[str]) -> None:
    assert {each.project for each in refused_versions(installed(lines, openpyxl="1", sqlalchemy="1"))} <= USES.keys()
