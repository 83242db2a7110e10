"""What to write instead of well-known names that are gone or going. The rest says it in its own deprecation.

``source`` is where it stands: a page of docs.python.org, or a PEP.

Which findings can be mended by writing something else in the same place, as changes of the source.

Only what means the same on the baseline and on the target: a remedy that needs thought stays a sentence. Whether the
place allows it (how something is called, how it was imported) is for the editor to say.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pytest_py312.analysis.scanner.facts.facts import FileFacts, Kind
from pytest_py312.core.model.findings import Confidence, Finding, SourceChange


@dataclass(frozen=True, kw_only=True, slots=True)
class Replacement:
    """What to write instead of a name, and where that is documented."""

    remedy: str
    source: str
    removed: str = ""
    """The release without it, where that is settled."""


PEP_594 = "PEP 594"
_NEW = {minor: f"What's New In Python 3.{minor}" for minor in range(9, 14)}


def _r(remedy: str, source: str, removed: str = "") -> Replacement:
    return Replacement(remedy=remedy, source=source, removed=removed)


MODULES: dict[str, Replacement] = {
    "aifc": _r("nothing in the standard library does this; see the package standard-aifc", PEP_594, "3.13"),
    "asynchat": _r("use asyncio streams", PEP_594, "3.12"),
    "asyncore": _r("use asyncio", PEP_594, "3.12"),
    "audioop": _r("see the package audioop-lts", PEP_594, "3.13"),
    "binhex": _r("use binascii or base64", _NEW[11], "3.11"),
    "cgi": _r("use a web framework; for headers email.message, for forms the package multipart", PEP_594, "3.13"),
    "cgitb": _r("use logging, or traceback", PEP_594, "3.13"),
    "chunk": _r("see the package standard-chunk", PEP_594, "3.13"),
    "crypt": _r("use hashlib.scrypt, or the package bcrypt or argon2-cffi", PEP_594, "3.13"),
    "distutils": _r("use setuptools, shutil, sysconfig, subprocess or packaging", "PEP 632", "3.12"),
    "distutils.version": _r("use packaging.version.Version", "PEP 632", "3.12"),
    "distutils.spawn": _r("use shutil.which and subprocess", "PEP 632", "3.12"),
    "distutils.dir_util": _r("use shutil.copytree and os.makedirs", "PEP 632", "3.12"),
    "distutils.file_util": _r("use shutil.copy2", "PEP 632", "3.12"),
    "distutils.sysconfig": _r("use sysconfig", "PEP 632", "3.12"),
    "distutils.util": _r(
        "write the few lines of strtobool yourself; for get_platform use sysconfig", "PEP 632", "3.12"
    ),
    "distutils.core": _r("use setuptools", "PEP 632", "3.12"),
    "distutils.command": _r("use setuptools.command", "PEP 632", "3.12"),
    "formatter": _r("format the text yourself", _NEW[10], "3.10"),
    "imghdr": _r("use the package filetype or puremagic", PEP_594, "3.13"),
    "imp": _r("use importlib", _NEW[12], "3.12"),
    "lib2to3": _r("use the package libcst or parso", _NEW[13], "3.13"),
    "mailcap": _r("use mimetypes", PEP_594, "3.13"),
    "msilib": _r("see the package python-msilib", PEP_594, "3.13"),
    "nis": _r("nothing in the standard library does this", PEP_594, "3.13"),
    "nntplib": _r("see the package standard-nntplib", PEP_594, "3.13"),
    "ossaudiodev": _r("see the package pygame", PEP_594, "3.13"),
    "parser": _r("use ast", _NEW[10], "3.10"),
    "pipes": _r("use subprocess; for quote shlex.quote", PEP_594, "3.13"),
    "smtpd": _r("use the package aiosmtpd", PEP_594, "3.12"),
    "sndhdr": _r("use the package filetype or puremagic", PEP_594, "3.13"),
    "spwd": _r("use the package python-pam", PEP_594, "3.13"),
    "sunau": _r("see the package standard-sunau", PEP_594, "3.13"),
    "symbol": _r("use ast", _NEW[10], "3.10"),
    "telnetlib": _r("use the package telnetlib3", PEP_594, "3.13"),
    "uu": _r("use base64", PEP_594, "3.13"),
    "xdrlib": _r("use struct, or the package mda-xdrlib", PEP_594, "3.13"),
    "sre_compile": _r("use re", _NEW[11]),
    "sre_constants": _r("use re", _NEW[11]),
    "sre_parse": _r("use re", _NEW[11]),
    "_bootlocale": _r("use locale", _NEW[10], "3.10"),
}
BROUGHT_BACK: dict[str, tuple[str, ...]] = {
    "asynchat": ("pyasynchat",),
    "asyncore": ("pyasyncore",),
    "audioop": ("audioop-lts",),
    "cgi": ("legacy-cgi",),
    "cgitb": ("legacy-cgi",),
    "imp": ("zombie-imp",),
    "telnetlib": ("telnetlib-313-and-up",),
}
"""Projects on the index that install a module under the name which the library no longer has; beside ``standard-NAME``,
of which there is one for most."""

ABCS = (
    "Awaitable", "AsyncGenerator", "AsyncIterable", "AsyncIterator", "ByteString", "Callable", "Collection",
    "Container", "Coroutine", "Generator", "Hashable", "ItemsView", "Iterable", "Iterator", "KeysView", "Mapping",
    "MappingView", "MutableMapping", "MutableSequence", "MutableSet", "Reversible", "Sequence", "Set", "Sized",
    "ValuesView",
)  # fmt: skip
ASSERTIONS = {
    "assertEquals": "assertEqual", "assertNotEquals": "assertNotEqual", "assert_": "assertTrue",
    "assertAlmostEquals": "assertAlmostEqual", "assertNotAlmostEquals": "assertNotAlmostEqual",
    "assertRegexpMatches": "assertRegex", "assertNotRegexpMatches": "assertNotRegex",
    "assertRaisesRegexp": "assertRaisesRegex", "failUnless": "assertTrue", "failIf": "assertFalse",
    "failUnlessEqual": "assertEqual", "failIfEqual": "assertNotEqual", "failUnlessRaises": "assertRaises",
    "failUnlessAlmostEqual": "assertAlmostEqual", "failIfAlmostEqual": "assertNotAlmostEqual",
}  # fmt: skip
_UTC = "the documentation of datetime"

NAMES: dict[str, Replacement] = {
    **{
        f"collections.{name}": _r(f"import {name} from collections.abc", _NEW[10], "3.10") for name in ABCS
    },
    **{
        f"unittest.TestCase.{old}": _r(f"use {new}", _NEW[12], "3.12") for old, new in ASSERTIONS.items()
    },
    "unittest.TestCase.assertDictContainsSubset": _r("compare {**a, **b} with a by assertEqual", _NEW[12], "3.12"),
    "unittest.makeSuite": _r("use unittest.TestLoader.loadTestsFromTestCase", _NEW[13], "3.13"),
    "unittest.findTestCases": _r("use unittest.TestLoader.loadTestsFromModule", _NEW[13], "3.13"),
    "unittest._TextTestResult": _r("use unittest.TextTestResult", _NEW[12], "3.12"),
    "configparser.SafeConfigParser": _r("use configparser.ConfigParser", _NEW[12], "3.12"),
    "configparser.RawConfigParser.readfp": _r("use read_file", _NEW[12], "3.12"),
    "configparser.ConfigParser.readfp": _r("use read_file", _NEW[12], "3.12"),
    "configparser.SafeConfigParser.readfp": _r("use ConfigParser and read_file", _NEW[12], "3.12"),
    "configparser.ParsingError.filename": _r("use source", _NEW[12], "3.12"),
    "inspect.getargspec": _r("use inspect.getfullargspec, or inspect.signature", _NEW[11], "3.11"),
    "inspect.formatargspec": _r("use str(inspect.signature(...))", _NEW[11], "3.11"),
    "asyncio.coroutine": _r("write async def", _NEW[11], "3.11"),
    "asyncio.async": _r("use asyncio.ensure_future", _NEW[10]),
    "asyncio.Task.all_tasks": _r("use asyncio.all_tasks", _NEW[9], "3.9"),
    "asyncio.Task.current_task": _r("use asyncio.current_task", _NEW[9], "3.9"),
    "asyncio.iscoroutinefunction": _r("use inspect.iscoroutinefunction", "the documentation of inspect", "3.16"),
    "datetime.datetime.utcnow": _r("use datetime.now(timezone.utc)", _UTC),
    "datetime.datetime.utcfromtimestamp": _r("use datetime.fromtimestamp(t, timezone.utc)", _UTC),
    "ssl.wrap_socket": _r("use ssl.SSLContext.wrap_socket", _NEW[12], "3.12"),
    "ssl.match_hostname": _r("leave it to ssl: context.check_hostname", _NEW[12], "3.12"),
    "ssl.RAND_pseudo_bytes": _r("use ssl.RAND_bytes, or os.urandom", _NEW[12], "3.12"),
    "pkgutil.ImpImporter": _r("use importlib.machinery.FileFinder", _NEW[12], "3.12"),
    "pkgutil.ImpLoader": _r("use importlib.machinery.SourceFileLoader", _NEW[12], "3.12"),
    "pkgutil.find_loader": _r("use importlib.util.find_spec", _NEW[12], "3.14"),
    "pkgutil.get_loader": _r("use importlib.util.find_spec", _NEW[12], "3.14"),
    "importlib.find_loader": _r("use importlib.util.find_spec", _NEW[12], "3.12"),
    "importlib.abc.Finder": _r("use importlib.abc.MetaPathFinder or PathEntryFinder", _NEW[12], "3.12"),
    "importlib.util.module_for_loader": _r("define exec_module", _NEW[12], "3.12"),
    "importlib.util.set_loader": _r("define create_module and exec_module", _NEW[12], "3.12"),
    "importlib.util.set_package": _r("define create_module and exec_module", _NEW[12], "3.12"),
    "importlib.resources.open_text": _r("use files(package).joinpath(name).open()", "the documentation of importlib"),
    "locale.format": _r("use locale.format_string", _NEW[12], "3.12"),
    "locale.resetlocale": _r('use locale.setlocale(locale.LC_ALL, "")', _NEW[13], "3.13"),
    "gettext.lgettext": _r("use gettext.gettext", _NEW[11], "3.11"),
    "gzip.GzipFile.filename": _r("use name", _NEW[12], "3.12"),
    "os.popen2": _r("use subprocess", "the documentation of subprocess"),
    "random.jumpahead": _r("leave it out", "the documentation of random"),
    "sqlite3.OptimizedUnicode": _r("use str", _NEW[12], "3.12"),
    "sqlite3.enable_shared_cache": _r("open the database with cache=shared in its URI", _NEW[12], "3.12"),
    "sys.setcheckinterval": _r("use sys.setswitchinterval", _NEW[9], "3.9"),
    "sys.getcheckinterval": _r("use sys.getswitchinterval", _NEW[9], "3.9"),
    "threading.Thread.isAlive": _r("use is_alive", _NEW[9], "3.9"),
    "threading.Thread.setDaemon": _r("set daemon", _NEW[10]),
    "threading.Thread.isDaemon": _r("read daemon", _NEW[10]),
    "threading.Thread.getName": _r("read name", _NEW[10]),
    "threading.Thread.setName": _r("set name", _NEW[10]),
    "threading.Condition.notifyAll": _r("use notify_all", _NEW[10]),
    "threading.Event.isSet": _r("use is_set", _NEW[10]),
    "threading.activeCount": _r("use threading.active_count", _NEW[10]),
    "threading.currentThread": _r("use threading.current_thread", _NEW[10]),
    "typing.io": _r("import the names from typing", _NEW[13], "3.13"),
    "typing.re": _r("import Match and Pattern from re", _NEW[13], "3.13"),
    "webbrowser.MacOSX": _r("use webbrowser.get()", _NEW[13], "3.13"),
    "xml.etree.cElementTree": _r("use xml.etree.ElementTree", _NEW[9], "3.9"),
    "xml.etree.ElementTree.Element.getchildren": _r("use list(element), or iterate over it", _NEW[9], "3.9"),
    "xml.etree.ElementTree.Element.getiterator": _r("use iter", _NEW[9], "3.9"),
    "logging.warn": _r("use logging.warning", "the documentation of logging"),
    "logging.Logger.warn": _r("use warning", "the documentation of logging"),
    "types.coroutine": _r("write async def", "the documentation of types"),
    "ast.Num": _r("use ast.Constant", _NEW[12], "3.14"),
    "ast.Str": _r("use ast.Constant", _NEW[12], "3.14"),
    "ast.Bytes": _r("use ast.Constant", _NEW[12], "3.14"),
    "ast.NameConstant": _r("use ast.Constant", _NEW[12], "3.14"),
    "ast.Ellipsis": _r("use ast.Constant", _NEW[12], "3.14"),
    "fractions.gcd": _r("use math.gcd", _NEW[9], "3.9"),
    "base64.encodestring": _r("use base64.encodebytes", _NEW[9], "3.9"),
    "base64.decodestring": _r("use base64.decodebytes", _NEW[9], "3.9"),
    "array.array.tostring": _r("use tobytes", _NEW[9], "3.9"),
    "array.array.fromstring": _r("use frombytes", _NEW[9], "3.9"),
    "html.parser.HTMLParser.unescape": _r("use html.unescape", _NEW[9], "3.9"),
    "cgi.escape": _r("use html.escape", "What's New In Python 3.8", "3.8"),
    "cgi.parse_header": _r("use email.message.Message", PEP_594, "3.13"),
    "pipes.quote": _r("use shlex.quote", PEP_594, "3.13"),
    "imp.reload": _r("use importlib.reload", _NEW[12], "3.12"),
    "imp.load_source": _r("use importlib.util.spec_from_file_location and module_from_spec", _NEW[12], "3.12"),
    "imp.find_module": _r("use importlib.util.find_spec", _NEW[12], "3.12"),
    "imp.new_module": _r("use types.ModuleType", _NEW[12], "3.12"),
    "binascii.b2a_hqx": _r("use base64", _NEW[11], "3.11"),
    "smtpd.SMTPServer": _r("use the package aiosmtpd", PEP_594, "3.12"),
    "re.template": _r("use re.compile", _NEW[13], "3.13"),
    "tempfile.mktemp": _r("use tempfile.mkstemp", "the documentation of tempfile"),
}  # fmt: skip

PARAMETERS: dict[str, Replacement] = {
    "loop": _r("leave it out: the running loop is taken", _NEW[10], "3.10"),
    "keyfile": _r("hand over context=, a ssl.SSLContext", _NEW[12], "3.12"),
    "certfile": _r("hand over context=, a ssl.SSLContext", _NEW[12], "3.12"),
    "key_file": _r("hand over context=, a ssl.SSLContext", _NEW[12], "3.12"),
    "cert_file": _r("hand over context=, a ssl.SSLContext", _NEW[12], "3.12"),
    "check_hostname": _r("set check_hostname of the ssl.SSLContext", _NEW[12], "3.12"),
    "encoding": _r("leave it out", _NEW[9], "3.9"),
}


def of_name(name: str) -> Replacement | None:
    """For a dotted name of the library, or the module it stands in."""
    plain = name.replace("()", "")
    return NAMES.get(plain) or MODULES.get(plain) or _of_module(plain)


def _of_module(name: str) -> Replacement | None:
    while "." in name:
        name = name.rpartition(".")[0]
        if name in MODULES:
            return MODULES[name]
    return None


RENAMED: Mapping[tuple[str, str], str] = {
    **{("unittest", old): new for old, new in ASSERTIONS.items()},
    ("unittest", "_TextTestResult"): "TextTestResult",
    ("configparser", "SafeConfigParser"): "ConfigParser",
    ("configparser", "readfp"): "read_file",
    ("inspect", "getargspec"): "getfullargspec",
    ("logging", "warn"): "warning",
    ("base64", "encodestring"): "encodebytes",
    ("base64", "decodestring"): "decodebytes",
    ("array", "tostring"): "tobytes",
    ("array", "fromstring"): "frombytes",
    ("threading", "isAlive"): "is_alive",
    ("threading", "isSet"): "is_set",
    ("threading", "notifyAll"): "notify_all",
    ("threading", "activeCount"): "active_count",
    ("threading", "currentThread"): "current_thread",
    ("threading", "getName"): "name",
    ("threading", "setName"): "name",
    ("threading", "isDaemon"): "daemon",
    ("threading", "setDaemon"): "daemon",
}
"""(Package, last name) -> what the name is called today, in the same class or module."""

UTC: Mapping[str, str] = {
    "datetime.datetime.utcnow": "datetime.datetime.now(timezone.utc)",
    "datetime.datetime.utcfromtimestamp": "datetime.datetime.fromtimestamp(timezone.utc)",
}
"""What gives a time with a zone instead of one without: made only where it was asked for (:func:`asked_for`)."""

MOVED: Mapping[str, str] = {
    **{f"collections.{name}": f"collections.abc.{name}" for name in ABCS},
    "unittest.makeSuite": "unittest.defaultTestLoader.loadTestsFromTestCase",
    "unittest.findTestCases": "unittest.defaultTestLoader.loadTestsFromModule",
    "pipes.quote": "shlex.quote",
    "imp.reload": "importlib.reload",
    "imp.new_module": "types.ModuleType",
    "imp.cache_from_source": "importlib.util.cache_from_source",
    "imp.source_from_cache": "importlib.util.source_from_cache",
    **UTC,
}

_ESCAPE = re.compile(r"invalid escape sequence '?(\\[^\r\n])|^[^\"]*\"(\\[^\r\n])\" is an invalid escape sequence")
_OF_NAMES = frozenset({"PY202", "PY203", "PY220"})
NAIVE = ".replace(tzinfo=None)"


def with_changes(finding: Finding, facts: FileFacts) -> Finding:
    """``finding`` of a file with the changes that mend it, where there are some."""
    if finding.location is None or finding.location.line is None or finding.waived or _is_given(finding, facts):
        return finding
    if finding.code == "PY221":
        return replace(finding, changes=_of_escape(finding))
    if not finding.names:
        return finding
    if finding.code in ("PY201", "PY220") and finding.names[0] in _MODULES:
        return replace(finding, changes=_drop_ins_of_module(finding.names[0], facts))
    return replace(finding, changes=_of_name(finding)) if finding.code in _OF_NAMES else finding


def _is_given(finding: Finding, facts: FileFacts) -> bool:
    """Whether a name of one's own stands there, which something of the library was given to: it keeps its name."""
    place = finding.location
    return place is not None and any(
        one.kind == Kind.GIVEN and one.line == place.line and one.column == place.column for one in facts.references
    )


