"""The rule about the truth of XML elements, and which values are elements.

In a file that reads XML, the result of ``find`` on an unknown value is an element if it is later used as one.
"""

import ast
import re

from pytest_py312.analysis.scanner.evaluation.scan_state import ScanState
from pytest_py312.analysis.scanner.evaluation.values import ELEMENT_MODULES, STDLIB, UNKNOWN_KIND, Value

_ELEMENT = re.compile(
    r"(?:Element|SubElement|fromstring|XML)\(\)(?:\.find\(\))?|(?:parse|ElementTree)\(\)\.(?:getroot|find)\(\)"
    r"|(?:parse|ElementTree)\(\)\.getroot\(\)\.find\(\)"
)
_ELEMENTS = re.compile(
    rf"(?:{_ELEMENT.pattern})\.(?:iter|findall|iterfind|getiterator|getchildren)\(\)"
    r"|(?:parse|ElementTree)\(\)\.(?:iter|findall|iterfind)\(\)"
)
"""Calls whose results can be iterated over and contain elements."""
MAYBE_ELEMENT = Value(UNKNOWN_KIND, "xml.etree.ElementTree", "find")
_ELEMENT_ATTRIBUTES = frozenset({"attrib", "findall", "findtext", "iter", "itertext", "tag", "tail", "text"})
_OTHER_XML_LIBRARIES = frozenset({"bs4", "lxml", "pyquery"})


def element_of(source: Value) -> Value | None:
    """Return an element if iterating over a stdlib value gives elements, or it is one itself; else ``None``."""
    if source.module in ELEMENT_MODULES and re.fullmatch(f"{_ELEMENT.pattern}|{_ELEMENTS.pattern}", source.path):
        return Value(STDLIB, source.module, "Element()", source.guard)
    return None


def check_element_truth(scan: ScanState, node: ast.expr, value: Value) -> None:
    """Match ``if element:``."""
    if value is MAYBE_ELEMENT and isinstance(node, ast.Name):
        scan.truth_tests.append((node, scan.guard, scan.function))
    elif value.kind is STDLIB and value.module in ELEMENT_MODULES and _ELEMENT.fullmatch(value.path):
        scan.add_rule_match("element-truth", node, f"{value.module}.Element")


def find_result(scan: ScanState, node: ast.Call) -> Value | None:
    """Return a possible element for ``root.find("name")`` in a file that reads XML."""
    if len(node.args) != 1 or node.keywords:
        return None
    modules = {module_import.module for module_import in scan.imports}
    reads_xml = any(module.startswith("xml.etree") or module == "xml" for module in modules)
    has_other_library = not _OTHER_XML_LIBRARIES.isdisjoint(module.partition(".")[0] for module in modules)
    return MAYBE_ELEMENT if reads_xml and not has_other_library else None


def note_element_use(scan: ScanState, name: str, attribute: str) -> None:
    """Record ``found.text`` as the use of an element."""
    if attribute in _ELEMENT_ATTRIBUTES:
        scan.element_names.add((name, scan.function))


def report_element_truths(scan: ScanState) -> None:
    """Match truth tests of values that are used as elements, once the whole file has been read."""
    for node, guard, function in scan.truth_tests:
        if (node.id, function) in scan.element_names:
            scan.guard = guard
            scan.add_rule_match("element-truth", node, "xml.etree.ElementTree.Element", sure=False)
