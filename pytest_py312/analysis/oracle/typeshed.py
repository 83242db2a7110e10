"""Answer queries about the standard library from typeshed's stubs.

Typeshed is used for two purposes: to look up what a function returns (``stub_returns``), and instead of an interpreter
that is not installed (:func:`answer_from_typeshed`). It drops a release some months after its end of life and describes
public names only. What it does not describe is answered with ``None``.
"""

import ast
import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from pytest_py312.analysis.scanner.evaluation.names import has_decorator
from pytest_py312.analysis.scanner.facts.stdlib_queries import InterpreterAnswers, Signature, StdlibAnswer, StdlibQuery

if TYPE_CHECKING:
    import typeshed_client

Function = ast.FunctionDef | ast.AsyncFunctionDef

ABSTRACT_TYPE_MODULES = frozenset({"typing", "typing_extensions", "_typeshed", "collections.abc", "types"})
"""Types of these modules describe an interface; they do not name the class of a value."""
MAX_DEPTH = 12


class NotDescribed(Exception):
    """Typeshed does not describe it. ``str()`` is the reason, as a sentence."""


class ResultNotDeclared(NotDescribed):
    """It exists, but typeshed does not declare what it returns."""


class AbsentFromTypeshed(Exception):
    """According to typeshed it does not exist. ``str()`` is the reason, as a sentence."""


@dataclass(frozen=True, kw_only=True)
class StubDefinition:
    """A definition in a stub. ``node`` is ``None`` for a module; ``is_instance`` is true for an instance of a class."""

    module: str
    name: str = ""
    node: Any = None
    children: "Mapping[str, typeshed_client.NameInfo] | None" = None
    is_instance: bool = False

    @property
    def is_class(self) -> bool:
        return isinstance(self.node, ast.ClassDef) and not self.is_instance


@cache
def version() -> str:
    """Return the version of the stubs; empty if they are not installed."""
    try:
        return importlib.metadata.version("typeshed_client")
    except importlib.metadata.PackageNotFoundError:
        return ""


def answer_from_typeshed(queries: Iterable[StdlibQuery], release: tuple[int, int]) -> InterpreterAnswers:
    """Answer queries about ``release`` (such as ``(3, 14)``) instead of an interpreter.

    :raises NotDescribed: typeshed is not installed.
    """
    if not version():
        raise NotDescribed("the package typeshed_client, which would answer instead, is not installed")
    stubs = stubs_for(release)
    answers = {query: stubs.answer(query) for query in sorted(set(queries))}
    return InterpreterAnswers(origin=f"typeshed {version()}", version=release, answers=answers)


@cache
def stubs_for(release: tuple[int, int]) -> "_ReleaseStubs":
    """Return the stubs for one release."""
    return _ReleaseStubs(release)


