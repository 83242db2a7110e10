"""Rewrite names of the standard library and invalid escapes in Python source, changing only their own characters.

If the new name is in another module, the import is changed as well; if the right import cannot be determined, nothing
is. The result can be parsed.
"""

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_py312.core.model.findings import SourceChange
from pytest_py312.core.text_edits import EditRefused, TextEdit, apply_edits
from pytest_py312.repository.edits.python.calls import (
    READ,
    call_edits,
    exec_namespace_edits,
    needs_call_rewrite,
    rename_attribute,
)
from pytest_py312.repository.edits.python.imports import (
    from_import_of,
    module_imports,
    rename_imported_names,
    rename_module,
)
from pytest_py312.repository.edits.python.mock_assertions import REMOVED, mock_assertion_edits
from pytest_py312.repository.edits.python.package_resources import MODULE, package_resources_edits
from pytest_py312.repository.edits.python.string_escapes import InvalidEscapes
from pytest_py312.repository.edits.python.syntax import PythonSource, normalize_line_ends, parse_source
from pytest_py312.repository.edits.python.whole_numbers import MARK, whole_number_edits

EXPLICIT_SUBMODULES = frozenset({"collections.abc"})
"""Submodules that a name moves into from their parent, and that have to be imported explicitly."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RewriteResult:
    """The new text, and (change, reason) of the changes that were refused."""

    text: str
    refused: tuple[tuple[SourceChange, str], ...] = ()


def rewrite(text: str, changes: Iterable[SourceChange]) -> RewriteResult:
    """Apply all possible ``changes`` to ``text``; changes that were made before are skipped.

    :raises EditRefused: the file cannot be parsed, before or after.
    """
    source = PythonSource(text)
    pending = list(dict.fromkeys(changes))
    refused: dict[SourceChange, str] = {}
    text_edits: list[TextEdit] = []
    while pending:
        attempt = _RewriteAttempt(source)
        text_edits = attempt.edits_for(pending)
        refused |= attempt.refused
        if not attempt.refused:
            break
        # an import is changed for all of its uses, so all edits are computed again without the refused changes
        text_edits = []
        pending = [change for change in pending if change not in refused]
    new = apply_edits(text, text_edits)
    if new != text:
        parse_source(normalize_line_ends(new))
    return RewriteResult(text=new, refused=tuple(refused.items()))


class _RewriteAttempt:
    """All changes of one file together; ``refused`` collects those that cannot be made, with the reason."""

    def __init__(self, source: PythonSource) -> None:
        self._source = source
        self._recorded: list[tuple[TextEdit, SourceChange]] = []
        self._from_import_changes: dict[ast.ImportFrom, dict[int, SourceChange]] = {}
        self._module_uses: dict[str, list[tuple[ast.Attribute, SourceChange]]] = {}
        self.refused: dict[SourceChange, str] = {}

    def edits_for(self, changes: Sequence[SourceChange]) -> list[TextEdit]:
        """Return the edits of the changes that are not refused."""
        escapes: InvalidEscapes | None = None
        for change in changes:
            try:
                if change.old.startswith("\\"):
                    escapes = escapes or InvalidEscapes(self._source)
                    self._record(change, escapes.edits_on(change.line))
                elif change.old.endswith(MARK):
                    name = change.old.removesuffix(MARK).rpartition(".")[2]
                    self._record(change, whole_number_edits(self._source, change.line, change.column, name))
                elif "." not in change.old and change.new in (f"assert_{change.old}", REMOVED):
                    position = change.line, change.column
                    self._record(change, mock_assertion_edits(self._source, *position, change.old, change.new))
                elif change.old == MODULE:
                    self._record(change, package_resources_edits(self._source, change.line, change.column))
                elif change.old.startswith(READ):
                    self._record(change, exec_namespace_edits(self._source, change.line, change.column))
                else:
                    self._add_rename(change)
            except EditRefused as reason:
                self.refused[change] = str(reason)
        for statement, renames in self._from_import_changes.items():
            new_names = {number: change.new for number, change in renames.items()}
            try:
                self._record(next(iter(renames.values())), rename_imported_names(self._source, statement, new_names))
            except EditRefused as reason:
                self.refused |= dict.fromkeys(renames.values(), str(reason))
        for root, uses in self._module_uses.items():
            try:
                self._replace_module(root, uses)
            except EditRefused as reason:
                self.refused |= {change: str(reason) for _, change in uses}
        return list(self._without_overlaps())

    def _record(self, change: SourceChange, text_edits: Iterable[TextEdit]) -> None:
        self._recorded += [(text_edit, change) for text_edit in text_edits]

    def _without_overlaps(self) -> Iterator[TextEdit]:
        """Yield the edits without duplicates; of two that overlap, the second is refused."""
        reached, last = -1, None
        for text_edit, change in sorted(self._recorded, key=lambda pair: (pair[0].start, pair[0].end, pair[0].text)):
            if text_edit == last:
                continue
            if text_edit.start < reached or (last is not None and text_edit.start == last.start):
                self.refused[change] = "Another change is made at the same place."
                continue
            reached, last = text_edit.end, text_edit
            yield text_edit

    # ---- names

    def _add_rename(self, change: SourceChange) -> None:
        """Add the change of a name.

        :raises EditRefused: the name is not there, or not in a form that can be changed.
        """
        name, new = change.old.rpartition(".")[2], change.new.rpartition(".")[2]
        nodes = self._source.nodes_at(change.line, change.column)
        matching = [node for node in nodes if _last_name(node) == name]
        if not matching and any(_last_name(node) == new for node in nodes):
            return
        matching = matching or [node for node in nodes if isinstance(node, ast.Name)]
        if len(matching) != 1:
            raise EditRefused(f"{change.old} does not occur here exactly once.")
        self._add_node(matching[0], change)

    def _add_node(self, node: Any, change: SourceChange) -> None:
        if isinstance(node, ast.alias):
            statement = self._source.parent(node)
            if not isinstance(statement, ast.ImportFrom) or f"{statement.module}.{node.name}" != change.old:
                raise EditRefused("The import is not of this name.")
            self._add_import(statement, statement.names.index(node), change)
        elif isinstance(node, ast.Name):
            self._add_import(*from_import_of(self._source, node, change.old), change)
        else:
            self._add_attribute(node, change)

    def _add_import(self, statement: ast.ImportFrom, number: int, change: SourceChange) -> None:
        if needs_call_rewrite(change.old):
            raise EditRefused("Its arguments may mean something else to its replacement.")
        previous = self._from_import_changes.setdefault(statement, {}).setdefault(number, change)
        if previous.new != change.new:
            raise EditRefused("Two different replacements are requested.")

    def _add_attribute(self, node: ast.Attribute, change: SourceChange) -> None:
        edits = call_edits(self._source, node, change.old, change.new)
        if edits is not None:
            self._record(change, edits)
            return
        module, _, _ = change.old.rpartition(".")
        new_module, _, new = change.new.rpartition(".")
        if new_module == module:
            self._record(change, [rename_attribute(self._source, node, new)])
        elif new_module.startswith(f"{module}."):
            self._record(change, [rename_attribute(self._source, node, change.new[len(module) + 1 :])])
            if new_module in EXPLICIT_SUBMODULES:
                self._record(change, self._submodule_import_edits(node, module, new_module))
        elif isinstance(node.value, ast.Name):
            self._module_uses.setdefault(node.value.id, []).append((node, change))
        else:
            raise EditRefused("The module is not referred to by a single name here.")

    # ---- modules

    def _submodule_import_edits(self, node: ast.Attribute, module: str, submodule: str) -> list[TextEdit]:
        """Return the edits ``import collections`` -> ``import collections.abc``, which imports both."""
        aliases = self._module_aliases(node, module)
        if any(alias.asname for alias in aliases):
            raise EditRefused(f"{submodule} would have to be imported, and {module} has an alias here.")
        if any(alias.name == submodule for alias in aliases):
            return []
        return [rename_module(self._source, alias, submodule) for alias in aliases if alias.name == module]

    def _module_aliases(self, node: ast.Attribute, module: str) -> list[ast.alias]:
        """Return the imports of the module that ``node`` is an attribute of.

        :raises EditRefused: the name may refer to something else.
        """
        root = node.value
        aliases = module_imports(self._source, root) if isinstance(root, ast.Name) else []
        other_bindings = [
            binding for binding in self._source.bindings(getattr(root, "id", "")) if binding not in aliases
        ]
        brings_module = any(alias.name == module or alias.name.startswith(f"{module}.") for alias in aliases)
        if not brings_module or any(
            not isinstance(self._source.parent(binding), ast.Import) for binding in other_bindings
        ):
            raise EditRefused(f"The import of {module} cannot be determined.")
        return aliases

    def _replace_module(self, root: str, uses: Sequence[tuple[ast.Attribute, SourceChange]]) -> None:
        """Change ``import imp`` to ``import importlib``, if all that is used of it is in the other module."""
        new_modules = {change.new.rpartition(".")[0] for _, change in uses}
        modules = {change.old.rpartition(".")[0] for _, change in uses}
        used_names = {node.value for node, _ in uses}
        if (
            len(new_modules) > 1
            or len(modules) > 1
            or any(name not in used_names for name in self._source.reads.get(root, ()))
        ):
            raise EditRefused(f"Not everything that is used of {root} is in the same other module.")
        new_module, module = new_modules.pop(), modules.pop()
        aliases = {alias for node, _ in uses for alias in self._module_aliases(node, module)}
        unaliased = {alias.asname is None for alias in aliases}
        bindings = self._source.bindings(root)
        if any(alias.name != module for alias in aliases) or len(unaliased) > 1 or len(aliases) < len(bindings):
            raise EditRefused(f"The import of {module} cannot be determined.")
        is_renamed = unaliased.pop()
        if is_renamed:
            self._require_unbound(new_module)
        for alias in aliases:
            self._record(uses[0][1], [rename_module(self._source, alias, new_module)])
        for node, change in uses:
            self._record(change, [rename_attribute(self._source, node, change.new.rpartition(".")[2])])
            if is_renamed:
                start = self._source.start(node.value)
                self._record(change, [TextEdit(start=start, end=start + len(root), text=new_module)])

    def _require_unbound(self, module: str) -> None:
        """Check that the file does not use the name of the module for something else.

        :raises EditRefused: it does.
        """
        first = module.partition(".")[0]
        for node in self._source.bindings(first):
            if not isinstance(node, ast.alias) or not isinstance(self._source.parent(node), ast.Import) or node.asname:
                raise EditRefused(f"{first} means something else in this file.")


def _last_name(node: Any) -> str:
    """Return the name of an attribute or an imported name; empty for a plain name, which may be an alias."""
    return str(getattr(node, "attr", "") or (node.name if isinstance(node, ast.alias) else ""))
