"""Recognise a build that failed because of the machine: a program, a header, a library or the network is missing. Pure.

Such a failure says nothing about the source or about Python. The messages are those of setuptools, shells, compilers,
linkers, pkg-config, meson, CMake, Cargo, and of build scripts of single projects.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_py312.core.model.findings import Location

OUTPUT_LIMIT = 200_000
"""Characters at the end of a build's output that are searched."""
NETWORK = "the network"
"""What is missing if a build could not fetch something."""

_PROGRAMS = (
    r"(?:[\w.+-]+-)?(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|gfortran|ld|ar)(?:-\d+)?|[\w.+]+[-_]config|pkg-config|apxs2?"
    r"|bazel|bison|cargo|rustc|rustup|cmake|ninja|make|gmake|meson|autoconf|automake|autoreconf|libtoolize?|flex|git|go"
    r"|javac?|mvn|node|npm|yarn|nvcc|protoc|swig|yasm|nasm|patchelf|m4|perl|patch"
)
_NAME = rf"(?P<name>{_PROGRAMS})"
_REMOVED_HEADERS = (
    r"(?:longintrepr|Python-ast|asdl|ast|code|eval|grammar|node|symtable|token|parsetok|graminit|bitset|ucnhash|pyarena"
    r"|bytes_methods|pyctype|pydebug|pyfpe|pystrhex|pytime|odictobject|genobject|classobject|cellobject|funcobject"
    r"|namespaceobject|picklebufobject)\.h"
    r"|internal/py|internal/pegen"
)
"""Headers that CPython itself had up to 3.8 to 3.10: a source that includes them is broken by Python."""
_PATTERNS: tuple[str, ...] = (
    rf"command '(?:[^'\s]*/)?{_NAME}' failed: No such file or directory",
    rf"unable to execute '?(?:[^'\s:]*/)?{_NAME}'?: No such file",
    rf"No such file or directory: '(?:[^'\s]*/)?{_NAME}'",
    rf"(?:^|[\s:'\"`]){_NAME}['\"`]?: (?:command )?not found",
    rf"(?:^|[\s'\"`]){_NAME}['\"`]? (?:command |executable |program )?(?:is |was |could )?not (?:be )?"
    r"(?:found|installed)",
    rf"'{_NAME}' command appears not to be installed",
    r"(?:could not|couldn't|can(?:no|')t|unable to) (?:find|locate|run) (?:the )?(?:program |executable )?"
    rf"['\"`]?{_NAME}['\"`]?(?![\w/+-])",
    rf"fatal error: '?(?!{_REMOVED_HEADERS})(?P<header>[^\s:']{{1,120}}\.h(?:pp|xx|h)?)'?(?:: No such file or directory"
    r"| file not found)",
    # pkg-config and its wrappers
    r"(?<![\w.+-])(?P<library>[\w.+-]{1,60}) (?:was )?not found in the pkg-config search path",
    r"(?:No package '|Package ['`]?)(?P<library2>[\w.+-]{1,60})(?:' found|['`]?(?:, required by [^\n]{1,80},)? "
    r"(?:was )?not found)",
    r"Dependency \"(?P<library3>[\w.+-]+)\" not found",
    r"cannot find -l(?P<library4>[\w.+-]+)",
    r"library not found for -l(?P<library5>[\w.+-]+)",
    r"Could NOT find (?P<library6>[\w+-]+) \(missing",
    r"Could not find (?:function \S+ in )?library (?P<library7>lib[\w.+-]+)",
    r"The headers or library files could not be found for (?P<library8>[\w.+-]+)",
    r"Please make sure the (?P<library9>libxml2) and libxslt development packages are installed",
    # projects of their own: apxs of mod_wsgi, pg_config of psycopg2, mysqlclient, GDAL, cryptography
    r"(?P<pkgconfig>Can not find valid pkg-config name|Did not find pkg-config by name|Pkg-config for machine "
    r"host machine not found)",
    r"(?P<rust>can't find Rust compiler|could not find Rust toolchain|Rust toolchain|Cargo, the Rust package manager, "
    r"is not installed)",
    r"(?P<cmake>CMake must be installed|Problem with the CMake installation|CMake was unable to find a build program|"
    r"CalledProcessError: Command '\['[^'\n]*cmake')",
    r"(?P<compiler>No CMAKE_(?:C|CXX)_COMPILER could be found|Unknown compiler\(s\): \[\[|C compiler cannot create "
    r"executables|no acceptable C compiler found)",
    r"(?P<gdal>A GDAL API version must be specified)",
    r"(?P<network>Temporary failure in name resolution|Name or service not known|nodename nor servname|Network is "
    r"unreachable|[Cc]ould not resolve host|getaddrinfo failed|error sending request|Failed to fetch|Connection refused"
    r"|Connection timed out|Max retries exceeded|urlopen error|Packages were unavailable because the network was "
    r"disabled|Network connectivity is disabled|Failed to download any of the following)",
    r"(?P<space>No space left on device)",
)
_MISSING = tuple(re.compile(rf"{pattern}[^\n]{{0,300}}", re.MULTILINE) for pattern in _PATTERNS)
_FIXED_NAMES = {
    "pkgconfig": "pkg-config",
    "rust": "rustc",
    "cmake": "cmake",
    "compiler": "a C compiler",
    "gdal": "gdal-config",
    "network": NETWORK,
    "space": "space on the disk",
}

