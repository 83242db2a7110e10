"""Check that all version declarations of a service agree and allow the target. Pure: declarations in, findings out.

Declarations that cannot be interpreted are returned separately, so that the result does not count as passed.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.findings import Confidence, Finding, Interpreter, Severity
from pytest_py312.core.text import list_names
from pytest_py312.core.text_edits import EditRefused
from pytest_py312.repository.declarations.declaration import DeclarationRole, VersionDeclaration
from pytest_py312.repository.declarations.pins import COMPATIBLE_RUNTIMES, LAYER, RUNTIME
from pytest_py312.repository.edits.declarations import MigrationTarget
from pytest_py312.repository.edits.image_tags import image_tag_problem
from pytest_py312.repository.edits.version_ranges import migrated_range, tests_lower_bound
from pytest_py312.repository.formats.version_ranges import range_includes
from pytest_py312.repository.services.detection.service_files import is_production_dockerfile

EXCLUDES = "PY301"
"""A declaration excludes the target (an error), or still has the old version (a note)."""
DISAGREES = "PY302"
"""Declarations of one service contradict each other."""
BREAKS_PATH = "PY303"
"""A path or a command exists with one version only, and the image has another one, or will have."""
MISREAD = "PY304"
"""An unquoted number is parsed as another version."""
INACTIVE_WORKFLOW = "PY305"
"""A workflow that GitHub never runs."""
UNCLEAR = "PY306"
"""A declaration whose version only a run could show."""
UNDECIDED = "PY307"
"""An image whose Python is defined elsewhere, or that has no known tag for the target."""

_WORKFLOWS = ".github/workflows/"
_VARIABLE = re.compile(r"\$\{?(?:\{\s*env\.)?([A-Za-z_]\w*)", re.ASCII)
_MAX_LOCATIONS = 6
"""Locations that a message names; the others are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsistencyResult:
    """The findings, sorted by code and location, and the declarations that could not be checked (also findings)."""

    findings: tuple[Finding, ...]
    unclear: tuple[VersionDeclaration, ...] = ()


def check_consistency(
    declarations: Iterable[VersionDeclaration],
    migration: MigrationTarget,
    *,
    service: str = "",
    installing: Collection[tuple[str, int]] = (),
) -> ConsistencyResult:
    """Check the ``declarations`` of one service against ``migration``.

    A service that is not migrated yet has notes. Errors are declarations that exclude the target or break, and images
    that still have the old version although another one is migrated.

    :param service: the folder of the service; if empty, all folders belong to it.
    :param installing: the files and lines of the commands that install it for production.
    """
    judged = (
        each for each in declarations if not tests_lower_bound(each, migration.oldest_supported, migration.baseline)
    )
    ordered = sorted(judged, key=lambda declaration: (declaration.path, declaration.start))
    has_migrated = any(
        declaration.version and declaration.version >= migration.target
        for declaration in _deployed_images(ordered, service)
    )
    findings = [
        *_exclusions(ordered, migration, service, has_migrated=has_migrated),
        *_disagreements(ordered, migration, has_migrated=has_migrated),
        *_minimums_too_new(ordered, migration),
        *_path_mismatches(ordered, migration),
        *_command_mismatches(ordered, migration, service, installing, has_migrated=has_migrated),
        *_misread_numbers(ordered, migration),
        *_inactive_workflows(ordered),
        *_unclear_declarations(ordered),
        *_undecided_images(ordered, migration),
    ]
    unclear = tuple(declaration for declaration in _unresolved(ordered) if not _is_inactive_workflow(declaration))
    return ConsistencyResult(findings=tuple(sorted(findings, key=_sort_key)), unclear=unclear)


def exact_versions(declarations: Iterable[VersionDeclaration]) -> tuple[Interpreter, ...]:
    """Return the versions that the declarations run, sorted and without duplicates."""
    return tuple(sorted({each.version for each in declarations if _sets_running_version(each) and each.version}))


def _sort_key(finding: Finding) -> tuple[str, str, int, int]:
    location = finding.location
    return (
        finding.code,
        location.path if location else "",
        (location.line if location else 0) or 0,
        (location.column if location else 0) or 0,
    )


def _sets_running_version(declaration: VersionDeclaration) -> bool:
    """Return whether the declaration sets the version that runs somewhere."""
    return declaration.role is DeclarationRole.EXACT and declaration.declared and not declaration.misread_as


