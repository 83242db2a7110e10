"""Read the Python functions of AWS Lambda and Google Cloud in Terraform's files: text in, functions out. Never raises.

https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/lambda_function,
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

from pytest_py312.core.model.fleet import AWS_LAMBDA, GOOGLE_FUNCTIONS
from pytest_py312.repository.formats.functions.serverless import (
    FUNCTION_LIMIT,
    LAMBDA_CODE,
    BuiltFolder,
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
        yield from reader.functions(folder, {}, MODULE_DEPTH)


@dataclass(kw_only=True, slots=True)
class _Reader:
    modules: Mapping[str, Sequence[_Block]]
    is_file: Callable[[str], bool]
    calls: int = 0

    def functions(
        self, folder: str, given: Mapping[str, _Value], depth: int
    ) -> Iterator[tuple[str, ServerlessFunction]]:
        """Yield the functions of a module that is called with the values ``given``, and of those that it calls."""
        blocks = self.modules[folder]
        values: dict[str, _Value] = {**given}
        for _ in range(REFERENCE_DEPTH):  # a local may refer to another one
            values |= {name: value for block in blocks for name, value in _values(block, values)}
            values |= given
        read = 0
        for block in blocks:
            called = code_folder(block.value("source", values).text, folder) if block.kind == "module" else ""
            inner: list[tuple[str, ServerlessFunction]] = []
            if called in self.modules and called != folder and depth and self.calls < CALL_LIMIT:
                self.calls += 1
                arguments = {f"var.{name}": block.value(name, values) for name in block.attributes}
                inner = list(self.functions(called, arguments, depth - 1))
            if not inner and "runtime" in block.attributes and block.is_function and read < FUNCTION_LIMIT:
                read += 1
                inner = list(self._function(block, values))
            yield from inner

    def _function(self, block: _Block, values: Mapping[str, _Value]) -> Iterator[tuple[str, ServerlessFunction]]:
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
        function = ServerlessFunction(
            folder=folder,
            module=handler_module(handler),
            builds=(build,),
            line=runtime.line,
            platform=GOOGLE_FUNCTIONS if is_google else AWS_LAMBDA,
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


def _folder_of_archive(block: _Block, values: Mapping[str, _Value], is_file: Callable[[str], bool]) -> str:
    """Return the folder of an archive, ``lambda/registrar/code.zip``, if the module of the handler is in it too."""
    archive = code_folder(block.value("filename", values).text, posixpath.dirname(block.path))
    module = handler_module(block.value("handler", values).text)
    folder = posixpath.dirname(archive)
    is_beside = folder and module and is_file(f"{folder}/{module.replace('.', '/')}.py")
    return folder if is_beside else ""


def _blocks(text: str, path: str) -> Iterator[_Block]:
    block: _Block | None = None
    for number, line in enumerate(text.splitlines()[:LINE_LIMIT], start=1):
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
            if len(value) <= VALUE_LIMIT:
                block.attributes.setdefault(attribute["name"], _Value(text=value, path=path, line=number))


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
    text = _MODULE_FOLDER.sub(".", value.text.strip('"'))
    whole = _REFERENCE.fullmatch(text)
    if whole is not None:
        return values.get(whole[1] or whole[2], replace(value, text=text))
    replaced = _REFERENCE.sub(lambda match: values[match[1]].text if match[1] in values else match[0], text)
    # references to references to references would multiply the length each time
    return replace(value, text=replaced if len(replaced) <= VALUE_LIMIT else text)
