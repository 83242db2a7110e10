"""Versions that pandas refuses only when a function needs them."""

from collections.abc import Collection, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.libraries.refused_versions import (
    USES,
    read_bounds,
    refused_version_findings,
    refused_versions,
)
from pytest_py312.core.model.findings import Finding, Interpreter, Location, Severity
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution

BOUNDS = {
    "3.0.0": {"openpyxl": "3.1.5", "sqlalchemy": "2.0.36", "xlrd": "2.0.1", "numexpr": "2.10", "pytest": "8.3"},
    "1.5.3": {"openpyxl": "3.0.7", "lxml.etree": "4.6.3", "tables": "3.6.1"},
}
LINE = Location(path="svc/requirements.txt", line=2)


def installed(pandas: str = "3.0.0", **versions: str) -> list[StoredDistribution]:
    return [
        StoredDistribution(name=name, version=version, folder=Path(name))
        for name, version in {**versions, "pandas": pandas}.items()
    ]


def bounds_of(pandas: StoredDistribution) -> Mapping[str, str]:
    return BOUNDS[pandas.version]


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
        bounds=bounds_of,
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
def test_the_table_of_pandas_decides(versions: dict[str, str], refused: list[str]) -> None:
    """Projects that make it faster, or test it, count for nothing."""
    assert [each.project for each in refused_versions(installed(**versions), bounds_of)] == refused


@pytest.mark.parametrize(
    ("code", "severity"),
    [
        ("pd.read_excel('a.xlsx')", Severity.ERROR),
        ("pd.read_excel('a.xlsx', engine='openpyxl')", Severity.ERROR),
        ("frame.to_excel ('a.xlsx')", Severity.ERROR),
        ("from pandas import read_excel as read\nread('a.xlsx')", Severity.ERROR),
        ("pd.read_excel('a.xlsx', engine=None)", Severity.ERROR),
        ("pd.ExcelWriter('a.xlsx', 'openpyxl')", Severity.ERROR),
        ("with pd.ExcelWriter('a.xlsx', engine='xlsxwriter') as writer:\n    frame.to_excel(writer)", Severity.WARNING),
        ("pd.read_excel('a.xls')", Severity.WARNING),
        ("pd.read_excel('a.xls', engine='xlrd')", Severity.WARNING),
        ("patch('app.pd.read_excel')", Severity.WARNING),
        ("# pd.read_excel('a')", Severity.WARNING),
        ("import polars as pl\npl.read_excel('a')", Severity.WARNING),
        ("class A:\n    def to_excel(self): ...", Severity.WARNING),
        ("read_excel_values()", Severity.WARNING),
        ("print 'no Python 3: pd.read_excel(a)'", Severity.WARNING),
        ("", Severity.WARNING),
    ],
)
def test_a_use_in_production_blocks(code: str, severity: Severity) -> None:
    [finding] = findings_of(code, installed(openpyxl="3.1.2"), installed("1.5.3", openpyxl="3.1.2"))
    assert (finding.code, finding.severity, finding.preexisting) == ("PY244", severity, False)
    assert finding.location == LINE
    assert finding.remedy == "require openpyxl>=3.1.5"
    assert ("svc/app.py:" in finding.message) is (severity is Severity.ERROR)


def test_what_is_refused_on_the_baseline_as_well_does_not_block() -> None:
    both = installed(openpyxl="3.0.5"), installed("1.5.3", openpyxl="3.0.5")
    [finding] = findings_of("pd.read_excel('a')", *both)
    assert not finding.blocks


def test_what_others_require_counts_where_it_is_deployed_and_used() -> None:
    """SQLAlchemy only beside an engine of its: pandas takes other connections as they are."""
    both = installed(sqlalchemy="1.4.54"), installed("1.5.3", sqlalchemy="1.4.54")
    code = "engine = create_engine('sqlite://')\npd.read_sql('a', engine)"
    assert findings_of("pd.read_sql('a', sqlite3.connect('x'))", *both, lines={}) == []
    [finding] = findings_of(code, *both, lines={})
    assert str(finding.location) == "svc/app.py:3"
    assert findings_of(code, *both, lines={}, deployed=["pandas"]) == []


@pytest.mark.parametrize("xlrd", ["1.2.0", "2.0.1"])
def test_an_engine_that_no_call_names_is_not_used(xlrd: str) -> None:
    both = installed(xlrd=xlrd), installed("1.5.3", xlrd=xlrd)
    assert findings_of("pd.read_excel('a.xlsx')", *both, lines={}) == []
    for code in ("pd.read_excel('a.xls', engine='xlrd')", "pd.read_excel('a.xls')"):
        found = findings_of(code, *both, lines={})
        assert [finding.names for finding in found] == [("xlrd",)] * (xlrd == "1.2.0")


@pytest.mark.parametrize("code", ["frame.to_excel('a.xlsx')", "pd.ExcelWriter('a.xlsx')"])
def test_another_engine_that_is_installed_is_preferred(code: str) -> None:
    """XlsxWriter writes where it is there, without a word of it in the code."""
    for more, blocks in (({}, True), ({"xlsxwriter": "3.2.0"}, False)):
        both = installed(openpyxl="3.1.2", **more), installed("1.5.3", openpyxl="3.1.2", **more)
        [finding] = findings_of(code, *both)
        assert finding.blocks is blocks


@given(st.lists(st.sampled_from(["VERSIONS = ", "{", "'openpyxl': '3'", ", ", "}", "\n", "x()", "\0", "# ", "[1]"])))
def test_any_table_is_read(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    folder = tmp_path_factory.getbasetemp() / "pandas-any"
    file = folder / "lib/pandas/compat/_optional.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(parts))
    bounds = read_bounds(StoredDistribution(name="pandas", version="3", folder=folder))
    assert bounds in ({}, {"openpyxl": "3"})


def test_the_source_of_pandas_has_the_table(tmp_path: Path) -> None:
    file = tmp_path / "lib/pandas/compat/_optional.py"
    pandas = StoredDistribution(name="pandas", version="3.0.0", folder=tmp_path)
    assert read_bounds(pandas) == {}
    file.parent.mkdir(parents=True)
    file.write_text('import types\nVERSIONS = {\n    "openpyxl": "3.1.5",  # why\n}\n')
    entries = [pandas, *installed(openpyxl="3.1.2")[:1]]
    assert [(each.project, each.bound) for each in refused_versions(entries)] == [("openpyxl", "3.1.5")]
    assert USES.keys() >= {"openpyxl", "sqlalchemy"}