def _finding(code: str, declaration: VersionDeclaration, message: str, remedy: str, severity: Severity) -> Finding:
    return Finding(code=code, message=message, remedy=remedy, severity=severity, location=declaration.location)


def _is_inactive_workflow(declaration: VersionDeclaration) -> bool:
    return _WORKFLOWS in declaration.path and not declaration.path.startswith(_WORKFLOWS)


def _deployed_images(declarations: Sequence[VersionDeclaration], service: str) -> Iterator[VersionDeclaration]:
    """Yield the images of production: the last Python image of each Dockerfile, all images in other files, runtimes."""
    last_images: dict[str, VersionDeclaration] = {}
    for declaration in declarations:
        if not _is_image(declaration) or not is_production_dockerfile(declaration.path, service):
            continue
        if not declaration.image_lines:
            yield declaration
            continue
        last = last_images.setdefault(declaration.path, declaration)
        if max(last.image_lines) < max(declaration.image_lines):
            last_images[declaration.path] = declaration
    yield from last_images.values()


def _is_image(declaration: VersionDeclaration) -> bool:
    """Return whether it says what runs in production: an image, or the runtime of functions."""
    is_runtime = declaration.subject.lower() in (RUNTIME, "runtime")
    return _sets_running_version(declaration) and (bool(declaration.images) or is_runtime)


def _describe(declaration: VersionDeclaration) -> str:
    text = declaration.text[:80]
    return f"{declaration.subject} ({text})" if declaration.subject and text else declaration.subject or text


# ---- single declarations


def _exclusions(
    declarations: Sequence[VersionDeclaration], migration: MigrationTarget, service: str, *, has_migrated: bool
) -> Iterator[Finding]:
    groups: dict[tuple[str, str], list[VersionDeclaration]] = {}
    for declaration in declarations:
        if declaration.role is DeclarationRole.RANGE and not range_includes(declaration.text, migration.target):
            # metadata of a nested distribution: whether it installs is checked where it is required
            is_own = not service or declaration.path.rpartition("/")[0] == ("" if service == "." else service)
            yield _finding(
                EXCLUDES, declaration, f'{declaration.subject} "{declaration.text}" excludes {migration.target}.',
                _remedy_of_range(declaration, migration), Severity.ERROR if is_own else Severity.WARNING,
            )  # fmt: skip
        elif declaration.role is DeclarationRole.LIST_ITEM and declaration.item:
            groups.setdefault((declaration.path, declaration.item.group), []).append(declaration)
        elif _sets_running_version(declaration) and declaration.version and declaration.version < migration.target:
            yield _finding(
                EXCLUDES, declaration, f"{_describe(declaration)} is still {declaration.version}.",
                f"Change it to {migration.target} with all other declarations of the service, as --py312-fix does.",
                Severity.NOTE,
            )  # fmt: skip
    for members in groups.values():
        versions = sorted({declaration.version for declaration in members if declaration.version})
        if versions and migration.target not in versions:
            version_list = ", ".join(str(version) for version in versions)
            yield _finding(
                EXCLUDES, members[0], f"{members[0].subject} lists {version_list} but not {migration.target}.",
                f"Add {migration.target} to the list.", Severity.WARNING if has_migrated else Severity.NOTE,
            )  # fmt: skip


def _remedy_of_range(declaration: VersionDeclaration, migration: MigrationTarget) -> str:
    try:
        new = migrated_range(
            declaration.text,
            baseline=migration.baseline,
            target=migration.target,
            drop_old_versions=migration.drop_old_versions,
        )
    except EditRefused as error:
        return str(error)
    return f'Write "{new}".'


def _minimums_too_new(declarations: Sequence[VersionDeclaration], migration: MigrationTarget) -> Iterator[Finding]:
    """Yield tools whose minimum version is newer than the one that the code has to run on during the migration."""
    least = migration.target if migration.drop_old_versions else migration.baseline
    for declaration in declarations:
        if (
            declaration.role is DeclarationRole.MINIMUM
            and declaration.version
            and declaration.version > least
            and not declaration.misread_as
        ):
            yield _finding(
                DISAGREES, declaration,
                f"{_describe(declaration)} requires {declaration.version}, but the code still runs on {least}.",
                f"Set it to {least} until no service runs on {least} any more.", Severity.WARNING,
            )  # fmt: skip


