"""Migrate all declarations of a service's files, as tests of editors and of checks do."""

from collections.abc import Mapping

from pytest_py312.core.text_edits import EditRefused
from pytest_py312.repository.declarations.reader import read_declarations
from pytest_py312.repository.edits.declarations import MigrationTarget, RefusedMigration, migrate


def migrate_files(
    texts: Mapping[str, str], migration: MigrationTarget
) -> tuple[Mapping[str, str], tuple[RefusedMigration, ...]]:
    """Migrate all declarations of one service's files (path -> text), or none if any is refused.

    A partial migration would break the service. Declarations that are unknown, or determined elsewhere, do not prevent
    it; the check of versions reports them.
    """
    refused: list[RefusedMigration] = []
    migrated: dict[str, str] = {}
    for path, text in texts.items():
        declarations = read_declarations(text, path)
        if not declarations:
            continue
        try:
            result = migrate(text, declarations, migration)
        except EditRefused as error:
            refused.append(RefusedMigration(declaration=declarations[0], reason=str(error)))
            continue
        refused += result.refused
        if result.text != text:
            migrated[path] = result.text
    return ({}, tuple(refused)) if refused else (migrated, ())
