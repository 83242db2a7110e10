"""Names of the standard libraries of Python 3.8 to 3.14, independent of the running interpreter.

Includes the methods that are recognised by name alone when the class of the object is unknown.
"""

from pytest_py312.analysis.scanner.facts.stdlib_queries import StdlibQuery

STDLIB_MODULES = frozenset(
    """
__future__ __main__ _abc _aix_support _android_support _ast _asyncio _bisect _blake2 _bootlocale _bootsubprocess _bz2
_codecs _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _collections _collections_abc _colorize
_compat_pickle _compression _contextvars _crypt _csv _ctypes _curses _curses_panel _datetime _dbm _decimal
_dummy_thread _dummy_threading _elementtree _frozen_importlib _frozen_importlib_external _functools _gdbm _hashlib
_heapq _imp _interpchannels _interpqueues _interpreters _io _ios_support _json _locale _lsprof _lzma _markupbase _md5
_msi _multibytecodec _multiprocessing _opcode _opcode_metadata _operator _osx_support _overlapped _pickle _posixshmem
_posixsubprocess _py_abc _pydatetime _pydecimal _pyio _pylong _pyrepl _queue _random _scproxy _sha1 _sha2 _sha256
_sha3 _sha512 _signal _sitebuiltins _socket _sqlite3 _sre _ssl _stat _statistics _string _strptime _struct
_suggestions _symtable _sysconfig _thread _threading_local _tkinter _tokenize _tracemalloc _typing _uuid _warnings
_weakref _weakrefset _winapi _wmi _zoneinfo abc aifc annotationlib antigravity argparse array ast asynchat asyncio
asyncore atexit audioop base64 bdb binascii binhex bisect builtins bz2 cProfile calendar cgi cgitb chunk cmath cmd
code codecs codeop collections colorsys compileall compression concurrent configparser contextlib contextvars copy
copyreg crypt csv ctypes curses dataclasses datetime dbm decimal difflib dis distutils doctest dummy_threading email
encodings ensurepip enum errno faulthandler fcntl filecmp fileinput fnmatch formatter fractions ftplib functools gc
genericpath getopt getpass gettext glob graphlib grp gzip hashlib heapq hmac html http idlelib imaplib imghdr imp
importlib inspect io ipaddress itertools json keyword lib2to3 linecache locale logging lzma macpath macurl2path
mailbox mailcap marshal math mimetypes mmap modulefinder msilib msvcrt multiprocessing netrc nis nntplib nt ntpath
nturl2path numbers opcode operator optparse os ossaudiodev parser pathlib pdb pickle pickletools pipes pkgutil
platform plistlib poplib posix posixpath pprint profile pstats pty pwd py_compile pyclbr pydoc pydoc_data pyexpat
queue quopri random re readline reprlib resource rlcompleter runpy sched secrets select selectors shelve shlex shutil
signal site smtpd smtplib sndhdr socket socketserver spwd sqlite3 sre_compile sre_constants sre_parse ssl stat
statistics string stringprep struct subprocess sunau symbol symtable sys sysconfig syslog tabnanny tarfile telnetlib
tempfile termios test textwrap this threading time timeit tkinter token tokenize tomllib trace traceback tracemalloc
tty turtle turtledemo types typing unicodedata unittest urllib uu uuid venv warnings wave weakref webbrowser winreg
winsound wsgiref xdrlib xml xmlrpc zipapp zipfile zipimport zlib zoneinfo
""".split()  # noqa: SIM905 - a list literal of these is 300 lines or one of 4,000 characters
)
"""Top-level modules."""

IMPORTABLE_SUBMODULES = frozenset({
    "collections.abc", "concurrent.futures", "http.client", "http.server", "importlib.abc", "importlib.machinery",
    "importlib.metadata", "importlib.resources", "importlib.util", "logging.config", "logging.handlers", "os.path",
    "unittest.case", "unittest.mock", "urllib.error", "urllib.parse", "urllib.request", "xml.dom.minidom",
    "xml.etree.ElementTree", "xml.etree.cElementTree",
})  # fmt: skip
"""Submodules that are often imported as ``from package import submodule``."""

PRELOADED_MODULES = frozenset({
    "abc", "builtins", "codecs", "encodings", "errno", "gc", "genericpath", "io", "itertools", "marshal", "os", "posix",
    "posixpath", "site", "stat", "sys", "time", "zipimport",
})  # fmt: skip
"""Modules that are loaded before any code of a service runs. A local module of the same name is never imported."""

VERSION_DEPENDENT_BUILTINS = frozenset({
    "BaseExceptionGroup", "EncodingWarning", "ExceptionGroup", "PythonFinalizationError", "_IncompleteInputError",
    "aiter", "anext",
})  # fmt: skip
"""Builtins that some of these releases lack."""

BUILTIN_TYPES = frozenset(
    {"bool", "bytearray", "bytes", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple"}
)


def is_stdlib_module(module: str) -> bool:
    """Return whether a dotted name is a stdlib module, or may be inside a stdlib package."""
    return module.partition(".")[0] in STDLIB_MODULES


DISTINCTIVE_METHODS: dict[str, tuple[StdlibQuery, ...]] = {
    name: (StdlibQuery(module=module, path=f"{owner}().{name}"),)
    for (module, owner), names in {
        ("unittest", "TestCase"): (
            "assertAlmostEquals", "assertDictContainsSubset", "assertEquals", "assertItemsEqual",
            "assertNotAlmostEquals", "assertNotEquals", "assertNotRegexpMatches", "assertRaisesRegexp",
            "assertRegexpMatches", "assert_", "failIf", "failUnless", "failUnlessEqual",
        ),
        ("xml.etree.ElementTree", "Element"): ("getchildren", "getiterator"),
        ("threading", "Thread"): ("isAlive", "isDaemon", "setDaemon"),
        ("threading", "Condition"): ("notifyAll",),
        ("threading", "Event"): ("isSet",),
        ("configparser", "RawConfigParser"): ("readfp",),
    }.items()
    for name in names
}  # fmt: skip
"""Method name -> the queries for the classes that have it."""
