"""Across the files of one service: what a class inherits from one of another file, and what names of others mean."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_py312.source.facts import (
    ClassFact,
    Condition,
    Exported,
    FileFacts,
    Guard,
    Inherited,
    Kind,
    Reference,
    Through,
)
from pytest_py312.source.imported_behind import with_guards_of_imports
from pytest_py312.source.imported_files import imported_files
from pytest_py312.source.patched_elsewhere import with_patches
from pytest_py312.source.stdlib import SUBMODULES
from pytest_py312.source.used_elsewhere import without_guesses
from pytest_py312.source.version_tests import answered

DEEPEST = 12
UNKNOWN: Condition = ("unknown",)


class Modules:
    """The files of a service by the names they may be imported as."""

    def __init__(self, files: Sequence[FileFacts]) -> None:
        self._by_name: dict[str, list[FileFacts]] = {}
        for facts in files:
            self._by_name.setdefault(_stem(facts.path).rpartition("/")[2], []).append(facts)

    def find(self, module: str, beside: str) -> FileFacts | None:
        """The file of ``module`` (leading dots count up from the folder of ``beside``)."""
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
            found.sort(key=lambda facts: -_common(facts.path, beside))
            if _common(found[0].path, beside) == _common(found[1].path, beside):
                return None
        return found[0] if found else None


def _stem(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__")


def _fits(stem: str, path: str, exact: bool) -> bool:
    return stem == path or (not exact and stem.endswith(f"/{path}"))


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
    classes = {facts.path: {one.name: one for one in facts.classes} for facts in files}
    done = []
    for facts in files:
        guards = _Guards(_guards(facts, modules))
        found = [reference for use in facts.inherited for reference in _references(use, facts, modules, classes)]
        found += [reference for way in facts.through for reference in _through(way, facts, modules, guards)]
        if found or guards.all != facts.guards:
            references = (*facts.references, *found)
            facts = replace(facts, references=references, inherited=(), through=(), guards=guards.all)
        done.append(facts)
    imported = {facts.path: imported_files(facts, modules.find) for facts in done}
    guarded = with_guards_of_imports(without_guesses(done, imported), imported)
    return with_patches(guarded, imported, modules.find)


def _guards(facts: FileFacts, modules: Modules) -> tuple[Guard, ...]:
    """The guards of a file with what other files say of their flags."""
    guards = [one._replace(condition=_known(one.condition, facts, modules)) for one in facts.guards]
    return facts.guards if guards == list(facts.guards) else tuple(guards)


def _known(condition: Condition, facts: FileFacts, modules: Modules) -> Condition:
    if not condition or condition[0] not in ("imported", "not", "and", "or"):
        return condition
    if condition[0] != "imported":
        return (condition[0], *[_known(part, facts, modules) for part in condition[1:]])
    module, _, name = condition[1].rpartition(".")
    file = modules.find(module if module.strip(".") else f"{module}.", facts.path) if module else None
    found = dict(file.flags).get(name) if file is not None else None
    if found is not None and found[0] == "asks":
        return (answered(found, condition[2]) if len(condition) > 2 else None) or UNKNOWN
    return UNKNOWN if found is None or _is_open(found) else found


def _is_open(condition: Condition) -> bool:
    """Whether it hangs on a third file."""
    return condition[0] == "imported" or any(isinstance(one, tuple) and one and _is_open(one) for one in condition[1:])


class _Guards:
    """The guards of a file, and more that are put inside of them."""

    def __init__(self, known: tuple[Guard, ...]) -> None:
        self.all = known

    def inside(self, parent: int, condition: Condition) -> int:
        if not condition:
            return parent
        wanted = Guard(parent, condition)
        if wanted not in self.all:
            self.all = (*self.all, wanted)
        return self.all.index(wanted)


def _through(way: Through, facts: FileFacts, modules: Modules, guards: _Guards) -> Iterator[Reference]:
    """What a name stands for that another file has given to something of the library."""
    parts = way.name.lstrip(".").split(".")
    dots = way.name[: len(way.name) - len(way.name.lstrip("."))]
    for count in range(0 if dots else 1, len(parts) - 1):
        file = modules.find(dots + ".".join(parts[:count]), facts.path)
        if file is None:
            continue
        meant = [one for one in file.exported if one.name == parts[count]]
        for one in meant:
            module, path = _joined(one, parts[count + 1 :], file)
            if path:
                kind = Kind.METHOD if "()" in path else way.kind
                place = (way.line, way.column, way.end_column)
                told = one.path.count(".") + 1 if one.path else 0
                guard = guards.inside(way.guard, one.condition)
                yield Reference(module, path, *place, kind, guard, 0, way.call, one.sure, told)
        if meant:
            return


def _joined(one: Exported, steps: Sequence[str], file: FileFacts) -> tuple[str, str]:
    """The module and the path of what is read of a name, where the module may be one inside of a package."""
    module, path = one.module, [*one.path.split("."), *steps] if one.path else list(steps)
    known = SUBMODULES | {imported.module for imported in file.imports}
    while path and f"{module}.{path[0]}" in known:
        module = f"{module}.{path.pop(0)}"
    return module, ".".join(path)


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