class _ReleaseStubs:
    """The stubs of typeshed for one release. They are read on demand."""

    def __init__(self, release: tuple[int, int]) -> None:
        import typeshed_client

        self._release = release
        # no search path: installed packages and local files are not part of the standard library
        self._context = typeshed_client.get_search_context(version=release, search_path=[])
        self._resolver = typeshed_client.Resolver(self._context)

    @cached_property
    def _module_releases(self) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
        """Module -> first and last release that has it."""
        ranges = {}
        for line in (self._context.typeshed / "VERSIONS").read_text(encoding="utf-8").splitlines():
            name, _, span = line.partition("#")[0].partition(":")
            first, _, last = span.strip().partition("-")
            if span:
                ranges[name.strip()] = (_parse_release(first), _parse_release(last) or (99,))
        return ranges

    # ---- answers

    def answer(self, query: StdlibQuery) -> StdlibAnswer:
        try:
            definitions = self._resolve_path(query.module, _parse_path(query.path))
        except AbsentFromTypeshed as reason:
            return StdlibAnswer(present=False, reason=str(reason))
        except (NotDescribed, RecursionError) as reason:
            return StdlibAnswer(present=None, reason=str(reason))
        definition = definitions[0]
        if len(definitions) > 1 or definition.is_instance:
            return StdlibAnswer(present=True)
        return StdlibAnswer(
            present=True,
            warning=_deprecation_text(definition.node),
            signature=self._signature(definition),
            members=self._members(definition),
            is_class=definition.is_class,
            warns_when_called=bool(_deprecation_text(definition.node)),
        )

    def _members(self, definition: StubDefinition) -> tuple[str, ...] | None:
        if definition.node is None:
            module = self._resolver.get_module(_module_path(definition.module))
            dunder_all = module.get_dunder_all(self._resolver) if "__all__" in module.names else None
            return tuple(dunder_all or sorted(name for name, info in module.names.items() if info.is_exported))
        if definition.is_class:
            names = {name for parent in self._mro(definition) for name in parent.children or ()}
            return tuple(sorted(name for name in names if not name.startswith("_")))
        return None

    def _signature(self, definition: StubDefinition) -> Signature | None:
        if isinstance(definition.node, Function):
            return _signature(
                definition.node, bound="." in definition.name and not has_decorator(definition.node, "staticmethod")
            )
        if definition.is_class:
            for name in ("__init__", "__new__"):
                for parent in self._mro(definition):
                    constructor = (parent.children or {}).get(name)
                    if constructor is not None and parent.name != "object":
                        return (
                            _signature(constructor.ast, bound=True) if isinstance(constructor.ast, Function) else None
                        )
        return None

    # ---- names

    def returned_classes(self, query: StdlibQuery) -> tuple[list[StubDefinition], str]:
        """Return the classes whose instances the last call in a path returns, and the path after that call.

        The last step of the path is not considered. No classes are returned if that call is an instantiation: then
        there is nothing to translate.
        """
        steps = _parse_path(query.path)
        last = max(number for number, (_, called) in enumerate(steps[:-1]) if called)
        callees = self._resolve_path(query.module, [*steps[:last], (steps[last][0], False)])
        is_direct = not any(called for _, called in steps[:last])
        if is_direct and all(definition.is_class for definition in callees):
            return [], ""
        classes = [
            definition for definition in self._resolve_path(query.module, steps[: last + 1]) if definition.is_instance
        ]
        remaining_path = ".".join(f"{name}()" if called else name for name, called in steps[last + 1 :])
        return classes, remaining_path

    def _resolve_path(self, module: str, steps: Sequence[tuple[str, bool]]) -> list[StubDefinition]:
        definitions = [self._module(module)]
        for number, (name, called) in enumerate(steps):
            definitions = [self._member(definition, name) for definition in definitions]
            last = number == len(steps) - 1
            if called:
                definitions = [result for definition in definitions for result in self._call_results(definition)]
            elif not last:
                definitions = [result for definition in definitions for result in self._attribute_values(definition)]
            if not definitions:
                raise ResultNotDeclared(f"the type that {name} returns is not declared")
        return definitions

    def _module(self, name: str) -> StubDefinition:
        if self._resolver.get_module(_module_path(name)).exists:
            return StubDefinition(module=name)
        first, last = self._module_releases.get(name, self._module_releases.get(name.split(".")[0], ((99,), (0,))))
        if first != (99,) and not first <= self._release <= last:
            raise AbsentFromTypeshed(f"typeshed has no module {name} for Python {self._release[0]}.{self._release[1]}")
        raise NotDescribed(f"typeshed does not describe the module {name}")

    def _member(self, definition: StubDefinition, name: str) -> StubDefinition:
        if definition.node is None:
            return self._module_member(definition.module, name)
        complete = True
        for parent in self._mro(definition):
            info = (parent.children or {}).get(name)
            if info is not None:
                return self._definition(parent.module, f"{parent.name}.{name}", info)
            complete = complete and "__getattr__" not in (parent.children or ())
        if name.startswith("_") or not complete or not isinstance(definition.node, ast.ClassDef):
            raise NotDescribed(f"typeshed does not say whether {definition.name} has {name}")
        raise AbsentFromTypeshed(f"typeshed has no {definition.name}.{name}")

    def _module_member(self, module: str, name: str) -> StubDefinition:
        stub = self._resolver.get_module(_module_path(module))
        resolved = stub.get_name(name, self._resolver)
        # typeshed declares os.path as a variable
        may_be_module = resolved is None or isinstance(getattr(resolved, "ast", None), ast.Assign)
        if may_be_module and self._resolver.get_module(_module_path(f"{module}.{name}")).exists:
            return StubDefinition(module=f"{module}.{name}")
        if resolved is None:
            if name.startswith("_") or "__getattr__" in stub.names:
                raise NotDescribed(f"typeshed does not say whether {module} has {name}")
            raise AbsentFromTypeshed(f"typeshed has no {module}.{name}")
        return self._definition(module, name, resolved)

    def _definition(self, module: str, name: str, resolved: Any) -> StubDefinition:
        import typeshed_client

        if isinstance(resolved, typeshed_client.resolver.ImportedInfo):
            module, resolved = ".".join(resolved.source_module), resolved.info
            name = resolved.name
        if isinstance(resolved, typeshed_client.NameInfo):
            return StubDefinition(module=module, name=name, node=resolved.ast, children=resolved.child_nodes)
        if isinstance(resolved, tuple):
            return StubDefinition(module=".".join(str(part) for part in resolved))
        raise NotDescribed(f"typeshed is ambiguous about {module}.{name}")

    def _mro(self, definition: StubDefinition, depth: int = 0) -> Iterator[StubDefinition]:
        """Yield a class and its bases, approximately in the order of attribute lookup."""
        yield definition
        if not isinstance(definition.node, ast.ClassDef) or depth > MAX_DEPTH:
            return
        for base in definition.node.bases:
            for parent in self._annotation_classes(definition.module, base):
                yield from self._mro(parent, depth + 1)
        if depth == 0:
            yield self._module_member("builtins", "object")

    # ---- values

    def _call_results(self, definition: StubDefinition) -> list[StubDefinition]:
        if definition.is_class:
            return [_instance_of(definition)]
        node = definition.node
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):  # an alias of a function
            return self._call_results(self._module_member(definition.module, node.value.id))
        if isinstance(node, ast.FunctionDef):
            return self._annotated_instances(definition, node.returns)
        overloads = getattr(node, "definitions", None)
        if overloads and all(isinstance(item, ast.FunctionDef) for item in overloads):
            return [result for item in overloads for result in self._annotated_instances(definition, item.returns)]
        raise ResultNotDeclared(f"the type that {definition.name}() returns is not declared")

    def _attribute_values(self, definition: StubDefinition) -> list[StubDefinition]:
        """Return the values of an attribute whose own attributes are looked up next."""
        node = definition.node
        if definition.is_class or node is None:
            return [definition]
        if isinstance(node, ast.AnnAssign):
            return self._annotated_instances(definition, node.annotation)
        if isinstance(node, ast.FunctionDef) and has_decorator(node, "property"):
            return self._annotated_instances(definition, node.returns)
        raise ResultNotDeclared(f"the type of {definition.name} is not declared")

    def _annotated_instances(self, definition: StubDefinition, annotation: ast.expr | None) -> list[StubDefinition]:
        if annotation is None:
            raise ResultNotDeclared(f"the type that {definition.name} returns is not declared")
        if isinstance(annotation, ast.Name) and annotation.id == "Self" and "." in definition.name:
            return [_instance_of(self._module_member(definition.module, definition.name.split(".")[0]))]
        classes = self._annotation_classes(definition.module, annotation)
        if any(
            class_definition.module in ABSTRACT_TYPE_MODULES or not class_definition.is_class
            for class_definition in classes
        ):
            raise ResultNotDeclared(f"the type that {definition.name} returns is an interface, not a class")
        return [_instance_of(class_definition) for class_definition in classes]

    def _annotation_classes(self, module: str, annotation: ast.expr, depth: int = 0) -> list[StubDefinition]:
        """Return the classes that an annotation or a base class names, without ``None``."""
        if depth > MAX_DEPTH:
            raise NotDescribed("the annotation is nested too deep")
        if isinstance(annotation, ast.Constant) and annotation.value is None:
            return []
        if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
            sides = (annotation.left, annotation.right)
            return [definition for side in sides for definition in self._annotation_classes(module, side, depth + 1)]
        if isinstance(annotation, ast.Subscript):
            return self._annotation_classes(module, annotation.value, depth + 1)
        if isinstance(annotation, ast.Name):
            try:
                definition = self._module_member(module, annotation.id)
            except AbsentFromTypeshed:
                definition = self._module_member("builtins", annotation.id)
            aliased = isinstance(definition.node, ast.AnnAssign | ast.Assign) and definition.node.value
            if isinstance(aliased, ast.Call):  # a type variable stands for its bound
                aliased = next((keyword.value for keyword in aliased.keywords if keyword.arg == "bound"), None)
            if isinstance(aliased, ast.Name | ast.Attribute | ast.BinOp | ast.Subscript):
                return self._annotation_classes(definition.module, aliased, depth + 1)
            return [definition]
        if isinstance(annotation, ast.Attribute) and isinstance(annotation.value, ast.Name):
            return [self._member(self._module_member(module, annotation.value.id), annotation.attr)]
        raise NotDescribed("the annotation does not name a class")


