"""What typeshed says of the standard library: the second-best witness.

It is asked for two things that an interpreter cannot tell: what a function gives (``stub_results``), and what is in the
library of an interpreter that this machine does not have (:func:`testimony`). It forgets a release some months after
that release's end of life, and knows public names only; what it does not know is answered with ``None``.
"""

import ast
import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from pytest_py312.analysis.scanner.facts.stdlib_queries import Answer, Question, Signature, Testimony

if TYPE_CHECKING:
    import typeshed_client

Function = ast.FunctionDef | ast.AsyncFunctionDef

NOT_INSTANCES = frozenset({"typing", "typing_extensions", "_typeshed", "collections.abc", "types"})
"""An annotation with a class of these says what can be done with a value, not what it is."""
DEEPEST = 12


class Unknown(Exception):
    """Typeshed does not say. ``str()`` is a sentence."""


class Undeclared(Unknown):
    """It is there, and typeshed does not say what it gives."""


class Absent(Exception):
    """Typeshed says that there is no such thing. ``str()`` is a sentence."""


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Something a stub declares. ``node`` is ``None`` for a module; ``instance`` is true for an instance of a class."""

    module: str
    name: str = ""
    node: Any = None
    children: "Mapping[str, typeshed_client.NameInfo] | None" = None
    instance: bool = False

    @property
    def is_class(self) -> bool:
        return isinstance(self.node, ast.ClassDef) and not self.instance


@cache
def version() -> str:
    """The version of the data, empty where it is not installed."""
    try:
        return importlib.metadata.version("typeshed_client")
    except importlib.metadata.PackageNotFoundError:
        return ""


def testimony(questions: Iterable[Question], release: tuple[int, int]) -> Testimony:
    """What typeshed says of ``release`` (3.14: ``(3, 14)``) in the place of an interpreter.

    :raises Unknown: typeshed is not installed.
    """
    if not version():
        raise Unknown("the package typeshed_client, which would answer in its place, is not installed")
    stubs = stubs_of(release)
    answers = {question: stubs.answer(question) for question in sorted(set(questions))}
    return Testimony(origin=f"typeshed {version()}", version=release, answers=answers, asked_itself=False)


@cache
def stubs_of(release: tuple[int, int]) -> "_Release":
    """The stubs as they are for one release, read when they are asked for."""
    return _Release(release)


class _Release:
    """Typeshed's stubs as they are for one release."""

    def __init__(self, release: tuple[int, int]) -> None:
        import typeshed_client

        self._release = release
        # no search path: what is installed here, or lies around, is no part of the standard library
        self._context = typeshed_client.get_search_context(version=release, search_path=[])
        self._resolver = typeshed_client.Resolver(self._context)

    @cached_property
    def _ranges(self) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
        """Module -> first and last release that has it."""
        found = {}
        for line in (self._context.typeshed / "VERSIONS").read_text(encoding="utf-8").splitlines():
            name, _, span = line.partition("#")[0].partition(":")
            first, _, last = span.strip().partition("-")
            if span:
                found[name.strip()] = (_release(first), _release(last) or (99,))
        return found

    # ---- answers

    def answer(self, question: Question) -> Answer:
        try:
            things = self._follow(question.module, _steps(question.path))
        except Absent as reason:
            return Answer(present=False, reason=str(reason))
        except (Unknown, RecursionError) as reason:
            return Answer(present=None, reason=str(reason))
        thing = things[0]
        if len(things) > 1 or thing.instance:
            return Answer(present=True)
        where = f"{thing.module}.{thing.name}" if thing.name else thing.module
        members = self._members(thing)
        return Answer(
            present=True,
            warning=_deprecation(thing.node),
            signature=self._signature(thing),
            members=members,
            is_class=thing.is_class,
            defined=where,
            when_called=bool(_deprecation(thing.node)),
        )

    def _members(self, thing: Thing) -> tuple[str, ...] | None:
        if thing.node is None:
            module = self._resolver.get_module(_path(thing.module))
            stated = module.get_dunder_all(self._resolver) if "__all__" in module.names else None
            return tuple(stated or sorted(name for name, info in module.names.items() if info.is_exported))
        if thing.is_class:
            names = {name for parent in self._mro(thing) for name in parent.children or ()}
            return tuple(sorted(name for name in names if not name.startswith("_")))
        return None

    def _signature(self, thing: Thing) -> Signature | None:
        if isinstance(thing.node, Function):
            return _signature(thing.node, bound="." in thing.name and not _has(thing.node, "staticmethod"))
        if thing.is_class:
            for name in ("__init__", "__new__"):
                for parent in self._mro(thing):
                    made = (parent.children or {}).get(name)
                    if made is not None and parent.name != "object":
                        return _signature(made.ast, bound=True) if isinstance(made.ast, Function) else None
        return None

    # ---- names

    def instances(self, question: Question) -> tuple[list[Thing], str]:
        """The classes of which the last call in a path (but one) gives an instance, and the path behind it.

        None where that call is of a class by its name: then there is nothing to translate.
        """
        steps = _steps(question.path)
        last = max(number for number, (_, called) in enumerate(steps[:-1]) if called)
        before = self._follow(question.module, [*steps[:last], (steps[last][0], False)])
        plain = not any(called for _, called in steps[:last])
        if plain and all(thing.is_class for thing in before):
            return [], ""
        classes = [thing for thing in self._follow(question.module, steps[: last + 1]) if thing.instance]
        rest = ".".join(f"{name}()" if called else name for name, called in steps[last + 1 :])
        return classes, rest

    def _follow(self, module: str, steps: Sequence[tuple[str, bool]]) -> list[Thing]:
        things = [self._module(module)]
        for number, (name, called) in enumerate(steps):
            things = [self._member(thing, name) for thing in things]
            last = number == len(steps) - 1
            if called:
                things = [made for thing in things for made in self._called(thing)]
            elif not last:
                things = [made for thing in things for made in self._read(thing)]
            if not things:
                raise Undeclared(f"what {name} gives is declared nowhere")
        return things

    def _module(self, name: str) -> Thing:
        if self._resolver.get_module(_path(name)).exists:
            return Thing(module=name)
        first, last = self._ranges.get(name, self._ranges.get(name.split(".")[0], ((99,), (0,))))
        if first != (99,) and not first <= self._release <= last:
            raise Absent(f"typeshed has no module {name} for Python {self._release[0]}.{self._release[1]}")
        raise Unknown(f"typeshed does not describe the module {name}")

    def _member(self, thing: Thing, name: str) -> Thing:
        if thing.node is None:
            return self._of_module(thing.module, name)
        complete = True
        for parent in self._mro(thing):
            info = (parent.children or {}).get(name)
            if info is not None:
                return self._thing(parent.module, f"{parent.name}.{name}", info)
            complete = complete and "__getattr__" not in (parent.children or ())
        if name.startswith("_") or not complete or not isinstance(thing.node, ast.ClassDef):
            raise Unknown(f"typeshed does not say whether {thing.name} has {name}")
        raise Absent(f"typeshed has no {thing.name}.{name}")

    def _of_module(self, module: str, name: str) -> Thing:
        known = self._resolver.get_module(_path(module))
        found = known.get_name(name, self._resolver)
        # os.path is said to be a variable
        perhaps = found is None or isinstance(getattr(found, "ast", None), ast.Assign)
        if perhaps and self._resolver.get_module(_path(f"{module}.{name}")).exists:
            return Thing(module=f"{module}.{name}")
        if found is None:
            if name.startswith("_") or "__getattr__" in known.names:
                raise Unknown(f"typeshed does not say whether {module} has {name}")
            raise Absent(f"typeshed has no {module}.{name}")
        return self._thing(module, name, found)

    def _thing(self, module: str, name: str, found: Any) -> Thing:
        import typeshed_client

        if isinstance(found, typeshed_client.resolver.ImportedInfo):
            module, found = ".".join(found.source_module), found.info
            name = found.name
        if isinstance(found, typeshed_client.NameInfo):
            return Thing(module=module, name=name, node=found.ast, children=found.child_nodes)
        if isinstance(found, tuple):
            return Thing(module=".".join(str(part) for part in found))
        raise Unknown(f"typeshed is not clear about {module}.{name}")

    def _mro(self, thing: Thing, depth: int = 0) -> Iterator[Thing]:
        """A class and its bases, in an order that is good enough to find names."""
        yield thing
        if not isinstance(thing.node, ast.ClassDef) or depth > DEEPEST:
            return
        for base in thing.node.bases:
            for parent in self._classes(thing.module, base):
                yield from self._mro(parent, depth + 1)
        if depth == 0:
            yield self._of_module("builtins", "object")

    # ---- values

    def _called(self, thing: Thing) -> list[Thing]:
        if thing.is_class:
            return [_instance(thing)]
        node = thing.node
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):  # a second name of a function
            return self._called(self._of_module(thing.module, node.value.id))
        if isinstance(node, ast.FunctionDef):
            return self._annotated(thing, node.returns)
        definitions = getattr(node, "definitions", None)
        if definitions and all(isinstance(item, ast.FunctionDef) for item in definitions):
            return [made for item in definitions for made in self._annotated(thing, item.returns)]
        raise Undeclared(f"what {thing.name}() gives is declared nowhere")

    def _read(self, thing: Thing) -> list[Thing]:
        """The things that an attribute is, when the path goes on behind it."""
        node = thing.node
        if thing.is_class or node is None:
            return [thing]
        if isinstance(node, ast.AnnAssign):
            return self._annotated(thing, node.annotation)
        if isinstance(node, ast.FunctionDef) and _has(node, "property"):
            return self._annotated(thing, node.returns)
        raise Undeclared(f"what {thing.name} is is declared nowhere")

    def _annotated(self, thing: Thing, annotation: ast.expr | None) -> list[Thing]:
        if annotation is None:
            raise Undeclared(f"what {thing.name} gives is declared nowhere")
        if isinstance(annotation, ast.Name) and annotation.id == "Self" and "." in thing.name:
            return [_instance(self._of_module(thing.module, thing.name.split(".")[0]))]
        classes = self._classes(thing.module, annotation)
        if any(found.module in NOT_INSTANCES or not found.is_class for found in classes):
            raise Undeclared(f"what {thing.name} gives is declared by what can be done with it")
        return [_instance(found) for found in classes]

    def _classes(self, module: str, annotation: ast.expr, depth: int = 0) -> list[Thing]:
        """The classes that an annotation, or a base of a class, names. ``None`` among them is left out."""
        if depth > DEEPEST:
            raise Unknown("the annotation is nested too deep")
        if isinstance(annotation, ast.Constant) and annotation.value is None:
            return []
        if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
            sides = (annotation.left, annotation.right)
            return [found for side in sides for found in self._classes(module, side, depth + 1)]
        if isinstance(annotation, ast.Subscript):
            return self._classes(module, annotation.value, depth + 1)
        if isinstance(annotation, ast.Name):
            try:
                found = self._of_module(module, annotation.id)
            except Absent:
                found = self._of_module("builtins", annotation.id)
            aliased = isinstance(found.node, ast.AnnAssign | ast.Assign) and found.node.value
            if isinstance(aliased, ast.Call):  # a type variable gives what it is bound to
                aliased = next((keyword.value for keyword in aliased.keywords if keyword.arg == "bound"), None)
            if isinstance(aliased, ast.Name | ast.Attribute | ast.BinOp | ast.Subscript):
                return self._classes(found.module, aliased, depth + 1)
            return [found]
        if isinstance(annotation, ast.Attribute) and isinstance(annotation.value, ast.Name):
            return [self._member(self._of_module(module, annotation.value.id), annotation.attr)]
        raise Unknown("the annotation names no class")


