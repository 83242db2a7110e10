"""Find out from a deprecation warning when the deprecated feature is removed.

A table of known warnings comes before the text of the warning itself: several warnings name a release that was later
postponed, and about half of them name none.
"""

import re
from dataclasses import dataclass

from pytest_py312.analysis.judging.replacement_table import MODULE_REPLACEMENTS, NAME_REPLACEMENTS, StdlibReplacement
from pytest_py312.core.model.findings import Interpreter


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal:
    """The first ``release`` without a feature, and what to do.

    ``is_name`` is true for a name of the standard library, which the source check finds as well. Otherwise the warning
    is about a way of using it, which shows only at run time.
    """

    release: Interpreter
    remedy: str = ""
    is_name: bool = True


_RELEASE_IN_WARNING = re.compile(
    r"\b(?:remov\w*|stop\w* working|disallowed|prohibited)\b"
    r"(?:(?!since|deprecated|when|once|after|until|support)[^.;]){0,60}?\bPython (3\.\d+)"
    r"|\bin (3\.\d+) it will stop working",
    re.IGNORECASE,
)
_DOTTED_NAME = re.compile(r"(?<![\w.])[a-z_]\w*(?:\.\w+)+")
_MODULE = re.compile(r"\bthe '?(\w+)'? (?:module|package) is deprecated", re.IGNORECASE)

_NAME_WARNINGS: tuple[tuple[str, str, str], ...] = (
    (r"Please use assert\w+ instead", "3.12", "use the name in the warning"),
    (r"assertDictContainsSubset is deprecated", "3.12", "compare {**a, **b} with a by assertEqual"),
    (r"SafeConfigParser class has been renamed", "3.12", "use ConfigParser"),
    (r"Use 'parser\.read_file\(\)' instead", "3.12", "use read_file"),
    (r"The 'filename' attribute will be removed", "3.12", "use source"),
    (r"Use 'locale\.format_string\(\)' instead", "3.12", "use locale.format_string"),
    (r"Deprecated since Python 3\.4\. Use importlib\.util\.find_spec\(\)", "3.12", "use importlib.util.find_spec"),
    (r"key_file, cert_file and check_hostname are deprecated", "3.12", "pass context=, an ssl.SSLContext"),
    (r'"@coroutine" decorator is deprecated', "3.11", "write async def"),
    (r"\bl[dn]*gettext\(\) is deprecated", "3.11", "use the function without the l"),
    (r"\b(?:set_output_charset|output_charset|bind_textdomain_codeset)\(\) is deprecated", "3.11", "remove it"),
    (r"\bbinascii\.\w+_hqx\(\) is deprecated", "3.11", "use base64"),
    (r"\bSignature\.from_(?:function|builtin)\(\) is deprecated", "3.11", "use Signature.from_callable"),
    (r"\*random\* parameter to shuffle\(\)", "3.11", "remove it"),
    (r"\bisAlive\(\) is deprecated", "3.9", "use is_alive"),
    (r"\bload_module\(\) (?:method )?is deprecated", "3.15", "use exec_module"),
)
"""(pattern, release, remedy) of warnings about a name that state no release or a wrong one."""

_USAGE_WARNINGS: tuple[tuple[str, str, str], ...] = (
    (r"non-integer arguments to randrange", "3.12", "pass int(...)"),
    (r"SelectableGroups dict interface is deprecated", "3.12", "use entry_points(group=...)"),
    (r"Passing None for 's' to shlex\.split", "3.12", "pass a string"),
    (r"Flags not at the start of the expression", "3.11", "put the flags first, or pass them as an argument"),
    (r"Sampling from a set deprecated", "3.11", "pass a list, such as sorted(...)"),
    (r"Seeding based on hashing is deprecated", "3.11", "seed with a number, a string or bytes"),
    (r"executor that is not an instance of ThreadPoolExecutor", "3.11", "use a ThreadPoolExecutor"),
    (r"'U' mode is deprecated", "3.11", "remove the U"),
    (r"[Uu]sing factorial\(\) with floats is deprecated", "3.10", "pass int(...)"),
    (r"Implicit conversion to integers using __int__ is deprecated", "3.10", "pass int(...)"),
)
"""The same for warnings about values and ways of use."""


def find_removal(message: str) -> Removal | None:
    """Return the removal that the warning ``message`` announces; ``None`` if no release is known."""
    for rows, is_name in ((_NAME_WARNINGS, True), (_USAGE_WARNINGS, False)):
        for pattern, release, remedy in rows:
            if re.search(pattern, message):
                return Removal(release=Interpreter.parse(release), remedy=remedy, is_name=is_name)
    replacement = _replacement_in(message)
    if replacement is not None and replacement.removed:
        return Removal(release=Interpreter.parse(replacement.removed), remedy=replacement.remedy)
    release_match = _RELEASE_IN_WARNING.search(message)
    if release_match is None:
        return None
    return Removal(
        release=Interpreter.parse(release_match[1] or release_match[2]),
        remedy=replacement.remedy if replacement else "",
    )


def _replacement_in(message: str) -> StdlibReplacement | None:
    modules = _MODULE.findall(message)
    names = _DOTTED_NAME.findall(message)
    candidates = [MODULE_REPLACEMENTS.get(name) for name in (*modules, *names)]
    candidates += [NAME_REPLACEMENTS.get(name) for name in names]
    return next((candidate for candidate in candidates if candidate is not None), None)
