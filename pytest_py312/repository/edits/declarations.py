"""Migrate version declarations to the target, changing only the characters of the version.

A declaration of the version that is used is replaced. Lists get the target added; older versions are removed from them,
and minimum versions raised, only when old versions are dropped, because the code has to support them until then. Newer
versions always stay. Each edit is verified by reading the new text again.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.text_edits import EditRefused, TextEdit, apply_edits
from pytest_py312.repository.declarations.declaration import DeclarationRole, VersionDeclaration
from pytest_py312.repository.declarations.dockerfile import DISTUTILS_PACKAGE
from pytest_py312.repository.declarations.reader import read_declarations
from pytest_py312.repository.edits.image_tags import TagSuffix, image_tag_problem, proposed_suffix
from pytest_py312.repository.edits.list_items import insertion_edits, removal_edits
from pytest_py312.repository.edits.version_ranges import migrated_range, tests_lower_bound
from pytest_py312.repository.formats.version_ranges import range_includes

_PATCH_REQUIRED = "It has to name a patch release, and this tool does not choose one."


@dataclass(frozen=True, kw_only=True, slots=True)
class MigrationTarget:
    """What to migrate to. ``drop_old_versions`` ends the support of versions before the target.

    ``full_version`` (``3.12.7``) is used where a patch release is required; if it is empty, such declarations are
    refused.
    """

    baseline: Interpreter
    target: Interpreter
    drop_old_versions: bool = False
    full_version: str = ""
    oldest_supported: Interpreter | None = None
    """The lower bound of the project's metadata: a job that sets it up tests that bound, and stays."""
    for_review: bool = False
    """Whether somebody decides about the result: then an image gets the nearest tag where the exact one is unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedMigration:
    """A declaration that has to change and cannot be changed; ``reason`` consists of one or two sentences."""

    declaration: VersionDeclaration
    reason: str

    def __str__(self) -> str:
        return f"{self.declaration.location}: {self.reason}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Migrated:
    """The new text, the declarations that were changed, and those that were refused (unchanged).

    ``notes`` are sentences with the location about what is left to decide in a text for review.
    """

    text: str
    changed: tuple[VersionDeclaration, ...] = ()
    refused: tuple[RefusedMigration, ...] = ()
    notes: tuple[str, ...] = ()


DeclarationSelector = Callable[[str, Sequence[VersionDeclaration]], Sequence[VersionDeclaration]]
"""Selects the declarations of a text to migrate; called with the original text, and with the new one."""


def migrate(
    text: str,
    declarations: Sequence[VersionDeclaration],
    migration: MigrationTarget,
    select: DeclarationSelector = lambda _, declarations: declarations,
) -> Migrated:
    """Migrate the ``declarations`` of ``text`` (all that a reader found). A second call changes nothing.

    :param select: selects some of them, if others are migrated at another time.
    :raises EditRefused: the new text would not declare what it should.
    """
    planner = _MigrationPlanner(text, select(text, declarations), migration)
    planner.plan()
    edited = apply_edits(text, planner.text_edits)
    if edited != text:
        reread = read_declarations(edited, declarations[0].path)
        check = _MigrationPlanner(edited, select(edited, reread), migration)
        check.plan()
        if check.text_edits or _unaffected(reread, migration) != _unaffected(declarations, migration):
            raise EditRefused("The versions cannot be changed without changing something else in the file.")
    return Migrated(
        text=edited, changed=tuple(planner.changed), refused=tuple(planner.refused), notes=tuple(planner.notes)
    )


def respell(written: str, version: Interpreter, target: Interpreter, full_version: str = "") -> str:
    """Write ``target`` as ``written`` spells ``version``: ``3.10``, ``py310``, ``310``, ``3_10``, ``10``, ``~=3.10.0``.

    :raises EditRefused: the spelling is unknown.
    """
    if re.match(r"[<>=~^]", written):
        return migrated_range(written, baseline=version, target=target, drop_old_versions=True)
    match = re.fullmatch(r"(?P<head>(?:cpython|python|py|cp)?-?)(?P<version>\d.*)", written, re.ASCII)
    number = match["version"] if match else ""
    if match and number == f"{version.major}{version.minor}":
        return f"{match['head']}{target.major}{target.minor}"
    if match and number == f"{version.major}_{version.minor}":
        return f"{match['head']}{target.major}_{target.minor}"
    if match and number == str(version.minor):
        return f"{match['head']}{target.minor}"
    if match and re.match(rf"{version.major}\.{version.minor}(?!\d)", number):
        wildcard = number[-2:] if number.endswith((".*", ".x")) else ""
        return match["head"] + (full_version or f"{target}{wildcard}")
    raise EditRefused(f'It is not clear how to write {target} in place of "{written[:80]}".')


def _unaffected(declarations: Iterable[VersionDeclaration], migration: MigrationTarget) -> set[tuple[str, str, str]]:
    """Return what an edit must not change: declarations of versions that are not migrated."""
    unaffected_kinds = (DeclarationRole.IGNORED, DeclarationRole.FLOATING, DeclarationRole.UNKNOWN)
    newer = (
        declaration
        for declaration in declarations
        if declaration.version
        and declaration.version > migration.target
        and declaration.role is not DeclarationRole.PATH
    )
    unaffected = [declaration for declaration in declarations if declaration.role in unaffected_kinds]
    return {
        (declaration.role.value, declaration.subject, declaration.source_text) for declaration in (*unaffected, *newer)
    }


class _MigrationPlanner:
    def __init__(self, text: str, declarations: Sequence[VersionDeclaration], migration: MigrationTarget) -> None:
        self._text = text
        self._declarations = declarations
        self._migration = migration
        self._image_by_line = {line: declaration for declaration in declarations for line in declaration.image_lines}
        self.text_edits: list[TextEdit] = []
        self.changed: list[VersionDeclaration] = []
        self.refused: list[RefusedMigration] = []
        self.notes: list[str] = []

    def plan(self) -> None:
        groups: dict[str, list[VersionDeclaration]] = {}
        for declaration in self._declarations:
            if declaration.role is DeclarationRole.LIST_ITEM and declaration.item:
                groups.setdefault(declaration.item.group, []).append(declaration)
                continue
            try:
                self._plan_single(declaration)
            except EditRefused as error:
                self.refused.append(RefusedMigration(declaration=declaration, reason=str(error)))
        for members in groups.values():
            try:
                self._plan_list(members)
            except EditRefused as error:
                self.refused.append(RefusedMigration(declaration=members[0], reason=str(error)))
        self._leave_what_is_bound_to_refused()

    def _leave_what_is_bound_to_refused(self) -> None:
        """Leave paths whose image stays."""
        lines = {line for refusal in self.refused for line in refusal.declaration.image_lines}
        bound = [
            declaration
            for declaration in self.changed
            if declaration.role is DeclarationRole.PATH and declaration.bound_line in lines
        ]
        starts = {declaration.start for declaration in bound}
        self.changed = [declaration for declaration in self.changed if declaration not in bound]
        self.text_edits = [edit for edit in self.text_edits if edit.start not in starts]

    # ---- one version

    def _plan_single(self, declaration: VersionDeclaration) -> None:
        migration = self._migration
        if declaration.role is DeclarationRole.RANGE:
            self._plan_range(declaration)
            return
        if self._stays(declaration):
            return
        must_change = declaration.role in (DeclarationRole.EXACT, DeclarationRole.PATH, DeclarationRole.LIST_ITEM)
        must_change = must_change or (declaration.role is DeclarationRole.MINIMUM and migration.drop_old_versions)
        must_change = must_change or (declaration.role is DeclarationRole.LABEL and self._label_follows(declaration))
        target = self._target_for(declaration)
        if not must_change or declaration.version is None or declaration.version >= target:
            if declaration.misread_as:
                self._replace(declaration, f'"{declaration.source_text}"')
            return
        if self._migration.for_review and declaration.not_editable_reason == DISTUTILS_PACKAGE:
            self._remove_package(declaration)
            return
        suffix = self._proposed_suffix(declaration) if self._migration.for_review else None
        if suffix is None:
            self._replace(declaration, self._new_text(declaration, target))
        else:
            self._replace_with_suffix(declaration, target, suffix)

    def _remove_package(self, declaration: VersionDeclaration) -> None:
        """Remove ``python3.9-distutils`` from a list of packages, with its line if nothing else stands there."""
        word = re.compile(r"python3\.\d{1,2}-distutils").match(self._text, declaration.start - len("python"))
        if word is None:
            raise EditRefused(declaration.not_editable_reason)
        line = re.compile(r"(?<=\n)[ \t]*python3\.\d{1,2}-distutils[ \t]*\\\r?\n")
        whole_line = line.match(self._text, self._text.rfind("\n", 0, word.start()) + 1)
        start, end = whole_line.span() if whole_line else word.span()
        if not whole_line and self._text[start - 1] in " \t":
            start -= 1
        self.text_edits.append(TextEdit(start=start, end=end, text=""))
        self.changed.append(declaration)

    def _proposed_suffix(self, declaration: VersionDeclaration) -> TagSuffix | None:
        """Return what is proposed for the rest of an image's tag; ``None`` if that can stay, or is not written here."""
        images = [image for image in declaration.images if image_tag_problem(image, self._migration.target)]
        proposals = [proposed_suffix(image, self._migration.target) for image in images]
        first = proposals[0] if proposals else None
        if first is None or declaration.not_editable_reason or len(images) < len(declaration.images):
            return None
        is_written_here = self._text.startswith(first.old, declaration.end)
        return first if is_written_here and all(proposal == first for proposal in proposals) else None

    def _replace_with_suffix(self, declaration: VersionDeclaration, target: Interpreter, suffix: TagSuffix) -> None:
        new = respell(declaration.source_text, declaration.version or target, target) + suffix.new
        end = declaration.end + len(suffix.old)
        self.text_edits.append(TextEdit(start=declaration.start, end=end, text=new))
        self.changed.append(declaration)
        self.notes.append(f"{declaration.location}: {suffix.note}.")

    def _stays(self, declaration: VersionDeclaration) -> bool:
        migration = self._migration
        return not migration.drop_old_versions and tests_lower_bound(
            declaration, migration.oldest_supported, migration.baseline
        )

    def _target_for(self, declaration: VersionDeclaration) -> Interpreter:
        """Return the version of the image that a path belongs to if it is newer, otherwise the target."""
        line = declaration.bound_line
        image = self._image_by_line.get(line) if line is not None and declaration.role is DeclarationRole.PATH else None
        return max(self._migration.target, image.version) if image and image.version else self._migration.target

    def _new_text(self, declaration: VersionDeclaration, target: Interpreter) -> str:
        self._check_editable(declaration)
        full_version = (
            self._migration.full_version if declaration.keeps_patch and target == self._migration.target else ""
        )
        if declaration.keeps_patch and not full_version:
            raise EditRefused(_PATCH_REQUIRED)
        new = respell(declaration.source_text, declaration.version or target, target, full_version)
        return f'"{new}"' if not declaration.quoted and re.fullmatch(r"3\.\d+0", new) else new

    def _check_editable(self, declaration: VersionDeclaration) -> None:
        _refuse_if_not_editable(declaration)
        for image in declaration.images:
            problem = image_tag_problem(image, self._migration.target)
            if problem:
                raise EditRefused(problem)

    def _replace(self, declaration: VersionDeclaration, new: str) -> None:
        if new != declaration.source_text:
            self.text_edits.append(TextEdit(start=declaration.start, end=declaration.end, text=new))
            self.changed.append(declaration)

    def _label_follows(self, label: VersionDeclaration) -> bool:
        """Return whether the version that the label describes is the only one in the file, and is migrated."""
        same = [
            declaration
            for declaration in self._declarations
            if declaration.version == label.version and declaration is not label and not self._stays(declaration)
        ]
        if label.bound_line is not None:
            return any(
                declaration.line == label.bound_line and declaration.role is DeclarationRole.EXACT
                for declaration in same
            )
        single = any(declaration.role is DeclarationRole.EXACT and declaration.editable for declaration in same)
        return single and not any(declaration.role is DeclarationRole.LIST_ITEM for declaration in same)

    def _plan_range(self, declaration: VersionDeclaration) -> None:
        migration = self._migration
        if range_includes(declaration.text, migration.target) and not migration.drop_old_versions:
            return
        new = migrated_range(
            declaration.text,
            baseline=migration.baseline,
            target=migration.target,
            drop_old_versions=migration.drop_old_versions,
        )
        if new != declaration.text:
            self._check_editable(declaration)
            self._replace(declaration, new)

    # ---- several

    def _plan_list(self, members: Sequence[VersionDeclaration]) -> None:
        migration = self._migration
        outdated = [
            declaration
            for declaration in members
            if migration.drop_old_versions and declaration.version and declaration.version < migration.target
        ]
        listed = any(declaration.version == migration.target for declaration in members)
        template = None if listed else _template_member(members, migration.target)
        if template is None and not listed:
            outdated = []  # all members are newer than the target: keep the list
        removals = [
            declaration for declaration in outdated if not template or _item_span(declaration) != _item_span(template)
        ]
        text_edits: list[TextEdit] = []
        if removals:
            for declaration in removals:
                _refuse_if_not_editable(declaration)
            text_edits += removal_edits(
                self._text,
                {_item_span(declaration): declaration.item for declaration in removals if declaration.item}.values(),
            )
            if template is None or template in outdated:  # an added member brings its comma
                text_edits += self._tuple_comma([declaration for declaration in members if declaration not in removals])
        if template and template in outdated and template.item:
            member = self._new_member(template)
            item_text = self._text[template.item.start : template.item.end].rstrip()
            text_edits.append(
                TextEdit(start=template.item.start, end=template.item.start + len(item_text), text=member)
            )
        elif template and template.item:
            text_edits += insertion_edits(self._text, template.item, self._new_member(template))
        to_quote = [
            declaration
            for declaration in members
            if declaration.misread_as and declaration not in outdated and declaration is not template
        ]
        if template and template.misread_as and template not in outdated:
            to_quote.append(template)
        text_edits += [
            TextEdit(start=declaration.start, end=declaration.end, text=f'"{declaration.source_text}"')
            for declaration in to_quote
        ]
        self.text_edits += text_edits
        self.changed += [declaration for declaration in (template, *removals, *to_quote) if declaration]

    def _tuple_comma(self, staying: Sequence[VersionDeclaration]) -> Iterator[TextEdit]:
        """Add the comma that a tuple of one needs."""
        last = max(
            (declaration.item for declaration in staying if declaration.item), key=lambda item: item.end, default=None
        )
        if last and last.group.endswith("()") and not self._text[last.end :].lstrip().startswith(","):
            yield TextEdit(start=last.end, end=last.end, text=",")

    def _new_member(self, template: VersionDeclaration) -> str:
        """Return the list item of ``template`` with its version replaced by the target throughout."""
        item = template.item
        if item is None or template.version is None:
            raise EditRefused("It is no member of a list.")
        new = self._new_text(template, self._migration.target)
        prefix, suffix = self._text[item.start : template.start], self._text[template.end : item.end]
        return _substitute_version(prefix, template.version, self._migration.target) + new + _substitute_version(
            suffix, template.version, self._migration.target
        ).rstrip()  # fmt: skip


