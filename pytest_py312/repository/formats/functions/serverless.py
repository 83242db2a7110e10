"""Read what builds Python functions: templates of AWS, and files of the Serverless Framework. Never raises.

https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification.html,
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-lambda-function.html,
https://www.serverless.com/framework/docs/providers/aws/guide/serverless.yml and
https://www.serverless.com/plugins/serverless-python-requirements
"""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import AWS_LAMBDA
from pytest_py312.repository.formats.commands.python_commands import PythonCommand
from pytest_py312.repository.formats.text_positions import blank_jinja, without_jinja_ending
from pytest_py312.repository.formats.yaml import (
    YamlNode,
    YamlScalar,
    child_of,
    first_document,
    items_of,
    line_of_scalar,
    pairs_of,
    scalar_text,
)

FUNCTION_LIMIT = 200
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_CODE_KEYS = {"AWS::Serverless::Function": "CodeUri", "AWS::Lambda::Function": "Code"}
"""Types of functions, and their keys with the folder of the code."""
LAMBDA_CODE = "/var/task"
"""Where AWS Lambda has the code of a function."""
LAYER_CODE = "/opt/python"
"""Where AWS Lambda has the modules of layers."""
_PLUGIN = "serverless-python-requirements"


_LAYER_ARN = re.compile(r"arn:[^\s]{0,300}:layer:(?P<name>[^:\s]{1,200})(?::[^:\s]{1,100})?")
_CODE_KEY = re.compile(r"^[ \t]{0,60}(?:InlineCode|ZipFile):", re.MULTILINE)
_PYTHON_RUNTIME = re.compile(r"python3(?:\.\d+)?", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltFolder:
    """A folder (relative to the root) whose requirements a build installs into ``target`` with pip.

    ``line`` says so, of another file if there is a ``path``. ``file_name`` is its requirements file. With
    ``reads_projects``, a project of Poetry or Pipenv in the folder is exported instead.
    """

    folder: str
    line: int
    target: str
    path: str = ""
    file_name: str = "requirements.txt"
    reads_projects: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerlessFunction:
    """A Python function: the folder of its code, the module of its handler, and what is built for it.

    ``line`` names its Python, or ``runtime`` does, a constant in another file. ``platform`` is one of ``PLATFORMS``,
    empty for another one. ``layers`` are the folders, relative to the root, whose content its layers put on the path
    of imports.
    """

    folder: str
    module: str = ""
    builds: tuple[BuiltFolder, ...] = ()
    line: int = 1
    platform: str = AWS_LAMBDA
    layers: tuple[str, ...] = ()
    runtime: Location | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionLayer:
    """A layer of a function: what is built for it, and the folder with its modules, relative to the root."""

    build: BuiltFolder
    modules: str


def is_serverless_file(name: str) -> bool:
    """Return whether a file may define functions, by its name; Jinja may make it."""
    return without_jinja_ending(name).endswith((".yml", ".yaml"))


def read_serverless(
    text: str, path: str, parameters: Mapping[str, Sequence[FunctionLayer]] | None = None
) -> tuple[ServerlessFunction, ...]:
    """Return the Python functions that a file defines; nothing for invalid YAML. ``path`` is the file's path.

    :param parameters: the layers that a stack around it hands on, by the parameters of the template; those of other
        stacks by their names.
    """
    is_framework = posixpath.basename(path).startswith("serverless") and "provider" in text
    if not is_framework and not any(word in text for word in _CODE_KEYS):
        return ()
    if without_jinja_ending(path) != path:
        text = blank_jinja(text)
    root = first_document(text)
    reader = _Reader(text=text, folder=posixpath.dirname(path), parameters=parameters or {})
    functions = reader.sam_functions(root) if child_of(root, "Resources") is not None else reader.functions(root)
    return tuple(function for function, _ in zip(functions, range(FUNCTION_LIMIT), strict=False))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reader:
    text: str
    folder: str
    parameters: Mapping[str, Sequence[FunctionLayer]]

    def sam_functions(self, root: YamlNode | None) -> Iterator[ServerlessFunction]:
        defaults = child_of(child_of(root, "Globals"), "Function")
        resources = dict(_members(child_of(root, "Resources")))
        for resource in resources.values():
            properties = child_of(resource, "Properties")
            code_key = _CODE_KEYS.get(scalar_text(child_of(resource, "Type")))
            if code_key is None:
                continue
            globals_ = defaults if code_key == "CodeUri" else None

            def value(
                key: str, own: YamlNode | None = properties, defaults: YamlNode | None = globals_
            ) -> YamlNode | None:
                return child_of(own, key) or child_of(defaults, key)

            code = value(code_key)
            is_image = scalar_text(value("PackageType")) == "Image"
            folder = code_folder(scalar_text(code), self.folder) if isinstance(code, YamlScalar) else ""
            is_beside = code is None and code_key == "CodeUri" and value("InlineCode") is None
            if is_beside:  # the place of the archive is added at the release
                folder = self.folder or "."
            if is_image or not folder or not scalar_text(value("Runtime")).startswith("python"):
                continue
            layers = tuple(self._layers(value("Layers"), resources))
            own_build = BuiltFolder(folder=folder, line=self._line(code), target=LAMBDA_CODE)
            yield ServerlessFunction(
                folder=folder,
                module=handler_module(scalar_text(value("Handler"))),
                builds=(*(() if is_beside else (own_build,)), *(layer.build for layer in layers)),
                line=self._line(value("Runtime")),
                layers=tuple(layer.modules for layer in layers),
            )

    def _layers(self, layers: YamlNode | None, resources: Mapping[str, YamlNode]) -> Iterator[FunctionLayer]:
        """Yield the layers of the same template, those that its parameters hand on, and those of other stacks."""
        for name in [scalar_text(item) for item in items_of(layers)] or [scalar_text(layers)]:
            arn = _LAYER_ARN.fullmatch(name)
            layer = read_layer(resources[name], self.text, self.folder) if name in resources else None
            yield from self.parameters.get(arn["name"] if arn else name, ()) if layer is None else (layer,)

    def functions(self, root: YamlNode | None) -> Iterator[ServerlessFunction]:
        provider = child_of(root, "provider")
        platform = AWS_LAMBDA if scalar_text(child_of(provider, "name") or provider) == "aws" else ""
        runtime = scalar_text(child_of(provider, "runtime"))
        names = [scalar_text(item) for item in items_of(child_of(root, "plugins"))]
        settings = child_of(child_of(root, "custom"), "pythonRequirements")
        file_name = scalar_text(child_of(settings, "fileName")) or "requirements.txt"
        for _, node in _members(child_of(root, "functions")):
            own_runtime = child_of(node, "runtime")
            is_image = child_of(node, "image") is not None
            if is_image or not (scalar_text(own_runtime) or runtime).startswith("python"):
                continue
            module = child_of(node, "module")
            folder = code_folder(scalar_text(module) or ".", self.folder)
            handler = child_of(node, "handler")
            build = BuiltFolder(
                folder=folder,
                line=self._line(module or handler or node),
                target=LAMBDA_CODE,
                file_name=file_name,
                reads_projects=not scalar_text(module),
            )
            yield ServerlessFunction(
                folder=folder,
                module=handler_module(scalar_text(handler)),
                builds=(build,) if folder and _PLUGIN in names else (),
                line=self._line(own_runtime or child_of(provider, "runtime")),
                platform=platform,
            )

    def _line(self, node: YamlNode | None) -> int:
        return self.text.count("\n", 0, node.start) + 1 if node is not None else 1


def read_layer(resource: YamlNode, text: str, folder: str, path: str = "") -> FunctionLayer | None:
    """Return the layer that a resource of a template in ``folder`` describes; ``None`` if it is none of Python.

    One without a method of building is copied as it is, with its modules in ``python``. If there are requirements
    beside these, something has installed them before. ``path`` is that of a template other than the function's.
    """
    content = child_of(child_of(resource, "Properties"), "ContentUri")
    method = scalar_text(child_of(child_of(resource, "Metadata"), "BuildMethod"))
    place = code_folder(scalar_text(content), folder) if isinstance(content, YamlScalar) else ""
    if content is None or not place or (method and not method.startswith("python")):
        return None
    line = text.count("\n", 0, content.start) + 1
    build = BuiltFolder(folder=place, line=line, target=LAYER_CODE, path=path)
    return FunctionLayer(build=build, modules=place if method else posixpath.join(place, "python"))


def _members(node: YamlNode | None) -> Iterator[tuple[str, YamlNode]]:
    for name, value in pairs_of(node):
        yield scalar_text(name), value


def code_folder(text: str, folder: str) -> str:
    """Return a path that a file in ``folder`` names, relative to the root; empty for one not in the repository."""
    if not text or "://" in text or "$" in text or text.startswith("/") or "\0" in text:
        return ""
    path = posixpath.normpath(posixpath.join(folder, text))
    return "" if path == ".." or path.startswith("../") else path


def handler_module(handler: str) -> str:
    """Return the module of ``folder/file.function``; empty if it names none."""
    module = handler.rpartition(".")[0].removeprefix("./").replace("/", ".")
    return module if _MODULE.fullmatch(module) else ""


def has_inline_code(text: str) -> bool:
    """Return whether it may be a template with code, which no other reader has to parse for that."""
    return _CODE_KEY.search(text) is not None


def read_inline_code(text: str) -> Iterator[PythonCommand]:
    """Yield the code of the functions of a template whose runtime is Python 3."""
    document = first_document(text)
    of_all = child_of(child_of(child_of(document, "Globals"), "Function"), "Runtime")
    for _, resource in pairs_of(child_of(document, "Resources")):
        properties = child_of(resource, "Properties")
        code = child_of(properties, "InlineCode") or child_of(child_of(properties, "Code"), "ZipFile")
        if isinstance(code, YamlScalar) and _is_python(child_of(properties, "Runtime") or of_all):
            yield PythonCommand(line=line_of_scalar(text, code), column=1, code=code.value)


def _is_python(runtime: YamlNode | None) -> bool:
    return _PYTHON_RUNTIME.fullmatch(scalar_text(runtime)) is not None