def _misread_numbers(declarations: Sequence[VersionDeclaration], migration: MigrationTarget) -> Iterator[Finding]:
    """Yield the numbers that lose a zero; only that of the target blocks, as any other is replaced by the move."""
    for declaration in declarations:
        if declaration.misread_as:
            is_of_target = declaration.source_text.startswith(str(migration.target))
            yield _finding(
                MISREAD, declaration, f"The unquoted {declaration.source_text} is the number {declaration.misread_as}.",
                f'Write "{declaration.source_text}".',
                Severity.ERROR if is_of_target and not _is_inactive_workflow(declaration) else Severity.WARNING,
            )  # fmt: skip


def _inactive_workflows(declarations: Sequence[VersionDeclaration]) -> Iterator[Finding]:
    seen: set[str] = set()
    for declaration in declarations:
        parent = declaration.path.partition(_WORKFLOWS)[0]
        if _is_inactive_workflow(declaration) and parent not in seen:
            seen.add(parent)
            yield Finding(
                code=INACTIVE_WORKFLOW,
                message=f"GitHub runs no workflow of {parent}.github/workflows: the folder is not at the root of the "
                "repository.",
                remedy="Move it to .github/workflows at the root, with the paths of the service in its triggers.",
                severity=Severity.WARNING,
                location=declaration.location,
            )


def _unclear_declarations(declarations: Sequence[VersionDeclaration]) -> Iterator[Finding]:
    for declaration in _unresolved(declarations):
        yield _finding(
            UNCLEAR, declaration,
            f"{_describe(declaration)} could not be understood. {declaration.unknown_reason}".strip(),
            "Check it manually, or write the version literally."
            if declaration.text
            else "Correct it, or check it manually.",
            Severity.WARNING,
        )  # fmt: skip


def _unresolved(declarations: Sequence[VersionDeclaration]) -> Iterator[VersionDeclaration]:
    """Yield the unknown declarations, except those whose variables another file of the service defines.

    For example, a compose file passes ``PYTHON_VERSION`` to the build of a Dockerfile without a default, and a workflow
    has it in ``env`` for an action of the repository.
    """
    given_variables = {
        declaration.subject for declaration in declarations if declaration.version and declaration.subject
    }
    for declaration in declarations:
        if declaration.role is DeclarationRole.UNKNOWN:
            names = _VARIABLE.findall(declaration.text)
            if not names or not given_variables.issuperset(names):
                yield declaration


def _undecided_images(declarations: Sequence[VersionDeclaration], migration: MigrationTarget) -> Iterator[Finding]:
    for declaration in declarations:
        if declaration.role is DeclarationRole.FLOATING:
            yield _finding(
                UNDECIDED, declaration,
                f"{_describe(declaration)} does not define which Python runs. {declaration.unknown_reason}".strip(),
                f"Name {migration.target} there.", Severity.WARNING,
            )  # fmt: skip
            continue
        needs_change = (
            declaration.role is DeclarationRole.EXACT
            and declaration.version is not None
            and declaration.version < migration.target
        )
        reasons = (
            [declaration.not_editable_reason]
            if declaration.not_editable_reason
            else [image_tag_problem(image, migration.target) for image in declaration.images]
        )
        for reason in filter(None, reasons if needs_change else ()):
            yield _finding(
                UNDECIDED, declaration,
                f"{_describe(declaration)} cannot be changed to {migration.target} automatically.",
                reason, Severity.WARNING,
            )  # fmt: skip
            break


# ---- declarations against each other


