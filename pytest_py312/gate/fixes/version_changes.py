"""Plan the migrations of services to the target, as file contents before and after. Writes nothing.

All version declarations of a service change, or none does. A declaration that several services share changes when all
of them migrate, and one for the whole fleet when every service migrates. A migration that is only proposed leaves out
the declarations that are refused, and says so.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_py312.core.files import UnsafeFile, read_regular_file
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.text import list_names
from pytest_py312.core.text_edits import EditRefused
from pytest_py312.repository.declarations.declaration import DeclarationRole
from pytest_py312.repository.declarations.reader import RARELY_DECLARING, read_declarations
from pytest_py312.repository.edits.change_set import FileChange, decode_text
from pytest_py312.repository.edits.declarations import DeclarationSelector, Migrated, MigrationTarget, migrate
from pytest_py312.repository.services.requirements.compiled_files import CompiledRequirements
from pytest_py312.repository.services.version_survey import SharedFile, VersionSurvey
from pytest_py312.repository.tree import FILE_LIMIT


@dataclass(frozen=True, kw_only=True, slots=True)
class Unmigrated:
    """A service that is not migrated or, with an empty ``service``, a shared declaration; ``reason`` is a sentence."""

    service: str
    reason: str

    def __str__(self) -> str:
        return f"{self.service}: {self.reason}" if self.service else self.reason


@dataclass(frozen=True, kw_only=True, slots=True)
class MigrationPlan:
    """The file changes, sorted by path, the names of the migrated services, and what is not migrated.

    ``advice`` are sentences on what to do after the migration. ``unproven`` are services whose changes are proposed and
    not written; ``remarks`` are sentences about what remains to be decided or done in the files; ``outdated`` are
    requirement files that were compiled with an older Python.
    """

    changes: tuple[FileChange, ...] = ()
    migrated: tuple[str, ...] = ()
    unmigrated: tuple[Unmigrated, ...] = ()
    advice: tuple[str, ...] = ()
    unproven: tuple[Unmigrated, ...] = ()
    remarks: tuple[str, ...] = ()
    outdated: tuple[CompiledRequirements, ...] = ()


def plan_migrations(
    survey: VersionSurvey, root: Path, migrations: Mapping[str, MigrationTarget], services: Iterable[Service],
    *, earlier_changes: Iterable[FileChange] = (),
) -> MigrationPlan:  # fmt: skip
    """Plan the migrations of ``services``.

    :param migrations: service name -> its migration.
    :param earlier_changes: changes that are applied before.
    """
    planner = _MigrationPlanner(survey, root, migrations, {change.path: change.after for change in earlier_changes})
    for service in services:
        planner.migrate_service(service)
    planner.migrate_shared_files()
    return planner.plan()


@dataclass
class _MigrationPlanner:
    survey: VersionSurvey
    root: Path
    migrations: Mapping[str, MigrationTarget]
    earlier_contents: Mapping[str, bytes]
    own_changes: dict[str, dict[str, FileChange]] = field(default_factory=dict)
    """Service name -> path -> change of its own files."""
    shared_changes: dict[str, FileChange] = field(default_factory=dict)
    unmigrated: dict[str, str] = field(default_factory=dict)
    shared_notes: list[str] = field(default_factory=list)
    remarks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Path -> what remains to be decided or done in the file."""

    def migrate_service(self, service: Service) -> None:
        """Migrate the files in the folder of the service."""
        migration = self.migrations[service.name]
        changes: dict[str, FileChange] = {}
        for path in self.survey.own_files(service):
            change, reason = self._migrate_file(path, migration)
            if reason:
                self.unmigrated[service.name] = reason
                return
            if change is not None:
                changes[path] = change
        self.own_changes[service.name] = changes

    def migrate_shared_files(self) -> None:
        """Migrate files outside of the services. If that is refused, the services that share the file stay as is."""
        while True:
            migrating_count = len(self.own_changes)
            self.shared_changes, self.shared_notes = {}, []
            for file in self.survey.shared_files():
                self._migrate_shared_file(file)
            if len(self.own_changes) == migrating_count:
                return

    def _migrate_shared_file(self, file: SharedFile) -> None:
        migrating = frozenset(self.own_changes)
        chosen = self.survey.movable_selector(file, migrating)
        migration = self._common_migration(file, migrating)
        if migration is None:
            return
        change, reason = self._migrate_file(file.path, migration, chosen)
        if reason:
            for name in {name for declaration in file.declarations for name in file.owners(declaration)} & migrating:
                self.unmigrated[name] = reason
                del self.own_changes[name]
        elif change is not None:
            self.shared_changes[file.path] = change
        self._note_waiting(file, migrating, migration)

    def _common_migration(self, file: SharedFile, migrating: frozenset[str]) -> MigrationTarget | None:
        """Return the migration with the oldest baseline, of the services that share the file (or of all)."""
        names = {name for declaration in file.declarations for name in file.owners(declaration)} or migrating
        candidates = [self.migrations[name] for name in names & migrating]
        return min(candidates, key=lambda migration: migration.baseline) if candidates else None

    def _note_waiting(self, file: SharedFile, migrating: frozenset[str], migration: MigrationTarget) -> None:
        """Note declarations of a migrating service that have to wait for other services."""
        for declaration in file.declarations:
            waiting_services = file.owners(declaration) - migrating
            is_behind = (
                declaration.role in (DeclarationRole.EXACT, DeclarationRole.PATH)
                and declaration.version is not None
                and declaration.version < migration.target
            )
            if waiting_services and waiting_services != file.owners(declaration) and is_behind:
                others = sorted(waiting_services)
                self.shared_notes.append(
                    f"{declaration.location} is shared with {list_names(others, 3)}, "
                    "and changes when all of them migrate."
                )

    def _migrate_file(
        self, path: str, migration: MigrationTarget, chosen: DeclarationSelector | None = None
    ) -> tuple[FileChange | None, str]:
        """Return the change of a file, or why it is refused; neither if nothing in it has to change."""
        try:
            original = read_regular_file(self.root, path, FILE_LIMIT)
        except UnsafeFile as reason:
            return None, "" if path.endswith(RARELY_DECLARING) else f"{path}: {reason}"
        current = self.earlier_contents.get(path, original)
        try:
            text, encode = decode_text(current)
            declarations = read_declarations(text, path)
            if not declarations:
                return None, ""
            result = (
                migrate(text, declarations, migration, chosen) if chosen else migrate(text, declarations, migration)
            )
            if result.refused and not migration.for_review:
                return None, _refusal_text(result)
            self.remarks[path] = (*result.notes, *_left_declarations(result))
            migrated = encode(result.text)
        except EditRefused as error:
            if not migration.for_review:
                return None, f"{path}: {error}"
            self.remarks[path] = (f"{path} is left as it is. {error}",)
            return None, ""
        return None if migrated == current else FileChange(path=path, before=original, after=migrated), ""

    def plan(self) -> MigrationPlan:
        changes = {**self.shared_changes}
        for own_changes in self.own_changes.values():
            changes.update(own_changes)
        migrated = [
            name for name, own_changes in self.own_changes.items() if own_changes or self._has_shared_changes(name)
        ]
        unmigrated = [Unmigrated(service=name, reason=reason) for name, reason in self.unmigrated.items()]
        return MigrationPlan(
            changes=tuple(change for _, change in sorted(changes.items())),
            migrated=tuple(migrated),
            unmigrated=(
                *unmigrated,
                *(Unmigrated(service="", reason=reason) for reason in dict.fromkeys(self.shared_notes)),
            ),
            remarks=tuple(remark for _, remarks in sorted(self.remarks.items()) for remark in remarks),
        )

    def _has_shared_changes(self, name: str) -> bool:
        files = (file for file in self.survey.shared_files() if file.path in self.shared_changes)
        return any(name in file.owners(declaration) for file in files for declaration in file.declarations)


def _refusal_text(result: Migrated) -> str:
    first = result.refused[0]
    more = f" ({len(result.refused) - 1} more in this file.)" if len(result.refused) > 1 else ""
    return f"{first}{more}"


def _left_declarations(result: Migrated) -> Iterator[str]:
    for refusal in result.refused:
        yield f"{refusal.declaration.location} is left as it is. {refusal.reason}"
