"""Link the files of one service: inherited attributes and names that are defined in other files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_py312.analysis.linking.exports import NameResolver, ResolvedExport
from pytest_py312.analysis.linking.import_effects import (
    add_earlier_patches,
    apply_import_guards,
    import_targets,
    unguard_shared_functions,
)
from pytest_py312.analysis.scanner.evaluation.environment_tests import apply_predicate
from pytest_py312.analysis.scanner.facts.facts import (
    ClassDefinition,
    Condition,
    FileFacts,
    Guard,
    IndirectReference,
    InheritedAttribute,
    Reference,
    ReferenceKind,
)

MAX_CLASS_DEPTH = 12
UNKNOWN: Condition = ("unknown",)


class ModuleIndex:
    """Index of the files of a service by the names under which they may be imported."""

    def __init__(self, files: Sequence[FileFacts]) -> None:
        self._by_name: dict[str, list[FileFacts]] = {}
        self._packages = {facts.path.removesuffix("/__init__.py") for facts in files}
        self._cache: dict[tuple[str, str], FileFacts | None] = {}
        for facts in files:
            if facts.path.endswith(".py"):  # no module imports a script such as ``bin/manage``
                self._by_name.setdefault(_stem(facts.path).rpartition("/")[2], []).append(facts)

    def find(self, module: str, importing_path: str) -> FileFacts | None:
        """Return the file of ``module``. Leading dots count upwards from the folder of ``importing_path``."""
        cache_key = (module, importing_path)
        if cache_key not in self._cache:
            self._cache[cache_key] = self._find(module, importing_path)
        return self._cache[cache_key]

    def _find(self, module: str, importing_path: str) -> FileFacts | None:
        name = module.lstrip(".")
        level = len(module) - len(name)
        path = name.replace(".", "/")
        if level:
            folder = importing_path.split("/")[:-level]
            target_path = "/".join([*folder, path]) if path else "/".join(folder)
            return self._unique_match(target_path.rpartition("/")[2], target_path, exact=True)
        return self._unique_match(path.rpartition("/")[2], path, exact=False, importing_path=importing_path)

    def _unique_match(self, last: str, path: str, *, exact: bool, importing_path: str = "") -> FileFacts | None:
        matches = [facts for facts in self._by_name.get(last, ()) if _matches(_stem(facts.path), path, exact)]
        if len(matches) > 1:
            # prefer files that are not imported past their package
            matches = [
                candidate for candidate in matches if _import_root(_stem(candidate.path), path) not in self._packages
            ] or matches
        if len(matches) > 1:
            matches.sort(key=lambda facts: -_common_depth(facts.path, importing_path))
            if _common_depth(matches[0].path, importing_path) == _common_depth(matches[1].path, importing_path):
                return None
        return matches[0] if matches else None


def _stem(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__")


def _matches(stem: str, path: str, exact: bool) -> bool:
    return stem == path or (not exact and stem.endswith(f"/{path}"))


def _import_root(stem: str, path: str) -> str:
    """Return the folder from which a file is imported as ``path``."""
    return stem.removesuffix(path).removesuffix("/")


def _common_depth(first_path: str, second_path: str) -> int:
    count = 0
    for left, right in zip(first_path.split("/"), second_path.split("/"), strict=False):
        if left != right:
            break
        count += 1
    return count


def link_files(files: Sequence[FileFacts]) -> tuple[FileFacts, ...]:
    """Return ``files`` with references, guards and patches that they have through other files."""
    modules = ModuleIndex(files)
    flag_resolver = _FlagResolver(modules)
    names = NameResolver(files, modules.find, flag_resolver.resolve_flags)
    classes = {facts.path: {class_fact.name: class_fact for class_fact in facts.classes} for facts in files}
    imported = {facts.path: import_targets(facts, modules.find) for facts in files}
    reassigned_by_file = names.reassigned_names(files, imported)
    linked_files = []
    for facts in files:
        reassigned = reassigned_by_file.get(facts.path, frozenset())
        guards = _GuardTable(_resolve_guards(facts, flag_resolver, names))
        references = [
            reference
            for use in facts.inherited_attributes
            for reference in _inherited_references(use, facts, modules, classes)
        ]
        for indirect in facts.indirect_references:
            references += _indirect_references(indirect, names.resolve(indirect.name, facts, reassigned), guards)
        patches = tuple(names.find_patches(facts)) if facts.overwritten_names else ()
        all_guards = guards.combined()
        if references or patches or all_guards != facts.guards:
            facts = replace(
                facts, references=(*facts.references, *references), inherited_attributes=(), indirect_references=(),
                guards=all_guards, monkeypatches=(*facts.monkeypatches, *patches),
            )  # fmt: skip
        linked_files.append(facts)
    guarded = apply_import_guards(unguard_shared_functions(linked_files, imported), imported)
    return add_earlier_patches(guarded, imported, modules.find)


def _resolve_guards(facts: FileFacts, flag_resolver: "_FlagResolver", names: NameResolver) -> tuple[Guard, ...]:
    """Return the guards of a file with conditions on other files resolved."""
    guards = [guard._replace(condition=flag_resolver.resolve(guard.condition, facts, names)) for guard in facts.guards]
    return facts.guards if guards == list(facts.guards) else tuple(guards)


class _FlagResolver:
    """Resolver of conditions that depend on other files."""

    def __init__(self, modules: ModuleIndex) -> None:
        self._modules = modules

    def resolve_flags(self, condition: Condition, facts: FileFacts) -> Condition:
        """Resolve flags of other files."""
        return self.resolve(condition, facts, None)

    def resolve(self, condition: Condition, facts: FileFacts, names: NameResolver | None) -> Condition:
        """Resolve flags and, with ``names``, also names of other files."""
        kind = condition[0] if condition else ""
        if kind in ("not", "and", "or"):
            return (kind, *[self.resolve(part, facts, names) for part in condition[1:]])
        if kind == "imported has":
            return _has_condition(names.resolve(condition[1], facts)) if names is not None else UNKNOWN
        return self._resolve_flag(condition, facts) if kind == "imported" else condition

    def _resolve_flag(self, condition: Condition, facts: FileFacts) -> Condition:
        module, _, name = condition[1].rpartition(".")
        file = self._modules.find(module if module.strip(".") else f"{module}.", facts.path) if module else None
        flag = dict(file.flags).get(name) if file is not None else None
        if flag is not None and flag[0] == "asks":
            return (apply_predicate(flag, condition[2]) if len(condition) > 2 else None) or UNKNOWN
        return UNKNOWN if flag is None or _needs_third_file(flag) else flag


def _has_condition(resolved: Sequence[ResolvedExport]) -> Condition:
    """Return the condition under which ``hasattr`` on a resolved name is true."""
    only = resolved[0] if len(resolved) == 1 else None
    plain = only is not None and only.sure and not only.condition
    return ("has", only.module, only.path) if only is not None and plain else UNKNOWN


def _needs_third_file(condition: Condition) -> bool:
    """Return whether a condition depends on yet another file."""
    asks_others = condition[0] in ("imported", "imported has")
    return asks_others or any(isinstance(part, tuple) and part and _needs_third_file(part) for part in condition[1:])


class _GuardTable:
    """The guards of a file, and further guards nested inside of them."""

    def __init__(self, guards: tuple[Guard, ...]) -> None:
        self._guards = guards
        self._added: dict[Guard, int] = {}

    def add(self, parent: int, condition: Condition) -> int:
        if not condition:
            return parent
        return self._added.setdefault(Guard(parent, condition), len(self._guards) + len(self._added))

    def combined(self) -> tuple[Guard, ...]:
        return (*self._guards, *self._added) if self._added else self._guards


def _indirect_references(
    indirect: IndirectReference, resolved_names: Sequence[ResolvedExport], guards: _GuardTable
) -> Iterator[Reference]:
    """Yield the standard library references that the use of a name of another file stands for."""
    for resolved in resolved_names:
        if resolved.path:
            is_named = resolved.path.count(".") + 1 == resolved.named_steps  # its own file reports the name itself
            kind = ReferenceKind.ALIAS if is_named else ReferenceKind.METHOD if "()" in resolved.path else indirect.kind
            position = (indirect.line, indirect.column, indirect.end_column)
            guard = guards.add(indirect.guard, resolved.condition)
            sure = indirect.sure and resolved.sure
            yield Reference(
                resolved.module, resolved.path, *position, kind, guard, 0, indirect.call, sure, resolved.named_steps
            )


def _inherited_references(
    use: InheritedAttribute,
    facts: FileFacts,
    modules: ModuleIndex,
    classes: Mapping[str, Mapping[str, ClassDefinition]],
) -> Iterator[Reference]:
    owner = classes[facts.path].get(use.owner)
    if owner is None:
        return
    bases: list[tuple[str, str]] = []
    complete = True
    pending = [(facts, owner)]
    seen = 0
    while pending and seen < MAX_CLASS_DEPTH:
        current_file, current_class = pending.pop(0)
        if seen and (use.name in current_class.members or (use.on_instance and "__getattr__" in current_class.members)):
            return
        seen += 1
        for module, name in current_class.bases:
            if module:
                bases.append((module, name))
                continue
            base_class = _class_of(name, current_file, modules, classes)
            if base_class is None:
                complete = False
            else:
                pending.append(base_class)
    for module, path in bases:
        path = f"{path}{'()' if use.on_instance else ''}.{use.name}"
        yield Reference(
            module, path, use.line, use.column, use.end_column, ReferenceKind.METHOD, use.guard, 0, use.call, complete
        )  # fmt: skip


def _class_of(
    name: str, importing_file: FileFacts, modules: ModuleIndex, classes: Mapping[str, Mapping[str, ClassDefinition]]
) -> tuple[FileFacts, ClassDefinition] | None:
    if name.startswith(":"):
        own_class = classes[importing_file.path].get(name[1:])
        return (importing_file, own_class) if own_class is not None else None
    module, dot, last = name.rpartition(".")
    if dot and not module.strip("."):
        module += "."
    file = modules.find(module, importing_file.path) if module else None
    class_fact = classes[file.path].get(last) if file is not None else None
    return (file, class_fact) if file is not None and class_fact is not None else None
