"""What ``find`` of something unknown gives, in a file that reads XML: an element, where it is then used as one."""

import ast

from pytest_py312.source.values import NOTHING_KNOWN, Value
from pytest_py312.source.walking import Scan

FOUND = Value(NOTHING_KNOWN, "xml.etree.ElementTree", "find")
_OF_ELEMENTS = frozenset({"attrib", "findall", "findtext", "iter", "itertext", "tag", "tail", "text"})
_OTHERS = frozenset({"bs4", "lxml", "pyquery"})


def found(scan: Scan, node: ast.Call) -> Value | None:
    """``root.find("name")``"""
    if len(node.args) != 1 or node.keywords:
        return None
    modules = {one.module for one in scan.imports}
    reads = any(module.startswith("xml.etree") or module == "xml" for module in modules)
    return FOUND if reads and not {module.partition(".")[0] for module in modules} & _OTHERS else None


def asked(scan: Scan, node: ast.Name) -> None:
    """``if found:``"""
    scan.truths.append((node, scan.guard, scan.function))


def used(scan: Scan, name: str, attribute: str) -> None:
    """``found.text``"""
    if attribute in _OF_ELEMENTS:
        scan.elements.add((name, scan.function))


def judged(scan: Scan) -> None:
    """Notes the truths of what turned out to be an element, once the file has been read."""
    for node, guard, function in scan.truths:
        if (node.id, function) in scan.elements:
            scan.guard = guard
            scan.rule("element-truth", node, "xml.etree.ElementTree.Element", sure=False)
