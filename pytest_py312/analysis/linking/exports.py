"""What dotted names that begin with a file of the service stand for: names of the library that others made known."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pytest_py312.analysis.linking.import_effects import Find, Imported, run_before
from pytest_py312.analysis.scanner.evaluation.scan_state import result_of
from pytest_py312.analysis.scanner.evaluation.values import STD, Value
from pytest_py312.analysis.scanner.facts.facts import Condition, Exported, FileFacts, Patch
from pytest_py312.analysis.scanner.facts.stdlib_names import SUBMODULES

DEEPEST = 8
"""Files that a name is followed through."""
MOST_MEANINGS = 8
GIVE_ALWAYS = frozenset({"getLogger"})
"""Functions that give the same, whatever they are called with."""
Known = Callable[[Condition, FileFacts], Condition]
"""A condition of a file with what other files say of the flags in it."""
Replaced = frozenset[tuple[str, str]]
"""Names that were set by others than the file they lie in, by the path of that."""


class Meaning(NamedTuple):
    """A module of the library, and a path in it; the first ``told`` steps of that somebody else has named."""

    module: str
    path: str
    told: int
    condition: Condition
    sure: bool


class Names:
    """What names of the files of a service mean to others."""

    def __init__(self, files: Sequence[FileFacts], find: Find, known: Known) -> None:
        self._leading = _leading(one for facts in files for one in facts.exported)
        self._find = find
        self._known = known
        self._exports: dict[str, dict[str, list[Exported]]] = {}
        self._modules: dict[str, frozenset[str]] = {}
        self._found: dict[tuple[str, str, Replaced, int], tuple[Meaning, ...]] = {}

    def meanings(self, name: str, beside: FileFacts, replaced: Replaced = frozenset()) -> tuple[Meaning, ...]:
        """All that a dotted name (with its leading dots) in the file ``beside`` may stand for."""
        if self._leading.isdisjoint(_steps(name)):
            return ()  # as most are, of what is the service's own
        return self._known_meanings(name, beside, replaced, DEEPEST)

    def _known_meanings(self, name: str, beside: FileFacts, replaced: Replaced, left: int) -> tuple[Meaning, ...]:
        asked = (name, beside.path, replaced, left)  # else, names that are one of eight cost eight times eight times...
        found = self._found.get(asked)
        if found is None:
            found = self._found[asked] = tuple(self._meanings(name, beside, replaced, left))[:MOST_MEANINGS]
        return found

    def set_by(self, files: Sequence[FileFacts], imported: Mapping[str, Sequence[Imported]]) -> dict[str, Replaced]:
        """Which names of others are set by a file itself, or by those that run before it; by its path."""
        setting = {facts.path: facts for facts in files if facts.replaced}
        if not setting:
            return {}
        own = {
            path: frozenset(one for name in facts.replaced for one in self._owners(facts, name))
            for path, facts in setting.items()
        }
        before = run_before(files, setting, imported, self._find)
        return {path: frozenset().union(*[own[one.path] for one in found]) for path, found in before.items()}

    def patches(self, facts: FileFacts) -> Iterator[Patch]:
        """What a file sets of the library by a name of another file: ``compat.inspect.getargspec = ...``"""
        for name in facts.replaced:
            for meaning in self.meanings(name, facts):
                if meaning.path and "()" not in meaning.path and len(meaning.path.split(".")) > meaning.told:
                    yield Patch(meaning.module, meaning.path)

    def _owners(self, beside: FileFacts, name: str) -> Iterator[tuple[str, str]]:
        """The files that a name may be set in, and what it is called there (and ``""``: something is set in it)."""
        for file, steps, _ in self._ways(name, beside):
            yield file.path, ".".join(steps)
            yield file.path, ""

    def _ways(self, name: str, beside: FileFacts) -> Iterator[tuple[FileFacts, Sequence[str], str]]:
        """The files that a dotted name may begin with, the steps that are left, and the module of the first of them."""
        parts = name.lstrip(".").split(".")
        dots = name[: len(name) - len(name.lstrip("."))]
        for count in range(0 if dots else 1, len(parts)):
            file = self._find(dots + ".".join(parts[:count]), beside.path)
            if file is not None:
                yield file, parts[count:], dots + ".".join(parts[: count + 1])

    def _meanings(self, name: str, beside: FileFacts, replaced: Replaced, left: int) -> Iterator[Meaning]:
        for file, steps, inner in self._ways(name, beside):
            if (file.path, "") in replaced and any(
                (file.path, ".".join(steps[:count])) in replaced for count in range(1, len(steps) + 1)
            ):
                continue
            found, rest = self._exported(file, steps)
            if found and self._find(inner, beside.path) is not None:
                # a module inside of the package takes the place of what the package calls so, once it is imported
                if any(not one.elsewhere for one in found):
                    return
                continue
            for one in found:
                yield from self._of_one(one, rest, file, replaced, left)
            if found:
                return

    def _of_one(
        self, one: Exported, steps: Sequence[str], file: FileFacts, replaced: Replaced, left: int
    ) -> Iterator[Meaning]:
        condition = self._known(one.condition, file)
        if not one.elsewhere:
            module, path = self._in_module(one, steps, file)
            if module and not (module.startswith("unittest.mock") and "()" in path):
                yield Meaning(module, path, one.path.count(".") + 1 if one.path else 0, condition, one.sure)
        elif left:
            name = ".".join([one.module, *steps]) if one.module.strip(".") else one.module + ".".join(steps)
            for further in self._known_meanings(name, file, replaced, left - 1):
                both = tuple(filter(None, (condition, further.condition)))
                yield further._replace(
                    condition=("and", *both) if len(both) > 1 else both[0] if both else (),
                    sure=one.sure and further.sure,
                )

    def _in_module(self, one: Exported, steps: Sequence[str], file: FileFacts) -> tuple[str, str]:
        """The module and the path of what is read of a name, where the module may be one inside of a package."""
        module, path = one.module, [*one.path.split("."), *steps] if one.path else list(steps)
        known = self._modules.get(file.path)
        if known is None:
            known = self._modules[file.path] = SUBMODULES | {imported.module for imported in file.imports}
        while path and f"{module}.{path[0]}" in known:
            module = f"{module}.{path.pop(0)}"
        return module, ".".join(path)

    def _exported(self, file: FileFacts, steps: Sequence[str]) -> tuple[Sequence[Exported], Sequence[str]]:
        """What the first steps of a name are in a file, and the steps that are left."""
        by_name = self._exports.get(file.path)
        if by_name is None:
            by_name = self._exports[file.path] = {}
            for one in file.exported:
                if one.elsewhere and self._leading.isdisjoint(_steps(one.module)):
                    continue
                by_name.setdefault(one.name, []).append(one)
        first, rest = steps[0], steps[1:]
        found = by_name.get(first)
        if found is not None:
            return found, rest
        if rest:  # of a class, or of an instance of it
            found = by_name.get(f"{first}.{rest[0]}") or by_name.get(f"{first.removesuffix('()')}.{rest[0]}")
        if found is not None:
            return found, rest[1:]
        called = by_name.get(first.removesuffix("()"), ()) if first.endswith("()") else ()
        return [_called(one) for one in called], rest


def _steps(name: str) -> list[str]:
    return name.replace("()", "").split(".")


def _leading(exported: Iterable[Exported]) -> set[str]:
    """The names that lead to something of the library, by way of whatever files."""
    found: set[str] = set()
    open_ones: list[tuple[str, list[str]]] = []
    for one in exported:
        first = one.name.partition(".")[0].removesuffix("()")
        if one.elsewhere:
            open_ones.append((first, _steps(one.module)))
        else:
            found.add(first)
    for _ in range(DEEPEST):
        left = []
        for first, steps in open_ones:
            if found.isdisjoint(steps):
                left.append((first, steps))
            else:
                found.add(first)
        if len(left) == len(open_ones):
            break
        open_ones = left
    return found


def _called(one: Exported) -> Exported:
    """What a call of it gives."""
    if one.elsewhere:
        return one._replace(module=f"{one.module}()")
    last = one.path.rpartition(".")[2]
    if not (last[:1].isupper() or last in GIVE_ALWAYS):
        return one._replace(module="")  # what a function gives may hang on its arguments
    given = result_of(Value(STD, one.module, one.path))
    return one._replace(module=given.module, path=given.path)
