"""Read what builds Python functions: templates of AWS SAM, and files of the Serverless Framework. Never raises.

https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification.html,
https://www.serverless.com/framework/docs/providers/aws/guide/serverless.yml and
https://www.serverless.com/plugins/serverless-python-requirements
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_py312.repository.formats.yaml import (
    InvalidYaml,
    YamlMapping,
    YamlNode,
    YamlScalar,
    YamlSequence,
    child_of,
    parse_documents,
    scalar_text,
)

FUNCTION_LIMIT = 200
_FILE = re.compile(r"(?:template|sam|serverless)(?:[._-][\w.-]*)?\.ya?ml", re.ASCII)
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_PLUGIN = "serverless-python-requirements"


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltFolder:
    """A folder (relative to the root) whose requirements a build installs into ``target`` with pip.

    ``line`` says so. ``file_name`` is its requirements file. With ``reads_projects``, a project of Poetry or Pipenv in
    the folder is exported instead.
    """

    folder: str
    line: int
    target: str
    file_name: str = "requirements.txt"
    reads_projects: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerlessFunction:
    """A Python function: the folder of its code, the module of its handler, and what is built for it."""

    folder: str
    module: str = ""
    builds: tuple[BuiltFolder, ...] = ()


def is_serverless_file(name: str) -> bool:
    """Return whether a file may define functions, by its name."""
    return _FILE.fullmatch(name) is not None


def read_serverless(text: str, path: str) -> tuple[ServerlessFunction, ...]:
    """Return the Python functions that a file defines; nothing for invalid YAML. ``path`` is the file's path."""
    if "AWS::Serverless" not in text and "provider" not in text:
        return ()
    try:
        documents = parse_documents(text)
    except InvalidYaml:
        return ()
    root = documents[0] if documents else None
    reader = _Reader(text=text, folder=posixpath.dirname(path))
    functions = reader.sam_functions(root) if child_of(root, "Resources") is not None else reader.functions(root)
    return tuple(function for function, _ in zip(functions, range(FUNCTION_LIMIT), strict=False))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reader:
    text: str
    folder: str

    def sam_functions(self, root: YamlNode | None) -> Iterator[ServerlessFunction]:
        defaults = child_of(child_of(root, "Globals"), "Function")
        resources = dict(_members(child_of(root, "Resources")))
        for resource in resources.values():
            properties = child_of(resource, "Properties")
            if scalar_text(child_of(resource, "Type")) != "AWS::Serverless::Function":
                continue

            def value(key: str, own: YamlNode | None = properties) -> YamlNode | None:
                return child_of(own, key) or child_of(defaults, key)

            code = value("CodeUri")
            is_image = scalar_text(value("PackageType")) == "Image"
            folder = self._path(scalar_text(code)) if isinstance(code, YamlScalar) else ""
            if is_image or not folder or not scalar_text(value("Runtime")).startswith("python"):
                continue
            builds = [BuiltFolder(folder=folder, line=self._line(code), target="/var/task")]
            layers = value("Layers")
            for name in layers.items if isinstance(layers, YamlSequence) else []:
                builds += self._layer(resources.get(scalar_text(name)))
            yield ServerlessFunction(folder=folder, module=_module(scalar_text(value("Handler"))), builds=tuple(builds))

    def _layer(self, resource: YamlNode | None) -> Iterator[BuiltFolder]:
        """Yield what a layer of the same template builds."""
        content = child_of(child_of(resource, "Properties"), "ContentUri")
        method = scalar_text(child_of(child_of(resource, "Metadata"), "BuildMethod"))
        folder = self._path(scalar_text(content)) if isinstance(content, YamlScalar) else ""
        if folder and method.startswith("python"):
            yield BuiltFolder(folder=folder, line=self._line(content), target="/opt/python")

    def functions(self, root: YamlNode | None) -> Iterator[ServerlessFunction]:
        runtime = scalar_text(child_of(child_of(root, "provider"), "runtime"))
        plugins = child_of(root, "plugins")
        names = [scalar_text(item) for item in plugins.items] if isinstance(plugins, YamlSequence) else []
        settings = child_of(child_of(root, "custom"), "pythonRequirements")
        file_name = scalar_text(child_of(settings, "fileName")) or "requirements.txt"
        for _, node in _members(child_of(root, "functions")):
            if not (scalar_text(child_of(node, "runtime")) or runtime).startswith("python"):
                continue
            module = child_of(node, "module")
            folder = self._path(scalar_text(module) or ".")
            handler = child_of(node, "handler")
            build = BuiltFolder(
                folder=folder,
                line=self._line(module or handler or node),
                target="/var/task",
                file_name=file_name,
                reads_projects=not scalar_text(module),
            )
            yield ServerlessFunction(
                folder=folder,
                module=_module(scalar_text(handler)),
                builds=(build,) if folder and _PLUGIN in names else (),
            )

    def _path(self, text: str) -> str:
        """Return a folder relative to the root; empty for one that is not in the repository."""
        if not text or "://" in text or "${" in text or text.startswith("/") or "\0" in text:
            return ""
        path = posixpath.normpath(posixpath.join(self.folder, text))
        return "" if path == ".." or path.startswith("../") else path

    def _line(self, node: YamlNode | None) -> int:
        return self.text.count("\n", 0, node.start) + 1 if node is not None else 1


def _members(node: YamlNode | None) -> Iterator[tuple[str, YamlNode]]:
    for name, value in node.pairs if isinstance(node, YamlMapping) else []:
        yield scalar_text(name), value


def _module(handler: str) -> str:
    """Return the module of ``folder/file.function``."""
    module = handler.rpartition(".")[0].removeprefix("./").replace("/", ".")
    return module if _MODULE.fullmatch(module) else ""
