"""Read the Python functions of AWS Lambda in programs of the AWS CDK, in Python or TypeScript: text in, functions out.

The text is not parsed: around each ``Runtime.PYTHON_3_9``, or a constant for one, the arguments or properties are read,
``entry`` or ``code``, ``index``, ``handler`` and ``layers``. A layer is defined in the same file, or is the only one of
its name in the application, by a class of the CDK or one of the repository's own; the folder of its code is the first
path among its arguments. Code may be packed by a function of the repository's own. Never raises.

https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.aws_lambda.Function.html and
https://docs.aws.amazon.com/cdk/api/v2/docs/@aws-cdk_aws-lambda-python-alpha.PythonFunction.html
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from types import MappingProxyType

from pytest_py312.core.model.findings import Location
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
from pytest_py312.repository.formats.text_positions import blanked

GROUP_LIMIT = 10_000
"""Characters on each side of a runtime in which the arguments of its function are searched."""
CONSTRUCT_LIMIT = 100
"""Constructs of layers of a program that are read."""
LAYER_LIMIT = 5
"""Layers of one function, as AWS Lambda has it."""
_LIBRARY = re.compile(r"aws[-_]cdk")
_RUNTIME = re.compile(r"\bRuntime\.PYTHON_3_\d{1,2}\b", re.ASCII)
_CONSTANT = re.compile(
    r"^[ \t]*(?:(?:export|const|let|var|public|private|protected|static|readonly)[ \t]+){0,4}(?P<name>[A-Za-z_]\w*)"
    r"[ \t]*(?::[ \t]*[\w.]{1,100}[ \t]*)?=\s*(?:\w{1,100}\.){0,3}Runtime\.PYTHON_3_\d{1,2}\b(?!\s*,)",
    re.ASCII | re.MULTILINE,
)
_RUNTIME_NAME = re.compile(r"\bruntime\s*[:=]\s*(?:\w{1,100}\.){0,3}(?P<name>[A-Za-z_]\w*)\b(?![.(])", re.ASCII)
_STRING = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`")
_COMMENT_OF_PYTHON = re.compile(rf"{_STRING.pattern}|#[^\n]*")
_COMMENT = re.compile(rf"{_STRING.pattern}|//[^\n]*|/\*.*?\*/", re.DOTALL)
_CODE = re.compile(r"\b(?:entry|code)\s*[=:]\s*")
_ASSET = re.compile(r"(?:[\w.]+\.)?\w{0,100}(?:[aA]sset|[bB]undle)\w{0,100}\(\s*")
_LAYERS = re.compile(r"\blayers\s*[=:]\s*\[")
_ADDS_LAYERS = re.compile(r"\.add_?[lL]ayers\(")
_LAYER_CONSTRUCT = re.compile(r"\bnew\s+[\w.]{0,100}Layer(?:Version)?\(|(?<![\w.])[\w.]{0,100}LayerVersion\(", re.ASCII)
_LAYER_CONSTANT = re.compile(
    r"(?<![\w$.])(?:this\.|self\.)?(?P<name>[A-Za-z_]\w*)[ \t]*(?::[^=\n]{1,100})?=\s*(?:new\s+)?"
    r"[\w.]{0,100}Layer(?:Version)?\(",
    re.ASCII,
)
_NAME = re.compile(r"(?:self\.|this\.)?(?P<name>[A-Za-z_]\w*)(?:\.\w+)*", re.ASCII)
_FOLDER_KEY = re.compile(r"\b(?:\w*[a-z_])?(?:entry|code|[dD]irectory|[dD]ir|[pP]ath|[fF]older)\s*[=:]\s*", re.ASCII)
_TEXT_VALUE = r"\s*[=:]\s*(?P<quote>[\"'])(?P<value>[\w./-]{1,200})(?P=quote)"
_HANDLER, _INDEX = (re.compile(rf"\b{name}{_TEXT_VALUE}", re.ASCII) for name in ("handler", "index"))
_WORKING_FOLDER = re.compile(r"(?:os\.getcwd|process\.cwd)\(\)")
_OWN_FOLDER = re.compile(
    r"(?:os\.path\.)?dirname\(\s*(?:os\.path\.(?:abspath|realpath)\()?__file__\s*\)?\s*\)|__dirname"
)
_OWN_FILE = re.compile(r"(?:pathlib\.)?Path\(\s*__file__\s*\)(?:\.(?:resolve|absolute)\(\))?")
_JOINING = re.compile(
    r"(?:os\.path\.|path\.|posixpath\.)?(?:join|resolve|abspath|normpath)\(|(?:pathlib\.)?Path\(|str\(|[\s(),/]"
)
_OPENING, _CLOSING = "([{", ")]}"


def read_cdk(
    text: str,
    path: str,
    app_folder: str,
    constants: Mapping[str, Location] = MappingProxyType({}),
    layers: Mapping[str, BuiltFolder] = MappingProxyType({}),
) -> tuple[ServerlessFunction, ...]:
    """Return the Python functions that a program defines whose code is in the repository.

    :param path: of the program, relative to the root.
    :param app_folder: where the program is run, the folder of its ``cdk.json``.
    :param constants: the names of runtimes of Python in the application, and where these are named.
    :param layers: the layers that the application gives a name, by these.
    """
    if not _LIBRARY.search(text):
        return ()
    functions = _functions(_without_comments(text, path), path, app_folder, constants, layers)
    return tuple(islice(functions, FUNCTION_LIMIT))


def read_runtime_constants(text: str, path: str) -> tuple[tuple[str, Location], ...]:
    """Return the names that a program gives to runtimes of Python: ``const RUNTIME = Runtime.PYTHON_3_11;``."""
    if not (_LIBRARY.search(text) and _RUNTIME.search(text)):
        return ()
    return _constants_in(_without_comments(text, path), path)


def read_layer_constants(text: str, path: str, app_folder: str) -> tuple[tuple[str, BuiltFolder], ...]:
    """Return the names that a program gives to layers: ``const shared = new LayerVersion(this, "Shared", {...});``.

    :param path, app_folder: as for :func:`read_cdk`.
    """
    if not (_LIBRARY.search(text) and "Layer" in text):
        return ()
    text = _without_comments(text, path)
    return tuple(
        (definition["name"], replace(layer, path=path))
        for definition in islice(_LAYER_CONSTANT.finditer(text), CONSTRUCT_LIMIT)
        for layer in islice(_content_of(definition, text, path, app_folder), 1)
    )


def _constants_in(text: str, path: str) -> tuple[tuple[str, Location], ...]:
    return tuple(
        (match["name"], Location(path=path, line=text.count("\n", 0, match.end()) + 1))
        for match in _CONSTANT.finditer(text)
    )


def _without_comments(text: str, path: str) -> str:
    return (_COMMENT_OF_PYTHON if path.endswith(".py") else _COMMENT).sub(_kept_string, text)


def read_added_layers(text: str, path: str, app_folder: str) -> tuple[FunctionLayer, ...]:
    """Return the layers that an aspect of a program adds to the functions of the whole application.

    Which of them it adds to which function is up to its code.
    https://docs.aws.amazon.com/cdk/v2/guide/aspects.html

    :param path, app_folder: as for :func:`read_cdk`.
    """
    if not (_LIBRARY.search(text) and _ADDS_LAYERS.search(text) and "IAspect" in text):
        return ()
    text = _without_comments(text, path)
    layers = (
        FunctionLayer(build=replace(layer, path=path), modules=modules)
        for construct in islice(_LAYER_CONSTRUCT.finditer(text), CONSTRUCT_LIMIT)
        for layer in islice(_content_of(construct, text, path, app_folder), 1)
        for modules in _modules_of_layer(layer)
    )
    return tuple(islice(layers, FUNCTION_LIMIT))


def _kept_string(match: re.Match[str]) -> str:
    """Return a match as it is if it is a string; of a comment, blanks."""
    return match[0] if match[0][0] in "'\"`" else blanked(match)


def _depth(text: str) -> int:
    blank = _STRING.sub("", text)
    return sum(blank.count(mark) for mark in _OPENING) - sum(blank.count(mark) for mark in _CLOSING)


def _functions(
    text: str, path: str, app_folder: str, constants: Mapping[str, Location], constant_layers: Mapping[str, BuiltFolder]
) -> Iterator[ServerlessFunction]:
    for position, constant in sorted(_runtimes(text, path, constants), key=lambda runtime: runtime[0]):
        arguments = _arguments_around(text, position)
        code = next((match for match in _CODE.finditer(arguments) if _depth(arguments[: match.start()]) == 0), None)
        folder, is_asset = _code(arguments, code.end(), path, app_folder) if code else ("", False)
        if not folder:
            continue
        line = text.count("\n", 0, position) + 1
        layers = list(islice(_layers(arguments, text, path, app_folder, constant_layers), LAYER_LIMIT))
        own = BuiltFolder(folder=folder, line=line, target=LAMBDA_CODE, reads_projects=not is_asset)
        yield ServerlessFunction(
            folder=folder,
            module=_module(arguments, is_built=not is_asset),
            builds=(own, *(layer for layer in layers if layer.reads_projects)),
            line=line,
            layers=tuple(modules for layer in layers for modules in _modules_of_layer(layer)),
            runtime=constant,
        )


def _runtimes(text: str, path: str, constants: Mapping[str, Location]) -> Iterator[tuple[int, Location | None]]:
    """Yield where functions have a runtime of Python, and the constant that it is, if it is one.

    A name that the file itself gives a value is no constant of another file.
    """
    yield from ((match.start(), None) for match in _RUNTIME.finditer(text))
    own = dict(_constants_in(text, path))
    for match in _RUNTIME_NAME.finditer(text):
        name = match["name"]
        is_local = re.search(rf"(?<![\w.]){name}[ \t]*(?::[^=\n]{{1,100}})?=(?![=>])", text) is not None
        place = own.get(name) if is_local else constants.get(name)
        if place is not None:
            yield match.start("name"), place


def _layers(
    arguments: str, text: str, path: str, app_folder: str, constants: Mapping[str, BuiltFolder]
) -> Iterator[BuiltFolder]:
    """Yield the folders of the layers of a function: of variables of the same file, or attributes of other objects."""
    start = next((match for match in _LAYERS.finditer(arguments) if _depth(arguments[: match.start()]) == 0), None)
    words = _first_argument(arguments, start.end() - 1)[1:-1].split(",") if start else []
    for word in dict.fromkeys(word.strip() for word in words):
        match = _NAME.fullmatch(word)
        if match is None:
            continue
        name, attribute = match["name"], word.rpartition(".")[2]
        definition = re.search(rf"(?<![\w$]){name}\s*(?::[^=\n]{{1,100}})?=\s*(?:new\s+)?[\w.]{{1,100}}\(", text)
        if definition is not None:
            yield from islice(_content_of(definition, text, path, app_folder), 1)
        elif "." in word and attribute in constants:
            yield constants[attribute]


def _content_of(construct: re.Match[str], text: str, path: str, app_folder: str) -> Iterator[BuiltFolder]:
    """Yield the folders that the arguments of a construct name, the match of whose start ends with the bracket."""
    content = _arguments_around(text, construct.end())
    line = text.count("\n", 0, construct.start()) + 1
    for key in _FOLDER_KEY.finditer(content):
        folder, is_asset = _code(content, key.end(), path, app_folder)
        if folder:
            yield BuiltFolder(folder=folder, line=line, target=LAYER_CODE, reads_projects=not is_asset)


def _code(arguments: str, start: int, path: str, app_folder: str) -> tuple[str, bool]:
    """Return the folder that an argument names, and whether it is an asset, which is packed as it is."""
    expression = _first_argument(arguments, start)
    asset = _ASSET.match(expression)
    return _folder(_first_argument(expression, asset.end()) if asset else expression, path, app_folder), bool(asset)


def _modules_of_layer(layer: BuiltFolder) -> tuple[str, ...]:
    """Return where a layer may have modules: what is copied as it is has them in ``python``."""
    if layer.reads_projects:
        return layer.folder, posixpath.join(layer.folder, "src")
    return (posixpath.join(layer.folder, "python"),)


def _module(arguments: str, *, is_built: bool) -> str:
    """Return the module of the handler: of a ``PythonFunction``, which is built, ``index`` names its file."""
    handler, index = _HANDLER.search(arguments), _INDEX.search(arguments)
    if is_built:
        return handler_module(f"{(index['value'] if index else 'index.py').removesuffix('.py')}.handler")
    return handler_module(handler["value"]) if handler else ""


def _arguments_around(text: str, position: int) -> str:
    """Return what is in the innermost brackets around a position, strings apart; empty without any."""
    offset, depth = max(0, position - GROUP_LIMIT), 0
    blank = _STRING.sub(blanked, text[offset : position + GROUP_LIMIT])
    for start in range(position - 1 - offset, -1, -1):
        depth += (blank[start] in _CLOSING) - (blank[start] in _OPENING)
        if depth < 0:
            break
    else:
        return ""
    end, depth = start + 1, 1
    while end < len(blank) and depth:
        depth += (blank[end] in _OPENING) - (blank[end] in _CLOSING)
        end += 1
    return text[offset + start + 1 : offset + end - 1]


def _first_argument(text: str, start: int) -> str:
    """Return an expression up to the comma or bracket that ends it."""
    blank = _STRING.sub(blanked, text)
    depth = 0
    for end in range(start, len(blank)):
        depth += (blank[end] in _OPENING) - (blank[end] in _CLOSING)
        if depth < 0 or (depth == 0 and blank[end] == ","):
            return text[start:end].strip()
    return text[start:].strip()


def _folder(expression: str, path: str, app_folder: str) -> str:
    """Return the folder that an expression names, relative to the root; empty for one that is computed otherwise."""
    base, remaining = app_folder, _WORKING_FOLDER.sub("", expression)
    if _OWN_FILE.search(remaining) or _OWN_FOLDER.search(remaining):
        base = posixpath.dirname(path) if _OWN_FOLDER.search(remaining) else path
        remaining = _OWN_FOLDER.sub("", _OWN_FILE.sub("", remaining))
        for _ in range(remaining.count(".parent")):
            base = posixpath.dirname(base)
        remaining = remaining.replace(".parent", "")
    parts = [match[0][1:-1] for match in _STRING.finditer(remaining)]
    if not parts or _JOINING.sub("", _STRING.sub("", remaining)):
        return ""
    return code_folder(posixpath.join(*parts), base or ".")
