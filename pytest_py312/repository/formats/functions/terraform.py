"""Read the Python functions of AWS Lambda and Google Cloud in Terraform's files: text in, functions out. Never raises.

https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/lambda_function,
https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/lambda_layer_version,
https://registry.terraform.io/providers/hashicorp/google/latest/docs/resources/cloudfunctions2_function,
https://registry.terraform.io/providers/hashicorp/archive/latest/docs/data-sources/file,
https://registry.terraform.io/modules/terraform-aws-modules/lambda/aws and
https://registry.terraform.io/modules/terraform-google-modules/event-function/google

A block ends with the first line that begins with its brace, as ``terraform fmt`` writes it. Of expressions, variables
with a default or a value of a module's call, locals and attributes of archives and their objects are evaluated.
"""

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from pytest_py312.core.model.fleet import AWS_LAMBDA, GOOGLE_FUNCTIONS
from pytest_py312.repository.formats.functions.serverless import (
    FUNCTION_LIMIT,
    LAMBDA_CODE,
    LAYER_CODE,
    BuiltFolder,
    FunctionLayer,
    ServerlessFunction,
    code_folder,
    handler_module,
)

LINE_LIMIT = 20_000
REFERENCE_DEPTH = 3
"""How many references may follow each other."""
MODULE_DEPTH = 3
"""How many modules of the repository may call each other."""
CALL_LIMIT = 500
"""Maximum number of calls of modules of the repository that are read."""
LIST_LIMIT = 50
"""Maximum number of lines of a list."""
VALUE_LIMIT = 1_000
"""Maximum length of the text of an attribute that is evaluated: a longer one stays unknown."""
_OPENING = re.compile(r'(?P<kind>resource|data|module|variable|locals)((?:\s+"[\w.-]+"){0,2})\s*\{\s*(?:#.*)?')
_ATTRIBUTE = re.compile(r"\s+(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>\S.*)")
_STRING = re.compile(r'"[^"]*"')
_FILE_CONTENT = re.compile(r'file\(\s*"(?P<path>[^"]*)"\s*\)')
_COMMENT = re.compile(r"\s(?:#|//).*")
_REFERENCE = re.compile(r"\$\{\s*([\w.-]+)\s*\}|^([A-Za-z_][\w-]*(?:\.[\w-]+)+)$", re.ASCII)
_FUNCTION_TYPES = frozenset({
    "aws_lambda_function", "google_cloudfunctions_function", "google_cloudfunctions2_function",
})  # fmt: skip
_GOOGLE_RUNTIME = re.compile(r"python3\d{1,2}", re.ASCII)
"""A runtime of Google Cloud, ``python311``; those of AWS Lambda have a dot."""
_SOURCE_FOLDERS = ("source_path", "source_dir", "source_directory")
"""Arguments of modules that name the folder of the code."""
_ARCHIVES = ("filename", "s3_key", "source_archive_object", "object")
"""Arguments of functions that name the archive of the code: its path, or its object in a bucket."""
_OBJECTS = {
    "google_storage_bucket_object": ("name", "output_name"),
    "aws_s3_object": ("key", "id"),
    "aws_s3_bucket_object": ("key", "id"),
}
"""Types of objects in buckets, and their attributes that identify one."""
_LAYER_TYPE = "aws_lambda_layer_version"
_LAYER = re.compile(rf"\b((?:module|{_LAYER_TYPE})\.[\w-]+)\.", re.ASCII)
"""The address of a layer, in an attribute of it."""
_MODULE_FOLDER = re.compile(r"\$\{\s*path\.(?:module|root|cwd)\s*\}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Value:
    text: str
    path: str = ""
    line: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class _Block:
    """A block of one file: its labels and its attributes."""

    path: str
    kind: str
    labels: tuple[str, ...]
    attributes: dict[str, _Value] = field(default_factory=dict)

    @property
    def is_function(self) -> bool:
        return self.kind == "module" or not _FUNCTION_TYPES.isdisjoint(self.labels[:1])

    @property
    def is_layer(self) -> bool:
        return "layer_name" in self.attributes and (self.kind == "module" or self.labels[:1] == (_LAYER_TYPE,))

    @property
    def address(self) -> str:
        """By what other blocks refer to a module or a resource."""
        return ".".join(("module", *self.labels) if self.kind == "module" else self.labels)

    def value(self, name: str, values: Mapping[str, _Value]) -> _Value:
        """Return the value of an attribute, empty if there is none."""
        return _evaluated(self.attributes.get(name, _Value(text="")), values)


def read_terraform(
    texts: Mapping[str, str], is_file: Callable[[str], bool]
) -> Iterator[tuple[str, ServerlessFunction]]:
    """Yield the functions that files define, by their paths, each with the file that names its Python.

    The files of one folder are a module; one may call another with values.

    :param is_file: whether a path of the repository is a file: an archive that no file packs may be beside its code.
    """
    modules: dict[str, list[_Block]] = {}
    for path, text in texts.items():
        modules.setdefault(posixpath.dirname(path) or ".", []).extend(_blocks(text, path))
    reader = _Reader(modules=modules, is_file=is_file)
    for folder in modules:
        yield from reader.functions(folder, {}, {}, MODULE_DEPTH)


@dataclass(kw_only=True, slots=True)
class _Reader:
    modules: Mapping[str, Sequence[_Block]]
    is_file: Callable[[str], bool]
    calls: int = 0

    def functions(
        self, folder: str, given: Mapping[str, _Value], outer_layers: Mapping[str, FunctionLayer], depth: int
    ) -> Iterator[tuple[str, ServerlessFunction]]:
        """Yield the functions of a module that is called with the values ``given``, and of those that it calls.

        :param outer_layers: those of the module that calls it, by their addresses there.
        """
        blocks = self.modules[folder]
        values: dict[str, _Value] = {**given}
        for _ in range(REFERENCE_DEPTH):  # a local may refer to another one
            values |= {name: value for block in blocks for name, value in _values(block, values)}
            values |= given
        layers = {**outer_layers, **_layers_by_address(blocks, values)}
        read = 0
        for block in blocks:
            called = code_folder(block.value("source", values).text, folder) if block.kind == "module" else ""
            inner: list[tuple[str, ServerlessFunction]] = []
            if called in self.modules and called != folder and depth and self.calls < CALL_LIMIT:
                self.calls += 1
                arguments = {f"var.{name}": block.value(name, values) for name in block.attributes}
                inner = list(self.functions(called, arguments, layers, depth - 1))
            is_function = block.is_function and "runtime" in block.attributes and not block.is_layer
            if not inner and is_function and read < FUNCTION_LIMIT:
                read += 1
                inner = list(self._function(block, values, layers))
            yield from inner

    def _function(
        self, block: _Block, values: Mapping[str, _Value], layers_by_address: Mapping[str, FunctionLayer]
    ) -> Iterator[tuple[str, ServerlessFunction]]:
        runtime, source = block.value("runtime", values), _source_of(block, values)
        folder = code_folder(source.text, posixpath.dirname(source.path))
        folder = posixpath.dirname(folder) or "." if folder.endswith(".py") else folder
        if not source.text:
            folder = _folder_of_archive(block, values, self.is_file)
        if not folder or not runtime.text.startswith("python"):
            return
        is_google = _GOOGLE_RUNTIME.fullmatch(runtime.text) is not None
        handler = block.value("handler", values).text
        if is_google:
            handler = (block.value("GOOGLE_FUNCTION_SOURCE", values).text or "main.py").removesuffix("py")
        build = BuiltFolder(folder=folder, line=runtime.line, target="" if is_google else LAMBDA_CODE)
        addresses = dict.fromkeys(_LAYER.findall(block.value("layers", values).text))
        layers = [layers_by_address[address] for address in addresses if address in layers_by_address]
        function = ServerlessFunction(
            folder=folder,
            module=handler_module(handler),
            builds=(build, *(layer.build for layer in layers)),
            line=runtime.line,
            platform=GOOGLE_FUNCTIONS if is_google else AWS_LAMBDA,
            layers=tuple(layer.modules for layer in layers),
        )
        yield runtime.path, function


def _source_of(block: _Block, values: Mapping[str, _Value]) -> _Value:
    """Return the folder or the file of a function's code, as it is written; empty if it is not known."""
    if block.kind == "module":
        sources = (block.value(name, values) for name in _SOURCE_FOLDERS)
    else:
        archives = (block.value(name, values).text for name in _ARCHIVES)
        sources = (values[f"archive {archive}"] for archive in archives if f"archive {archive}" in values)
    return next((source for source in sources if source.text), _Value(text=""))


def _layers_by_address(blocks: Sequence[_Block], values: Mapping[str, _Value]) -> dict[str, FunctionLayer]:
    """Return the layers of a module. What they pack has its modules in ``python``, unless all is put into it."""
    layers = {}
    for block in blocks:
        source = _source_of(block, values) if block.is_layer else _Value(text="")
        if folder := code_folder(source.text, posixpath.dirname(source.path)):
            is_python = block.value("prefix_in_zip", values).text == "python"
            build = BuiltFolder(folder=folder, line=source.line, target=LAYER_CODE, path=source.path)
            modules = folder if is_python else posixpath.join(folder, "python")
            layers[block.address] = FunctionLayer(build=build, modules=modules)
    return layers


def _folder_of_archive(block: _Block, values: Mapping[str, _Value], is_file: Callable[[str], bool]) -> str:
    """Return the folder of an archive, ``lambda/registrar/code.zip``, if the module of the handler is in it too."""
    archive = code_folder(block.value("filename", values).text, posixpath.dirname(block.path))
    module = handler_module(block.value("handler", values).text)
    folder = posixpath.dirname(archive)
    is_beside = folder and module and is_file(f"{folder}/{module.replace('.', '/')}.py")
    return folder if is_beside else ""


def _blocks(text: str, path: str) -> Iterator[_Block]:
    block: _Block | None = None
    lines = text.splitlines()[:LINE_LIMIT]
    for number, line in enumerate(lines, start=1):
        opening = _OPENING.fullmatch(line) if block is None else None
        attribute = _ATTRIBUTE.match(line) if block is not None else None
        if opening is not None:
            block = _Block(path=path, kind=opening["kind"], labels=tuple(re.findall(r'"([^"]+)"', opening[2])))
        elif block is not None and line.startswith("}"):
            yield block
            block = None
        elif block is not None and attribute is not None:
            string = _STRING.match(attribute["value"])
            value = string[0] if string is not None else _COMMENT.sub("", attribute["value"]).strip()
            if value == "[":
                value = _list_at(lines[number : number + LIST_LIMIT])
            if len(value) <= VALUE_LIMIT:
                block.attributes.setdefault(attribute["name"], _Value(text=value, path=path, line=number))


def _list_at(lines: Sequence[str]) -> str:
    """Return a list, of which ``lines`` follow the first bracket, as one line."""
    content = takewhile(lambda line: not line.lstrip().startswith("]"), lines)
    return f"[{' '.join(_COMMENT.sub('', line).strip() for line in content)}]"


def _values(block: _Block, values: Mapping[str, _Value]) -> Iterator[tuple[str, _Value]]:
    """Yield what references stand for, and the source of an archive under its address, its path and its objects."""
    if block.kind == "variable" and block.labels:
        yield f"var.{block.labels[0]}", block.value("default", {})
    elif block.kind == "locals":
        yield from ((f"local.{name}", block.value(name, values)) for name in block.attributes)
    elif block.labels[:1] == ("archive_file",) and len(block.labels) > 1:
        source = next(filter(lambda value: value.text, _archive_sources(block, values)), _Value(text=""))
        address = ".".join(("data", *block.labels, "output_path")[block.kind == "resource" :])
        yield address, replace(source, text=address)
        yield f"archive {address}", source
        yield f"archive {block.value('output_path', values).text}", source
    elif len(block.labels) > 1 and block.labels[0] in _OBJECTS:
        packed = values.get(f"archive {block.value('source', values).text}", _Value(text=""))
        yield from ((f"archive {'.'.join(block.labels)}.{name}", packed) for name in _OBJECTS[block.labels[0]])


def _archive_sources(block: _Block, values: Mapping[str, _Value]) -> Iterator[_Value]:
    """Yield what an archive packs: a folder, a file, or the file whose content a block ``source`` in it names."""
    yield block.value("source_dir", values)
    yield block.value("source_file", values)
    content = block.attributes.get("content", _Value(text=""))
    match = _FILE_CONTENT.fullmatch(content.text)
    yield _evaluated(replace(content, text=match["path"]), values) if match else _Value(text="")


def _evaluated(value: _Value, values: Mapping[str, _Value]) -> _Value:
    """Return a value with its references replaced; what is not known is left in it.

    One that is a reference as a whole is where that is defined.
    """
    if value.text.startswith("["):
        items = (item.strip(" []") for item in value.text.split(","))
        evaluated = ", ".join(_evaluated(replace(value, text=item), values).text for item in items)
        return replace(value, text=f"[{evaluated}]"[:VALUE_LIMIT])
    text = _MODULE_FOLDER.sub(".", value.text.strip('"'))
    whole = _REFERENCE.fullmatch(text)
    if whole is not None:
        return values.get(whole[1] or whole[2], replace(value, text=text))
    replaced = _REFERENCE.sub(lambda match: values[match[1]].text if match[1] in values else match[0], text)
    # references to references to references would multiply the length each time
    return replace(value, text=replaced if len(replaced) <= VALUE_LIMIT else text)