def asked_for(change: SourceChange, utc: str) -> SourceChange | None:
    """``change`` as it is made; of times in UTC only where ``utc`` (``aware`` or ``naive``) says how."""
    if change.old not in UTC:
        return change
    if not utc:
        return None
    return replace(change, new=change.new + NAIVE) if utc == "naive" else change


def _change(finding: Finding, old: str, new: str) -> SourceChange:
    place = finding.location
    if place is None or place.line is None:
        raise ValueError("a finding without a place has no change")
    return SourceChange(path=place.path, line=place.line, column=place.column or 1, old=old, new=new)


def _of_escape(finding: Finding) -> tuple[SourceChange, ...]:
    found = _ESCAPE.search(finding.message)
    escape = (found[1] or found[2]) if found else ""
    return (_change(finding, escape, f"\\{escape}"),) if escape and not escape[1].isdigit() else ()


def _of_name(finding: Finding) -> tuple[SourceChange, ...]:
    name = finding.names[0]
    package, last = name.partition(".")[0], name.rpartition(".")[2]
    new = MOVED.get(name)
    if new is None and (package, last) in RENAMED:
        new = f"{name.rpartition('.')[0]}.{RENAMED[package, last]}"
    # a method of an object of unknown class: of these, nobody else has one of the name
    if new is None or (finding.confidence is Confidence.LIKELY and last not in ASSERTIONS):
        return ()
    return (_change(finding, name, new),)


_MODULES = frozenset({"imp", "pipes"})
"""Modules of which some names moved: their imports change only where nothing else is used of them."""


def _drop_ins_of_module(module: str, facts: FileFacts) -> tuple[SourceChange, ...]:
    """All uses of a module that is gone; none where one of them has no successor."""
    changes = []
    for reference in facts.references:
        if reference.module != module or not reference.path or "()" in reference.path:
            continue
        old = f"{module}.{reference.path}"
        if old not in MOVED or reference.kind not in (Kind.NAME, Kind.FROM, Kind.USE):
            return ()
        if reference.kind != Kind.USE:
            changes.append(
                SourceChange(path=facts.path, line=reference.line, column=reference.column, old=old, new=MOVED[old])
            )
    return tuple(dict.fromkeys(changes))
