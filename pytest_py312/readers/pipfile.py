"""The dependencies of a Pipfile as PEP 508. Text in, facts with lines out; never raises."""

from pytest_py312.readers.pyproject import add_dependency
from pytest_py312.readers.requirements import Collector
from pytest_py312.readers.tables import DependencyTable
from pytest_py312.readers.tomls import read_toml


def read_pipfile_dependencies(text: str, path: str) -> tuple[DependencyTable, ...]:
    """The tables ``packages`` and ``dev-packages``, whose forms are those of Poetry."""
    toml = read_toml(text)
    if toml.trouble:
        found = Collector(path)
        found.problem(toml.trouble_line or 1, "", f"The file is no TOML: {toml.trouble}.")
        return (DependencyTable(table="packages", requirements=found.result()),)
    tables = []
    for table in ("packages", "dev-packages"):
        if toml.table(table):
            found = Collector(path)
            for name, wanted in toml.table(table).items():
                add_dependency(toml, found, (table,), name, wanted, optional=False)
            tables.append(DependencyTable(table=table, requirements=found.result()))
    return tuple(tables)