def _instance(thing: Thing) -> Thing:
    return Thing(module=thing.module, name=thing.name, node=thing.node, children=thing.children, instance=True)


def _steps(path: str) -> list[tuple[str, bool]]:
    parts = path.split(".") if path else []
    steps = [(part.removesuffix("()"), part.endswith("()")) for part in parts]
    if len(steps) > DEEPEST or not all(name.isidentifier() for name, _ in steps):
        raise Unknown("it is no path of names")
    return steps


def _path(module: str) -> "typeshed_client.ModulePath":
    import typeshed_client

    return typeshed_client.ModulePath(tuple(module.split(".")))


def _release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.strip().split(".") if part.isdigit())


def _has(node: Function, decorator: str) -> bool:
    return any(isinstance(found, ast.Name) and found.id == decorator for found in node.decorator_list)


def _deprecation(node: Any) -> str:
    """The text of ``@deprecated`` on a function or class."""
    for decorator in getattr(node, "decorator_list", ()):
        if (
            isinstance(decorator, ast.Call)
            and isinstance(decorator.func, ast.Name)
            and decorator.func.id == "deprecated"
        ):
            said = decorator.args[0] if decorator.args else None
            return str(said.value) if isinstance(said, ast.Constant) else "it is deprecated"
    return ""


def _signature(node: Function, *, bound: bool) -> Signature:
    arguments = node.args
    hidden = [argument.arg for argument in arguments.posonlyargs]
    named = [argument.arg for argument in arguments.args]
    # a name like __x says positional-only in stubs that are older than the sign for it
    hidden += [name for name in named if name.startswith("__") and not name.endswith("__")]
    named = [name for name in named if name not in hidden]
    positional = [*hidden, *named]
    count = len(arguments.defaults)
    alone = [argument.arg for argument in arguments.kwonlyargs]
    optional = set(positional[len(positional) - count :])
    optional |= {name for name, default in zip(alone, arguments.kw_defaults, strict=True) if default is not None}
    if bound and positional:
        named = [name for name in named if name != positional[0]]
        del positional[0]
    return Signature(
        positional=tuple(positional),
        keywords=(*named, *alone),
        any_positional=arguments.vararg is not None,
        any_keyword=arguments.kwarg is not None,
        required=tuple([name for name in (*positional, *alone) if name not in optional]),
    )
