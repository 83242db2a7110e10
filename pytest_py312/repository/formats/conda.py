"""Read environments of conda: text in, the requirements of their ``pip`` section out. Never raises.

https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-environments.html
"""

from pytest_py312.repository.formats.requirements_file import (
    DependencyTable,
    RequirementCollector,
    read_requirements,
    unreadable_table,
)

PIP_TABLE = "dependencies.pip"


def read_conda_dependencies(text: str, path: str) -> tuple[DependencyTable, ...]:
    """Return the ``pip`` section as one table; what conda itself installs is in none."""
    from pytest_py312.repository.formats.yaml import (  # loads YAML, which few services need here
        InvalidYaml,
        YamlScalar,
        child_of,
        items_of,
        parse_documents,
    )

    try:
        documents = parse_documents(text)
    except InvalidYaml as error:
        return (unreadable_table(PIP_TABLE, path, error.line, f"The environment cannot be read: {error}"),)
    collector = RequirementCollector(path)
    dependencies = child_of(documents[0], "dependencies") if documents else None
    for item in items_of(dependencies):
        for scalar in items_of(child_of(item, "pip")):
            if isinstance(scalar, YamlScalar):
                # an item is a line of a requirements file; empty lines in front give it its line number
                line = text.count("\n", 0, scalar.start)
                parsed = read_requirements("\n" * line + scalar.value, path)
                collector.entries += parsed.entries
                collector.includes += parsed.includes
                collector.local_paths += parsed.local_paths
                collector.options += parsed.options
                collector.problems += parsed.problems
    return (collector.table(PIP_TABLE),)
