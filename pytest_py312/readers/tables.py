"""What a table of dependencies is, wherever it stands."""

from dataclasses import dataclass

from pytest_py312.readers.requirements import RequirementsText


@dataclass(frozen=True, kw_only=True, slots=True)
class DependencyTable:
    """The requirements of one table; ``table`` is its dotted name, the same as in a ``RequirementSource``."""

    table: str
    requirements: RequirementsText
