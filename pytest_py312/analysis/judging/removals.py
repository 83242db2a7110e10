"""When what a deprecation warning is about goes: by names in it that are known, else by its own words.

The known come first, since several warnings name a release that was put off later, and half of them name none.
"""

import re
from dataclasses import dataclass

from pytest_py312.analysis.judging import replacements
from pytest_py312.core.model.findings import Interpreter


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal:
    """The first ``release`` without it, and what to do.

    ``is_name``: it is about a name of the library, which reading the source finds as well. Else it is about how
    something is used, with which values, and that shows only when it runs.
    """

    release: Interpreter
    remedy: str = ""
    is_name: bool = True


_SAYS_RELEASE = re.compile(
    r"\b(?:remov\w*|stop\w* working|disallowed|prohibited)\b"
    r"(?:(?!since|deprecated|when|once|after|until|support)[^.;]){0,60}?\bPython (3\.\d+)"
    r"|\bin (3\.\d+) it will stop working",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<![\w.])[a-z_]\w*(?:\.\w+)+")
_MODULE = re.compile(r"\bthe '?(\w+)'? (?:module|package) is deprecated", re.IGNORECASE)

_NAMES: tuple[tuple[str, str, str], ...] = (
    (r"Please use assert\w+ instead", "3.12", "use the name that it gives"),
    (r"assertDictContainsSubset is deprecated", "3.12", "compare {**a, **b} with a by assertEqual"),
    (r"SafeConfigParser class has been renamed", "3.12", "use ConfigParser"),
    (r"Use 'parser\.read_file\(\)' instead", "3.12", "use read_file"),
    (r"The 'filename' attribute will be removed", "3.12", "use source"),
    (r"Use 'locale\.format_string\(\)' instead", "3.12", "use locale.format_string"),
    (r"Deprecated since Python 3\.4\. Use importlib\.util\.find_spec\(\)", "3.12", "use importlib.util.find_spec"),
    (r"key_file, cert_file and check_hostname are deprecated", "3.12", "hand over context=, a ssl.SSLContext"),
    (r'"@coroutine" decorator is deprecated', "3.11", "write async def"),
    (r"\bl[dn]*gettext\(\) is deprecated", "3.11", "use the function without the l"),
    (r"\b(?:set_output_charset|output_charset|bind_textdomain_codeset)\(\) is deprecated", "3.11", "leave it out"),
    (r"\bbinascii\.\w+_hqx\(\) is deprecated", "3.11", "use base64"),
    (r"\bSignature\.from_(?:function|builtin)\(\) is deprecated", "3.11", "use Signature.from_callable"),
    (r"\*random\* parameter to shuffle\(\)", "3.11", "leave it out"),
    (r"\bisAlive\(\) is deprecated", "3.9", "use is_alive"),
    (r"\bload_module\(\) (?:method )?is deprecated", "3.15", "use exec_module"),
)
"""What a name is warned of with, where the warning names no release or one that did not hold."""

_USES: tuple[tuple[str, str, str], ...] = (
    (r"non-integer arguments to randrange", "3.12", "hand over int(...)"),
    (r"SelectableGroups dict interface is deprecated", "3.12", "use entry_points(group=...)"),
    (r"Passing None for 's' to shlex\.split", "3.12", "hand over a string"),
    (r"Flags not at the start of the expression", "3.11", "write the flags first, or hand them over"),
    (r"Sampling from a set deprecated", "3.11", "hand over a list, such as sorted(...)"),
    (r"Seeding based on hashing is deprecated", "3.11", "seed with a number, a string or bytes"),
    (r"executor that is not an instance of ThreadPoolExecutor", "3.11", "use a ThreadPoolExecutor"),
    (r"'U' mode is deprecated", "3.11", "leave the U out"),
    (r"[Uu]sing factorial\(\) with floats is deprecated", "3.10", "hand over int(...)"),
    (r"Implicit conversion to integers using __int__ is deprecated", "3.10", "hand over int(...)"),
)
"""The same of values and uses."""


def removal_of(message: str) -> Removal | None:
    """When what the warning ``message`` is about goes; ``None`` where neither it nor anything else says so."""
    for rows, is_name in ((_NAMES, True), (_USES, False)):
        for pattern, release, remedy in rows:
            if re.search(pattern, message):
                return Removal(release=Interpreter.parse(release), remedy=remedy, is_name=is_name)
    named = _named(message)
    if named is not None and named.removed:
        return Removal(release=Interpreter.parse(named.removed), remedy=named.remedy)
    said = _SAYS_RELEASE.search(message)
    if said is None:
        return None
    return Removal(release=Interpreter.parse(said[1] or said[2]), remedy=named.remedy if named else "")


def _named(message: str) -> replacements.Replacement | None:
    modules = _MODULE.findall(message)
    names = _NAME.findall(message)
    known = [replacements.MODULES.get(name) for name in (*modules, *names)]
    known += [replacements.NAMES.get(name) for name in names]
    return next((one for one in known if one is not None), None)
