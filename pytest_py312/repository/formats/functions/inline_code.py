"""Read the Python in templates of AWS SAM and CloudFormation: ``InlineCode``, ``ZipFile``. Never raises."""

import re
from collections.abc import Iterator

from pytest_py312.repository.formats.commands.python_commands import PythonCommand
from pytest_py312.repository.formats.yaml import (
    YamlNode,
    YamlScalar,
    child_of,
    first_document,
    line_of_scalar,
    pairs_of,
    scalar_text,
)

_KEY = re.compile(r"^[ \t]{0,60}(?:InlineCode|ZipFile):", re.MULTILINE)
_PYTHON = re.compile(r"python3(?:\.\d+)?", re.ASCII)


def has_inline_code(text: str) -> bool:
    """Return whether it may be a template with code, which no other reader has to parse for that."""
    return _KEY.search(text) is not None


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
    return _PYTHON.fullmatch(scalar_text(runtime)) is not None
