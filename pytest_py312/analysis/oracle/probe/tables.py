"""What has to be known of standard libraries, because looking does not tell.

Runs inside the interpreter that is asked, beside ``stdlib_probe.py``: standard library only, for Python 3.8 and later.
"""

from __future__ import annotations

NEVER_IMPORTED = frozenset(
    {"this", "antigravity", "idlelib", "turtledemo", "test", "__main__", "__hello__", "__phello__"}
)
"""Importing these does something. Their source is read instead."""
NEVER_INSIDE = frozenset({"__main__", "test", "tests"})

ELSEWHERE = frozenset({
    "_msi", "_overlapped", "_scproxy", "_winapi", "_winreg", "_wmi", "msilib", "msvcrt", "nt", "winreg", "winsound",
})  # fmt: skip
"""Modules of other systems: not there, whatever the release."""

SOMETIMES = frozenset({
    "_bz2", "_crypt", "_ctypes", "_curses", "_curses_panel", "_dbm", "_gdbm", "_hashlib", "_lzma", "_sqlite3", "_ssl",
    "_tkinter", "_uuid", "crypt", "curses", "distutils", "ensurepip", "idlelib", "lib2to3", "nis", "ossaudiodev",
    "readline", "spwd", "test", "tkinter", "turtle", "turtledemo", "venv", "zlib",
})  # fmt: skip
"""Modules that builds and packagers leave out, for releases that cannot say so (``sys.stdlib_module_names``, 3.10)."""

UNSTATED = frozenset({"test"})
"""What every release has and ``sys.stdlib_module_names`` leaves out; packagers leave it out of their builds."""

BY_SITE = frozenset({"copyright", "credits", "exit", "help", "license", "quit"})
"""Builtins that only the module ``site`` adds, which is not imported here."""
AT_TIMES = frozenset({"last_exc", "last_traceback", "last_type", "last_value", "ps1", "ps2", "tracebacklimit"})
"""Attributes of ``sys`` that come and go."""

BUILT_IN_PARTS = frozenset({
    "curses", "errno", "fcntl", "mmap", "os", "posix", "resource", "select", "signal", "socket", "ssl", "termios",
    "time",
})  # fmt: skip
"""Modules whose constants depend on the system and the headers that the interpreter was built with."""
BUILT_AT_TIMES = frozenset({
    "copy_file_range", "enable_load_extension", "eventfd", "eventfd_read", "eventfd_write", "getrandom",
    "gettotalrefcount", "load_extension", "login_tty", "memfd_create", "pidfd_open", "posix_spawn", "posix_spawnp",
    "preadv", "pwritev", "setns", "splice", "unshare",
})  # fmt: skip
"""Functions that are left out where the system has no such call."""

INVENTIVE = frozenset({
    "CFuncPtr", "Context", "GenericAlias", "_local", "method", "module", "super", "weakcallableproxy", "weakproxy",
    "xmlparser",
})  # fmt: skip
"""C types that look attributes up in a way of their own; nothing in them shows it."""

TWINS = {
    "_asyncio": ("asyncio.events", "asyncio.futures", "asyncio.tasks"),
    "_datetime": ("_pydatetime", "datetime"),
    "_decimal": ("_pydecimal",),
    "_elementtree": ("xml.etree.ElementTree",),
    "_io": ("_pyio",),
    "datetime": ("_pydatetime", "datetime"),
    "decimal": ("_pydecimal",),
    "io": ("_pyio",),
}
"""Where the same is written in Python: C code has no body to read."""
