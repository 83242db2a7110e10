"""Python source with names of the library, or escapes of strings, written otherwise: only their own characters change.

Where the new name is in another module, the import that brings the old one is changed as well, and nothing is done
where it cannot be told to be the right one. What is handed back can be parsed.
"""

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_py312.core.model.findings import SourceChange
from pytest_py312.core.text_edits import EditRefused, Splice, spliced
from pytest_py312.repository.edits.python.calls import is_about_call, last_renamed, splices_of_call
from pytest_py312.repository.edits.python.imports import from_import_of, module_imports, module_renamed, moved_names
from pytest_py312.repository.edits.python.string_escapes import Escapes
from pytest_py312.repository.edits.python.syntax import PythonText, normal, parsed

SUBMODULES = frozenset({"collections.abc"})
"""Modules that a name moves into from the module above, and that have to be imported by their whole name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mended:
    """The new text, and (change, reason) of those that were not made."""

    text: str
    refused: tuple[tuple[SourceChange, str], ...] = ()


def mend(text: str, changes: Iterable[SourceChange]) -> Mended:
    """``text`` with all ``changes`` that can be made; one that was made before changes nothing.

    :raises EditRefused: the file cannot be parsed, before or after.
    """
    source = PythonText(text)
    wanted = list(dict.fromkeys(changes))
    refused: dict[SourceChange, str] = {}
    splices: list[Splice] = []
    while wanted:
        trial = _Trial(source)
        splices = trial.splices(wanted)
        refused |= trial.refused
        if not trial.refused:
            break
        # an import changes for all that needs it, so without some of them everything is worked out anew
        splices = []
        wanted = [change for change in wanted if change not in refused]
    new = spliced(text, splices)
    if new != text:
        parsed(normal(new))
    return Mended(text=new, refused=tuple(refused.items()))


class _Trial:
    """All changes of one file together; those that cannot be made are in ``refused`` with the reason."""

    def __init__(self, source: PythonText) -> None:
        self._source = source
        self._made: list[tuple[Splice, SourceChange]] = []
        self._names: dict[ast.ImportFrom, dict[int, SourceChange]] = {}
        self._roots: dict[str, list[tuple[ast.Attribute, SourceChange]]] = {}
        self.refused: dict[SourceChange, str] = {}

    def splices(self, changes: Sequence[SourceChange]) -> list[Splice]:
        """What the changes come to, without those that are refused."""
        escapes: Escapes | None = None
        for change in changes:
            try:
                if change.old.startswith("\\"):
                    escapes = escapes or Escapes(self._source)
                    self._make(change, escapes.mended(change.line))
                else:
                    self._take(change)
            except EditRefused as reason:
                self.refused[change] = str(reason)
        for statement, moved in self._names.items():
            with _Refusing(self, moved.values()):
                new = {number: change.new for number, change in moved.items()}
                self._make(next(iter(moved.values())), moved_names(self._source, statement, new))
        for root, uses in self._roots.items():
            with _Refusing(self, [change for _, change in uses]):
                self._move_module(root, uses)
        return list(self._apart())

    def _make(self, change: SourceChange, splices: Iterable[Splice]) -> None:
        self._made += [(splice, change) for splice in splices]

    def _apart(self) -> Iterator[Splice]:
        """The splices, each once; of two that meet, the second is refused."""
        reached, last = -1, None
        for splice, change in sorted(self._made, key=lambda pair: (pair[0].start, pair[0].end, pair[0].text)):
            if splice == last:
                continue
            if splice.start < reached or (last is not None and splice.start == last.start):
                self.refused[change] = "Another change is made at the same place."
                continue
            reached, last = splice.end, splice
            yield splice

    # ---- names

    def _take(self, change: SourceChange) -> None:
        """:raises EditRefused: the name is not there, or not in a form that can be changed."""
        name, new = change.old.rpartition(".")[2], change.new.rpartition(".")[2]
        nodes = self._source.at(change.line, change.column)
        found = [node for node in nodes if _last_name(node) == name]
        if not found and any(_last_name(node) == new for node in nodes):
            return
        found = found or [node for node in nodes if isinstance(node, ast.Name)]
        if len(found) != 1:
            raise EditRefused(f"{change.old} is not written out here, or more than once.")
        self._take_node(found[0], change)

    def _take_node(self, node: Any, change: SourceChange) -> None:
        if isinstance(node, ast.alias):
            statement = self._source.parent(node)
            if not isinstance(statement, ast.ImportFrom) or f"{statement.module}.{node.name}" != change.old:
                raise EditRefused("The import is not one of this name.")
            self._import(statement, statement.names.index(node), change)
        elif isinstance(node, ast.Name):
            self._import(*from_import_of(self._source, node, change.old), change)
        else:
            self._take_attribute(node, change)

    def _import(self, statement: ast.ImportFrom, number: int, change: SourceChange) -> None:
        if is_about_call(change.old):
            raise EditRefused("What is called with it may mean something else to its successor.")
        known = self._names.setdefault(statement, {}).setdefault(number, change)
        if known.new != change.new:
            raise EditRefused("It is to become two things.")

    def _take_attribute(self, node: ast.Attribute, change: SourceChange) -> None:
        shaped = splices_of_call(self._source, node, change.old, change.new)
        if shaped is not None:
            self._make(change, shaped)
            return
        home, _, _ = change.old.rpartition(".")
        new_home, _, new = change.new.rpartition(".")
        if new_home == home:
            self._make(change, [last_renamed(self._source, node, new)])
        elif new_home.startswith(f"{home}."):
            self._make(change, [last_renamed(self._source, node, change.new[len(home) + 1 :])])
            if new_home in SUBMODULES:
                self._make(change, self._with_submodule(node, home, new_home))
        elif isinstance(node.value, ast.Name):
            self._roots.setdefault(node.value.id, []).append((node, change))
        else:
            raise EditRefused("The module is not named by one word here.")

    # ---- modules

    def _with_submodule(self, node: ast.Attribute, module: str, submodule: str) -> list[Splice]:
        """``import collections`` -> ``import collections.abc``, which brings both."""
        aliases = self._only_imports(node, module)
        if any(alias.asname for alias in aliases):
            raise EditRefused(f"{submodule} would have to be imported, and {module} has another name here.")
        if any(alias.name == submodule for alias in aliases):
            return []
        return [module_renamed(self._source, alias, submodule) for alias in aliases if alias.name == module]

    def _only_imports(self, node: ast.Attribute, module: str) -> list[ast.alias]:
        """The imports that bring the module that ``node`` is an attribute of.

        :raises EditRefused: something else may be behind the name.
        """
        root = node.value
        aliases = module_imports(self._source, root) if isinstance(root, ast.Name) else []
        others = [one for one in self._source.bindings(getattr(root, "id", "")) if one not in aliases]
        mine = any(alias.name == module or alias.name.startswith(f"{module}.") for alias in aliases)
        if not mine or any(not isinstance(self._source.parent(one), ast.Import) for one in others):
            raise EditRefused(f"It cannot be told which import brings {module}.")
        return aliases

    def _move_module(self, root: str, uses: Sequence[tuple[ast.Attribute, SourceChange]]) -> None:
        """``import imp`` -> ``import importlib``, where all that is used of it is in the other module."""
        homes = {change.new.rpartition(".")[0] for _, change in uses}
        modules = {change.old.rpartition(".")[0] for _, change in uses}
        taken = {node.value for node, _ in uses}
        if len(homes) > 1 or len(modules) > 1 or any(name not in taken for name in self._source.reads.get(root, ())):
            raise EditRefused(f"Not all that is used of {root} is in one other module.")
        home, module = homes.pop(), modules.pop()
        aliases = {alias for node, _ in uses for alias in self._only_imports(node, module)}
        own_name = {alias.asname is None for alias in aliases}
        bound = self._source.bindings(root)
        if any(alias.name != module for alias in aliases) or len(own_name) > 1 or len(aliases) < len(bound):
            raise EditRefused(f"It cannot be told which import brings {module}.")
        is_renamed = own_name.pop()
        if is_renamed:
            self._must_be_free(home)
        for alias in aliases:
            self._make(uses[0][1], [module_renamed(self._source, alias, home)])
        for node, change in uses:
            self._make(change, [last_renamed(self._source, node, change.new.rpartition(".")[2])])
            if is_renamed:
                start = self._source.start(node.value)
                self._make(change, [Splice(start=start, end=start + len(root), text=home)])

    def _must_be_free(self, module: str) -> None:
        """:raises EditRefused: the name of the module means something else in the file."""
        first = module.partition(".")[0]
        for node in self._source.bindings(first):
            if not isinstance(node, ast.alias) or not isinstance(self._source.parent(node), ast.Import) or node.asname:
                raise EditRefused(f"{first} is something else in this file.")


class _Refusing:
    """Refuses all of some changes where one of them cannot be made."""

    def __init__(self, trial: _Trial, changes: Iterable[SourceChange]) -> None:
        self._trial = trial
        self._changes = list(changes)

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, EditRefused):
            self._trial.refused |= dict.fromkeys(self._changes, str(error))
            return True
        return False


def _last_name(node: Any) -> str:
    """Of an attribute or an imported name; empty for a plain name, which may be anything."""
    return str(getattr(node, "attr", "") or (node.name if isinstance(node, ast.alias) else ""))