def _disagreements(
    declarations: Sequence[VersionDeclaration], migration: MigrationTarget, *, has_migrated: bool
) -> Iterator[Finding]:
    running = [declaration for declaration in declarations if _sets_running_version(declaration)]
    versions = exact_versions(running)
    if len(versions) > 1:
        is_migrating = versions[0] < migration.target <= versions[-1]
        behind = (
            declaration
            for declaration in running
            if _is_image(declaration) and declaration.version and declaration.version < migration.target
        )
        is_half_migrated = has_migrated and next(behind, None) is not None
        version_list = "; ".join(f"{version}: {_list_locations(running, version)}" for version in versions)
        oldest = next(declaration for declaration in running if declaration.version == versions[0])
        yield Finding(
            code=DISAGREES,
            message=f"The service declares {len(versions)} Python versions ({version_list}).",
            remedy=f"Change all to {migration.target}." if is_migrating else "Change all to the version that runs.",
            severity=Severity.ERROR if is_half_migrated else Severity.WARNING,
            confidence=Confidence.CERTAIN if is_half_migrated else Confidence.LIKELY,
            location=oldest.location,
        )
    for declaration in declarations:
        outside = [version for version in versions if not range_includes(declaration.text, version)]
        if declaration.role is DeclarationRole.RANGE and outside and outside != [migration.target]:
            version_list = " and ".join(str(version) for version in outside)
            yield _finding(
                DISAGREES, declaration,
                f'{declaration.subject} "{declaration.text}" excludes {version_list}, which the service runs on.',
                _remedy_of_range(declaration, migration), Severity.WARNING,
            )  # fmt: skip


def _list_locations(declarations: Sequence[VersionDeclaration], version: Interpreter) -> str:
    locations = dict.fromkeys(str(each.location) for each in declarations if each.version == version)
    return list_names(list(locations), _MAX_LOCATIONS)


def _path_mismatches(declarations: Sequence[VersionDeclaration], migration: MigrationTarget) -> Iterator[Finding]:
    """Yield paths whose version differs from that of their image, or has to change with it."""
    images = {(declaration.path, line): declaration for declaration in declarations for line in declaration.image_lines}
    for declaration in declarations:
        is_bound_path = declaration.role is DeclarationRole.PATH and declaration.bound_line is not None
        image = images.get((declaration.path, declaration.bound_line or 0)) if is_bound_path else None
        if image is None or declaration.version is None or image.version is None:
            continue
        if declaration.version != image.version:
            yield _finding(
                BREAKS_PATH, declaration,
                f"{declaration.text[:120]} does not exist in {image.text} (line {image.line}).",
                f"Write {max(migration.target, image.version)} in both places.", Severity.ERROR,
            )  # fmt: skip
        elif declaration.version < migration.target:
            yield _finding(
                BREAKS_PATH, declaration,
                f"{declaration.text[:120]} exists with {image.version} only: it has to change together with "
                f"{image.text} (line {image.line}).", f"Write {migration.target} in both places.", Severity.NOTE,
            )  # fmt: skip


def _command_mismatches(
    declarations: Sequence[VersionDeclaration],
    migration: MigrationTarget,
    service: str,
    installing: Collection[tuple[str, int]],
    *,
    has_migrated: bool,
) -> Iterator[Finding]:
    """Yield the commands, paths and layers outside of Dockerfiles for a Python that no image of the service has."""
    in_images = {
        declaration.version: declaration
        for declaration in declarations
        if declaration.role is DeclarationRole.EXACT
        and declaration.kind == "image"
        and declaration.subject not in (LAYER, COMPATIBLE_RUNTIMES)
        and is_production_dockerfile(declaration.path, service)
    }
    newest = max(filter(None, in_images), default=None)
    for declaration in declarations:
        is_layer = declaration.subject == LAYER
        is_command = declaration.role is DeclarationRole.PATH and declaration.bound_line is None
        if declaration.version is None or newest is None or not (is_command or is_layer):
            continue
        is_started = declaration.starts_service or is_layer
        runs = (declaration.path, declaration.line) in installing or (
            is_started and is_production_dockerfile(declaration.path, service)
        )
        image = in_images[newest]
        if has_migrated and declaration.version not in in_images:
            yield _finding(
                BREAKS_PATH if runs else DISAGREES, declaration,
                f"{_describe(declaration)} needs {declaration.version}, and the service runs on {newest} "
                f"({image.location}).",
                declaration.not_editable_reason or f"Write {newest} in both places.",
                Severity.ERROR if runs else Severity.WARNING,
            )  # fmt: skip
        elif runs and declaration.version < migration.target and declaration.version in in_images:
            yield _finding(
                BREAKS_PATH, declaration,
                f"{_describe(declaration)} exists with {declaration.version} only: it has to change together with "
                f"{image.text} ({image.location}).",
                declaration.not_editable_reason or f"Write {migration.target} in both places.", Severity.NOTE,
            )  # fmt: skip