def _refuse_if_not_editable(declaration: VersionDeclaration) -> None:
    if declaration.not_editable_reason:
        raise EditRefused(declaration.not_editable_reason)


def _item_span(declaration: VersionDeclaration) -> tuple[int, int]:
    return (declaration.item.start, declaration.item.end) if declaration.item else (declaration.start, declaration.end)


def _template_member(members: Sequence[VersionDeclaration], target: Interpreter) -> VersionDeclaration | None:
    """Return the newest member before the target, preferably a plain one to a whole combination."""
    older = [place for place in members if place.version and place.version < target and place.item]
    plain = [place for place in older if place.item and not place.item.is_combination]
    ranked = sorted(plain or older, key=lambda place: (place.version or target, place.start))
    return ranked[-1] if ranked else None


def _substitute_version(text: str, version: Interpreter, target: Interpreter) -> str:
    # "protobuf==3.11.2" is a version of something else
    dotted = rf"(?:(?<=python==)|(?<![=<>~!]=)(?<![<>\d.])){version.major}\.{version.minor}(?:\.\d+)?(?![\d.]*\d)"
    text = re.sub(dotted, str(target), text)
    compact = rf"(?i)(?<![a-z])(py|python|cp)(-?){version.major}{version.minor}(?!\d)"
    return re.sub(compact, lambda match: f"{match[1]}{match[2]}{target.major}{target.minor}", text)