def _instance_of(definition: StubDefinition) -> StubDefinition:
    return replace(definition, is_instance=True)


def _parse_path(path: str) -> list[tuple[str, bool]]:
    parts = path.split(".") if path else []
    steps = [(part.removesuffix("()"), part.endswith("()")) for part in parts]
    if len(steps) > MAX_DEPTH or not all(name.isidentifier() for name, _ in steps):
        raise NotDescribed("it is not a path of names")
    return steps


def _module_path(module: str) -> "typeshed_client.ModulePath":
    import typeshed_client

    return typeshed_client.ModulePath(tuple(module.split(".")))


def _parse_release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.strip().split(".") if part.isdigit())


def _deprecation_text(node: Any) -> str:
    """Return the message of ``@deprecated`` on a function or class."""
    for decorator in getattr(node, "decorator_list", ()):
        if (
            isinstance(decorator, ast.Call)
            and isinstance(decorator.func, ast.Name)
            and decorator.func.id == "deprecated"
        ):
            message = decorator.args[0] if decorator.args else None
            return str(message.value) if isinstance(message, ast.Constant) else "it is deprecated"
    return ""


def _signature(node: Function, *, bound: bool) -> Signature:
    arguments = node.args
    positional_only = [argument.arg for argument in arguments.posonlyargs]
    by_name = [argument.arg for argument in arguments.args]
    # older stubs mark positional-only parameters by names like __x
    positional_only += [name for name in by_name if name.startswith("__") and not name.endswith("__")]
    by_name = [name for name in by_name if name not in positional_only]
    positional = [*positional_only, *by_name]
    count = len(arguments.defaults)
    keyword_only = [argument.arg for argument in arguments.kwonlyargs]
    optional = set(positional[len(positional) - count :])
    optional |= {name for name, default in zip(keyword_only, arguments.kw_defaults, strict=True) if default is not None}
    if bound and positional:
        by_name = [name for name in by_name if name != positional[0]]
        del positional[0]
    return Signature(
        positional=tuple(positional),
        keywords=(*by_name, *keyword_only),
        any_positional=arguments.vararg is not None,
        any_keyword=arguments.kwarg is not None,
        required=tuple([name for name in (*positional, *keyword_only) if name not in optional]),
    )