_COMPILERS = ("build-essential", "build-base", "gcc", "g++", "gcc-c++", "clang", "musl-dev", "alpine-sdk")
_PACKAGES: dict[str, tuple[str, ...]] = {
    "apxs": ("apache2-dev", "httpd-devel", "apache2-threaded-dev"),
    "cargo": ("cargo", "rust", "rustc", "rustup"),
    "rustc": ("rustc", "rust", "cargo", "rustup"),
    "pg_config": ("libpq-dev", "postgresql-dev", "postgresql-devel", "libpq-devel", "postgresql-server-dev-all"),
    "libpq-fe": ("libpq-dev", "postgresql-dev", "postgresql-devel", "libpq-devel"),
    "pq": ("libpq-dev", "postgresql-dev", "postgresql-devel", "libpq-devel"),
    "mysql_config": ("default-libmysqlclient-dev", "libmysqlclient-dev", "libmariadb-dev", "mariadb-dev"),
    "mysql": ("default-libmysqlclient-dev", "libmysqlclient-dev", "libmariadb-dev", "mariadb-dev"),
    "pkg-config": ("pkg-config", "pkgconf", "pkgconf-pkg-config", "pkgconfig"),
    "curl-config": ("libcurl4-openssl-dev", "libcurl4-gnutls-dev", "curl-dev", "libcurl-devel"),
    "gdal-config": ("libgdal-dev", "gdal-dev", "gdal-devel"),
    "xslt-config": ("libxslt1-dev", "libxslt-dev", "libxslt-devel"),
    "ffi": ("libffi-dev", "libffi-devel"),
    "openssl": ("libssl-dev", "openssl-dev", "openssl-devel"),
    "jpeg": ("libjpeg-dev", "jpeg-dev", "libjpeg62-turbo-dev", "libjpeg-turbo-devel"),
    "zlib": ("zlib1g-dev", "zlib-dev", "zlib-devel"),
    "sql": ("unixodbc-dev", "unixODBC-devel"),
    "lber": ("libldap2-dev", "libldap-dev", "openldap-dev", "openldap-devel"),
    "sasl": ("libsasl2-dev", "cyrus-sasl-dev", "cyrus-sasl-devel"),
    "protoc": ("protobuf-compiler", "protobuf"),
    "make": ("make", *_COMPILERS),
    "a C compiler": _COMPILERS,
    **dict.fromkeys(("gcc", "cc", "clang"), _COMPILERS),
    **dict.fromkeys(("g++", "c++", "clang++"), tuple(name for name in _COMPILERS if name not in ("gcc", "musl-dev"))),
}
"""What a build looks for -> packages of Debian, Alpine and Fedora that have it, where their names do not show it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingTool:
    """What the machine lacks: ``name`` for users (``gcc``, ``the header libpq-fe.h``); ``message`` is the evidence.

    ``key`` identifies it: the name of a program or library, the first part of a header's path, or a phrase such as
    "a C compiler".
    """

    name: str
    key: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemPackages:
    """Packages that an instruction of a Dockerfile installs with the system's package manager."""

    names: tuple[str, ...]
    location: Location


def find_missing_tool(output: str) -> MissingTool | None:
    """Return what the machine lacks for a build, according to its ``output``; ``None`` if that is not the reason.

    Of several, the one that is reported first counts: what follows is often only its consequence.
    """
    matches = [match for pattern in _MISSING if (match := pattern.search(output[-OUTPUT_LIMIT:]))]
    if not matches:
        return None
    first = min(matches, key=lambda match: match.start())
    (group, key), *_ = ((group, text) for group, text in first.groupdict().items() if text)
    message = first[0].strip(" \t:'\"`").rstrip(".")
    if group in _FIXED_NAMES:
        return MissingTool(name=_FIXED_NAMES[group], key=_FIXED_NAMES[group], message=message)
    if group == "header":
        stem = key.rpartition("/")[2].partition(".")[0] if "/" not in key else key.partition("/")[0]
        return MissingTool(name=f"the header {key}", key=stem, message=message)
    if group.startswith("library"):
        return MissingTool(name=f"the library {key}", key=key, message=message)
    return MissingTool(
        name=key, key=re.sub(r"^.*-(?=(?:gcc|g\+\+|cc|c\+\+|ld|ar)$)|-\d+$|(?<=apxs)2$", "", key), message=message
    )


def find_installation(missing: MissingTool, packages: Iterable[SystemPackages]) -> tuple[str, Location] | None:
    """Return the package that has what is missing, and where a Dockerfile installs it."""
    for group in packages:
        for package in group.names:
            if _has_tool(package, missing.key):
                return package, group.location
    return None


def _has_tool(package: str, key: str) -> bool:
    if package in _PACKAGES.get(key, ()) or package in _PACKAGES.get(key.lower(), ()):
        return True
    stem = re.sub(r"^lib", "", key.lower()).partition("-config")[0].rstrip("0123456789.-")
    development = re.fullmatch(r"(?:lib)?(.+?)[\d.-]*(?:-?dev|-?devel)", package.lower())
    return package == key or (development is not None and len(stem) > 1 and development[1].rstrip("-_") == stem)
