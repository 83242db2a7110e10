"""Facts about standard libraries that cannot be determined by inspection.

Runs inside the queried interpreter, beside ``stdlib_probe.py``: standard library only, for Python 3.8 and later.
"""

from __future__ import annotations

NEVER_IMPORTED = frozenset(
    {"this", "antigravity", "idlelib", "turtledemo", "test", "__main__", "__hello__", "__phello__"}
)
"""Importing these has side effects. Their source is read instead."""
NEVER_IMPORTED_SUBMODULES = frozenset({"__main__", "test", "tests"})

OTHER_PLATFORM_MODULES = frozenset({
    "_msi", "_overlapped", "_scproxy", "_winapi", "_winreg", "_wmi", "msilib", "msvcrt", "nt", "winreg", "winsound",
})  # fmt: skip
"""Modules of other platforms. Their absence says nothing about the release."""

OPTIONAL_MODULES = frozenset({
    "_bz2", "_crypt", "_ctypes", "_curses", "_curses_panel", "_dbm", "_gdbm", "_hashlib", "_lzma", "_sqlite3", "_ssl",
    "_tkinter", "_uuid", "crypt", "curses", "distutils", "ensurepip", "idlelib", "lib2to3", "nis", "ossaudiodev",
    "readline", "spwd", "test", "tkinter", "turtle", "turtledemo", "venv", "zlib",
})  # fmt: skip
"""Modules that builds and packagers may leave out, for releases without ``sys.stdlib_module_names`` (before 3.10)."""

UNLISTED_MODULES = frozenset({"test"})
"""Modules that every release has although ``sys.stdlib_module_names`` omits them. Packagers may leave them out."""

SITE_BUILTINS = frozenset({"copyright", "credits", "exit", "help", "license", "quit"})
"""Builtins that only the module ``site`` adds, which is not imported here."""
TRANSIENT_SYS_ATTRIBUTES = frozenset(
    {"last_exc", "last_traceback", "last_type", "last_value", "ps1", "ps2", "tracebacklimit"}
)
"""Attributes of ``sys`` that exist only temporarily."""

PLATFORM_DEPENDENT_MODULES = frozenset({
    "curses", "errno", "fcntl", "mmap", "os", "posix", "resource", "select", "signal", "socket", "ssl", "termios",
    "time",
})  # fmt: skip
"""Modules whose constants depend on the platform and the headers of the build."""
OPTIONAL_FUNCTIONS = frozenset({
    "copy_file_range", "enable_load_extension", "eventfd", "eventfd_read", "eventfd_write", "getrandom",
    "gettotalrefcount", "load_extension", "login_tty", "memfd_create", "pidfd_open", "posix_spawn", "posix_spawnp",
    "preadv", "pwritev", "setns", "splice", "unshare",
})  # fmt: skip
"""Functions that are missing where the platform has no such system call."""

DYNAMIC_ATTRIBUTE_TYPES = frozenset({
    "CFuncPtr", "Context", "GenericAlias", "_local", "method", "module", "super", "weakcallableproxy", "weakproxy",
    "xmlparser",
})  # fmt: skip
"""C types with custom attribute lookup, which inspection cannot detect."""

PYTHON_IMPLEMENTATIONS = {
    "_asyncio": ("asyncio.events", "asyncio.futures", "asyncio.tasks"),
    "_datetime": ("_pydatetime", "datetime"),
    "_decimal": ("_pydecimal",),
    "_elementtree": ("xml.etree.ElementTree",),
    "_io": ("_pyio",),
    "datetime": ("_pydatetime", "datetime"),
    "decimal": ("_pydecimal",),
    "io": ("_pyio",),
}
"""C module -> the modules with the same code in Python, which has a source to read."""
