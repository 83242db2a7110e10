"""Replacements for removed and deprecated names, as remedies in words.

``source`` is for maintainers: the page of docs.python.org or the PEP that documents a replacement. Names that are not
in these tables are explained by their own deprecation warnings.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class StdlibReplacement:
    """What to write instead of a name, and where that is documented."""

    remedy: str
    source: str
    removed: str = ""
    """The first release without the name, perhaps only announced; empty if none is, or if it is not recorded here."""


PEP_594 = "PEP 594"
_NEW = {minor: f"What's New In Python 3.{minor}" for minor in range(9, 14)}


def _r(remedy: str, source: str, removed: str = "") -> StdlibReplacement:
    return StdlibReplacement(remedy=remedy, source=source, removed=removed)


MODULE_REPLACEMENTS: dict[str, StdlibReplacement] = {
    "aifc": _r("the standard library has no replacement; see the package standard-aifc", PEP_594, "3.13"),
    "asynchat": _r("use asyncio streams", PEP_594, "3.12"),
    "asyncore": _r("use asyncio", PEP_594, "3.12"),
    "audioop": _r("see the package audioop-lts", PEP_594, "3.13"),
    "binhex": _r("use binascii or base64", _NEW[11], "3.11"),
    "cgi": _r("use a web framework; for headers email.message, for forms the package multipart", PEP_594, "3.13"),
    "cgitb": _r("use logging, or traceback", PEP_594, "3.13"),
    "chunk": _r("see the package standard-chunk", PEP_594, "3.13"),
    "crypt": _r("use hashlib.scrypt, or the package bcrypt or argon2-cffi", PEP_594, "3.13"),
    "distutils": _r("use setuptools, shutil, sysconfig, subprocess or packaging", "PEP 632", "3.12"),
    "distutils.version": _r("require packaging, and use packaging.version.Version", "PEP 632", "3.12"),
    "distutils.spawn": _r("use shutil.which and subprocess", "PEP 632", "3.12"),
    "distutils.dir_util": _r("use shutil.copytree and os.makedirs", "PEP 632", "3.12"),
    "distutils.file_util": _r("use shutil.copy2", "PEP 632", "3.12"),
    "distutils.sysconfig": _r("use sysconfig", "PEP 632", "3.12"),
    "distutils.util": _r("reimplement strtobool; for get_platform use sysconfig", "PEP 632", "3.12"),
    "distutils.core": _r("use setuptools", "PEP 632", "3.12"),
    "distutils.command": _r("use setuptools.command", "PEP 632", "3.12"),
    "formatter": _r("format the text yourself", _NEW[10], "3.10"),
    "imghdr": _r("use the package filetype or puremagic", PEP_594, "3.13"),
    "imp": _r(
        "for modules on the path use importlib.util.find_spec for find_module and importlib.import_module for "
        "load_module, for those in other folders and for load_source importlib.util.spec_from_file_location and "
        "module_from_spec, importlib.reload for reload",
        _NEW[12],
        "3.12",
    ),
    "lib2to3": _r("use the package libcst or parso", _NEW[13], "3.13"),
    "mailcap": _r("use mimetypes", PEP_594, "3.13"),
    "msilib": _r("see the package python-msilib", PEP_594, "3.13"),
    "nis": _r("the standard library has no replacement", PEP_594, "3.13"),
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
BACKPORTS: dict[str, tuple[str, ...]] = {
    "asynchat": ("pyasynchat",),
    "asyncore": ("pyasyncore",),
    "audioop": ("audioop-lts",),
    "cgi": ("legacy-cgi",),
    "cgitb": ("legacy-cgi",),
    "imp": ("zombie-imp",),
    "telnetlib": ("telnetlib-313-and-up",),
}
"""Projects that install a removed module under its old name, besides ``standard-NAME``, which exists for most modules.
"""

ABCS = (
    "Awaitable", "AsyncGenerator", "AsyncIterable", "AsyncIterator", "ByteString", "Callable", "Collection",
    "Container", "Coroutine", "Generator", "Hashable", "ItemsView", "Iterable", "Iterator", "KeysView", "Mapping",
    "MappingView", "MutableMapping", "MutableSequence", "MutableSet", "Reversible", "Sequence", "Set", "Sized",
    "ValuesView",
)  # fmt: skip
ASSERTION_RENAMES = {
    "assertEquals": "assertEqual", "assertNotEquals": "assertNotEqual", "assert_": "assertTrue",
    "assertAlmostEquals": "assertAlmostEqual", "assertNotAlmostEquals": "assertNotAlmostEqual",
    "assertRegexpMatches": "assertRegex", "assertNotRegexpMatches": "assertNotRegex",
    "assertRaisesRegexp": "assertRaisesRegex", "failUnless": "assertTrue", "failIf": "assertFalse",
    "failUnlessEqual": "assertEqual", "failIfEqual": "assertNotEqual", "failUnlessRaises": "assertRaises",
    "failUnlessAlmostEqual": "assertAlmostEqual", "failIfAlmostEqual": "assertNotAlmostEqual",
}  # fmt: skip
DISTINCTIVE_ASSERTIONS = frozenset((*ASSERTION_RENAMES, "assertDictContainsSubset"))
_DATETIME_DOCS = "the documentation of datetime"

NAME_REPLACEMENTS: dict[str, StdlibReplacement] = {
    **{
        f"collections.{name}": _r(f"import {name} from collections.abc", _NEW[10], "3.10") for name in ABCS
    },
    **{
        f"unittest.TestCase.{old}": _r(f"use {new}", _NEW[12], "3.12") for old, new in ASSERTION_RENAMES.items()
    },
    "unittest.TestCase.assertDictContainsSubset": _r(
        "use assertEqual(dictionary, {**dictionary, **subset})", _NEW[12], "3.12"
    ),
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
    "datetime.datetime.utcnow": _r("use datetime.now(timezone.utc)", _DATETIME_DOCS),
    "datetime.datetime.utcfromtimestamp": _r("use datetime.fromtimestamp(t, timezone.utc)", _DATETIME_DOCS),
    "ssl.wrap_socket": _r("use ssl.SSLContext.wrap_socket", _NEW[12], "3.12"),
    "ssl.match_hostname": _r("set context.check_hostname: ssl then checks the host name", _NEW[12], "3.12"),
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
    "random.jumpahead": _r("remove it", "the documentation of random"),
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
    "imp.load_compiled": _r("use importlib.machinery.SourcelessFileLoader", _NEW[12], "3.12"),
    "imp.load_dynamic": _r("use importlib.machinery.ExtensionFileLoader", _NEW[12], "3.12"),
    "imp.load_package": _r("use importlib.util.spec_from_file_location and module_from_spec", _NEW[12], "3.12"),
    "imp.load_module": _r(
        "use importlib.import_module; where a folder is named importlib.util.spec_from_file_location and "
        "module_from_spec",
        _NEW[12],
        "3.12",
    ),
    "imp.init_builtin": _r("use importlib.import_module", _NEW[12], "3.12"),
    "imp.init_frozen": _r("use importlib.import_module", _NEW[12], "3.12"),
    "imp.is_builtin": _r("use sys.builtin_module_names", _NEW[12], "3.12"),
    "imp.is_frozen": _r("use importlib.machinery.FrozenImporter.find_spec", _NEW[12], "3.12"),
    "imp.get_suffixes": _r("use SOURCE_SUFFIXES, BYTECODE_SUFFIXES and EXTENSION_SUFFIXES of importlib.machinery",
                           _NEW[12], "3.12"),
    "imp.get_magic": _r("use importlib.util.MAGIC_NUMBER", _NEW[12], "3.12"),
    "imp.get_tag": _r("use sys.implementation.cache_tag", _NEW[12], "3.12"),
    "imp.cache_from_source": _r("use importlib.util.cache_from_source", _NEW[12], "3.12"),
    "imp.source_from_cache": _r("use importlib.util.source_from_cache", _NEW[12], "3.12"),
    "imp.acquire_lock": _r("remove it: each module has a lock of its own since 3.3", _NEW[12], "3.12"),
    "imp.release_lock": _r("remove it: each module has a lock of its own since 3.3", _NEW[12], "3.12"),
    "imp.lock_held": _r("remove it: each module has a lock of its own since 3.3", _NEW[12], "3.12"),
    "imp.NullImporter": _r("use None in sys.path_importer_cache", _NEW[12], "3.12"),
    "imp.find_module": _r("use importlib.util.find_spec", _NEW[12], "3.12"),
    "imp.new_module": _r("use types.ModuleType", _NEW[12], "3.12"),
    "binascii.b2a_hqx": _r("use base64", _NEW[11], "3.11"),
    "smtpd.SMTPServer": _r("use the package aiosmtpd", PEP_594, "3.12"),
    "re.template": _r("use re.compile", _NEW[13], "3.13"),
    "tempfile.mktemp": _r("use tempfile.mkstemp", "the documentation of tempfile"),
}  # fmt: skip

PARAMETER_REPLACEMENTS: dict[str, StdlibReplacement] = {
    "loop": _r("remove it: the running loop is used", _NEW[10], "3.10"),
    "keyfile": _r("pass context=, an ssl.SSLContext", _NEW[12], "3.12"),
    "certfile": _r("pass context=, an ssl.SSLContext", _NEW[12], "3.12"),
    "key_file": _r("pass context=, an ssl.SSLContext", _NEW[12], "3.12"),
    "cert_file": _r("pass context=, an ssl.SSLContext", _NEW[12], "3.12"),
    "check_hostname": _r("set check_hostname of the ssl.SSLContext", _NEW[12], "3.12"),
    "encoding": _r("remove it", _NEW[9], "3.9"),
}
"""Replacements of removed parameters by their name, whatever the function is."""


def replacement_of(name: str) -> StdlibReplacement | None:
    """Return the replacement for a dotted name, or that for the module that contains it."""
    plain = name.replace("()", "")
    return NAME_REPLACEMENTS.get(plain) or MODULE_REPLACEMENTS.get(plain) or _module_replacement(plain)


def _module_replacement(name: str) -> StdlibReplacement | None:
    while "." in name:
        name = name.rpartition(".")[0]
        if name in MODULE_REPLACEMENTS:
            return MODULE_REPLACEMENTS[name]
    return None
