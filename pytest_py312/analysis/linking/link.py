"""Across the files of one service: what a class inherits from one of another file, and what names of others mean."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_py312.analysis.linking.exports import Meaning, Names
from pytest_py312.analysis.linking.import_effects import (
    imported_files,
    with_guards_of_imports,
    with_patches,
    without_guesses,
)
from pytest_py312.analysis.scanner.evaluation.environment_tests import answered
from pytest_py312.analysis.scanner.facts.facts import (
    ClassFact,
    Condition,
    FileFacts,
    Guard,
    Inherited,
    Kind,
    Reference,
    Through,
)

DEEPEST = 12
UNKNOWN: Condition = ("unknown",)


class Modules:
    """The files of a service by the names they may be imported as."""

    def __init__(self, files: Sequence[FileFacts]) -> None:
        self._by_name: dict[str, list[FileFacts]] = {}
        self._packages = {facts.path.removesuffix("/__init__.py") for facts in files}
        self._found: dict[tuple[str, str], FileFacts | None] = {}
        for facts in files:
            self._by_name.setdefault(_stem(facts.path).rpartition("/")[2], []).append(facts)

    def find(self, module: str, beside: str) -> FileFacts | None:
        """The file of ``module`` (leading dots count up from the folder of ``beside``)."""
        asked = (module, beside)
        if asked not in self._found:
            self._found[asked] = self._find(module, beside)
        return self._found[asked]

    def _find(self, module: str, beside: str) -> FileFacts | None:
        name = module.lstrip(".")
        level = len(module) - len(name)
        path = name.replace(".", "/")
        if level:
            folder = beside.split("/")[:-level]
            wanted = "/".join([*folder, path]) if path else "/".join(folder)
            return self._one(wanted.rpartition("/")[2], wanted, exact=True)
        return self._one(path.rpartition("/")[2], path, exact=False, beside=beside)

    def _one(self, last: str, path: str, *, exact: bool, beside: str = "") -> FileFacts | None:
        found = [facts for facts in self._by_name.get(last, ()) if _fits(_stem(facts.path), path, exact)]
        if len(found) > 1:
            # what lies in a package is not imported by a name without that, unless there is no other way
            found = [one for one in found if _root(_stem(one.path), path) not in self._packages] or found
        if len(found) > 1:
            found.sort(key=lambda facts: -_common(facts.path, beside))
            if _common(found[0].path, beside) == _common(found[1].path, beside):
                return None
        return found[0] if found else None


def _stem(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__")


def _fits(stem: str, path: str, exact: bool) -> bool:
    return stem == path or (not exact and stem.endswith(f"/{path}"))


def _root(stem: str, path: str) -> str:
    """The folder from which a file is imported as ``path``."""
    return stem.removesuffix(path).removesuffix("/")


def _common(one: str, other: str) -> int:
    count = 0
    for left, right in zip(one.split("/"), other.split("/"), strict=False):
        if left != right:
            break
        count += 1
    return count


def linked(files: Sequence[FileFacts]) -> tuple[FileFacts, ...]:
    """``files`` with what their classes inherit through other files as references of their own."""
    modules = Modules(files)
    flags = _Flags(modules)
    names = Names(files, modules.find, flags.plainly)
    classes = {facts.path: {one.name: one for one in facts.classes} for facts in files}
    imported = {facts.path: imported_files(facts, modules.find) for facts in files}
    set_by = names.set_by(files, imported)
    done = []
    for facts in files:
        replaced = set_by.get(facts.path, frozenset())
        guards = _Guards(_guards(facts, flags, names))
        found = [reference for use in facts.inherited for reference in _references(use, facts, modules, classes)]
        for way in facts.through:
            found += _through(way, names.meanings(way.name, facts, replaced), guards)
        patches = tuple(names.patches(facts)) if facts.replaced else ()
        all_guards = guards.complete()
        if found or patches or all_guards != facts.guards:
            facts = replace(
                facts, references=(*facts.references, *found), inherited=(), through=(), guards=all_guards,
                patches=(*facts.patches, *patches),
            )  # fmt: skip
        done.append(facts)
    guarded = with_guards_of_imports(without_guesses(done, imported), imported)
    return with_patches(guarded, imported, modules.find)


def _guards(facts: FileFacts, flags: "_Flags", names: Names) -> tuple[Guard, ...]:
    """The guards of a file with what other files say of what they ask."""
    guards = [one._replace(condition=flags.known(one.condition, facts, names)) for one in facts.guards]
    return facts.guards if guards == list(facts.guards) else tuple(guards)


class _Flags:
    """What conditions of a file mean that hang on other files."""

    def __init__(self, modules: Modules) -> None:
        self._modules = modules

    def plainly(self, condition: Condition, facts: FileFacts) -> Condition:
        """With what other files say of their flags."""
        return self.known(condition, facts, None)

    def known(self, condition: Condition, facts: FileFacts, names: Names | None) -> Condition:
        """With what they say of their names as well."""
        kind = condition[0] if condition else ""
        if kind in ("not", "and", "or"):
            return (kind, *[self.known(part, facts, names) for part in condition[1:]])
        if kind == "imported has":
            return _has(names.meanings(condition[1], facts)) if names is not None else UNKNOWN
        return self._flag(condition, facts) if kind == "imported" else condition

    def _flag(self, condition: Condition, facts: FileFacts) -> Condition:
        module, _, name = condition[1].rpartition(".")
        file = self._modules.find(module if module.strip(".") else f"{module}.", facts.path) if module else None
        found = dict(file.flags).get(name) if file is not None else None
        if found is not None and found[0] == "asks":
            return (answered(found, condition[2]) if len(condition) > 2 else None) or UNKNOWN
        return UNKNOWN if found is None or _is_open(found) else found


def _has(meanings: Sequence[Meaning]) -> Condition:
    """When something has what it is asked for by ``hasattr``."""
    only = meanings[0] if len(meanings) == 1 else None
    plain = only is not None and only.sure and not only.condition
    return ("has", only.module, only.path) if only is not None and plain else UNKNOWN


def _is_open(condition: Condition) -> bool:
    """Whether it hangs on a third file."""
    asks_others = condition[0] in ("imported", "imported has")
    return asks_others or any(isinstance(one, tuple) and one and _is_open(one) for one in condition[1:])


class _Guards:
    """The guards of a file, and more that are put inside of them."""

    def __init__(self, known: tuple[Guard, ...]) -> None:
        self._known = known
        self._more: dict[Guard, int] = {}

    def inside(self, parent: int, condition: Condition) -> int:
        if not condition:
            return parent
        return self._more.setdefault(Guard(parent, condition), len(self._known) + len(self._more))

    def complete(self) -> tuple[Guard, ...]:
        return (*self._known, *self._more) if self._more else self._known


def _through(way: Through, meanings: Sequence[Meaning], guards: _Guards) -> Iterator[Reference]:
    """The uses of the library that one of a name of another file is."""
    for one in meanings:
        if one.path:
            is_named = one.path.count(".") + 1 == one.told  # what is wrong with the name itself, its own file has said
            kind = Kind.GIVEN if is_named else Kind.METHOD if "()" in one.path else way.kind
            place = (way.line, way.column, way.end_column)
            guard = guards.inside(way.guard, one.condition)
            sure = way.sure and one.sure
            yield Reference(one.module, one.path, *place, kind, guard, 0, way.call, sure, one.told)


def _references(
    use: Inherited, facts: FileFacts, modules: Modules, classes: Mapping[str, Mapping[str, ClassFact]]
) -> Iterator[Reference]:
    owner = classes[facts.path].get(use.owner)
    if owner is None:
        return
    bases: list[tuple[str, str]] = []
    complete = True
    pending = [(facts, owner)]
    seen = 0
    while pending and seen < DEEPEST:
        here, one = pending.pop(0)
        if seen and (use.name in one.members or (use.instance and "__getattr__" in one.members)):
            return
        seen += 1
        for module, name in one.bases:
            if module:
                bases.append((module, name))
                continue
            inner = _class_of(name, here, modules, classes)
            if inner is None:
                complete = False
            else:
                pending.append(inner)
    for module, path in bases:
        path = f"{path}{'()' if use.instance else ''}.{use.name}"
        yield Reference(
            module, path, use.line, use.column, use.end_column, Kind.METHOD, use.guard, 0, use.call, complete
        )  # fmt: skip


def _class_of(
    name: str, here: FileFacts, modules: Modules, classes: Mapping[str, Mapping[str, ClassFact]]
) -> tuple[FileFacts, ClassFact] | None:
    if name.startswith(":"):
        own = classes[here.path].get(name[1:])
        return (here, own) if own is not None else None
    module, dot, last = name.rpartition(".")
    if dot and not module.strip("."):
        module += "."
    file = modules.find(module, here.path) if module else None
    found = classes[file.path].get(last) if file is not None else None
    return (file, found) if file is not None and found is not None else None
