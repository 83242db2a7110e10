"""What to do about the commonest breaks, by the last line of their traceback.

Each row is a fact of the release notes: "Removed" in What's New in Python 3.11, 3.12 and 3.13
(https://docs.python.org/3/whatsnew/); of pytest: https://docs.pytest.org/en/stable/changelog.html. A break that no row
knows gets the general advice.
"""

import re

GENERAL = "mend the code so that it runs on both, or require a version of the library that does"

REMEDIES: tuple[tuple[str, str], ...] = (
    (
        r"No module named '(?:distutils|setuptools|pkg_resources)['.]",
        "an environment has no setuptools from 3.12 on, and distutils is gone: require setuptools (below 82 for "
        "pkg_resources), or use importlib.metadata, importlib.resources and packaging instead",
    ),
    (r"No module named 'imp'", "imp is gone from 3.12 on: use importlib"),
    (r"No module named 'async(?:ore|hat)'", "gone from 3.12 on: use asyncio, or require pyasyncore or pyasynchat"),
    (r"No module named 'smtpd'", "smtpd is gone from 3.12 on: require aiosmtpd"),
    (
        r"No module named '(?:cgi|cgitb|crypt|telnetlib|pipes|imghdr|sndhdr|uu|xdrlib|nntplib|audioop|aifc|chunk|sunau|"
        r"msilib|nis|ossaudiodev|spwd|mailcap|lib2to3)'",
        "the module is gone from 3.13 on (PEP 594): see there for what replaces it",
    ),
    (
        r"has no attribute '(?:assertEquals|assertNotEquals|assert_|assertAlmostEquals|assertNotAlmostEquals|"
        r"assertRegexpMatches|assertNotRegexpMatches|assertRaisesRegexp|failUnless|failIf)'",
        "the alias is gone from 3.12 on: assertEqual, assertNotEqual, assertTrue, assertAlmostEqual, assertRegex, "
        "assertNotRegex, assertRaisesRegex",
    ),
    (r"'asyncio' has no attribute 'coroutine'", "@asyncio.coroutine is gone from 3.11 on: write async def"),
    (r"duplicate base class TimeoutError", "asyncio.TimeoutError is TimeoutError from 3.11 on: name it once"),
    (r"'(?:configparser)' has no attribute 'SafeConfigParser'", "gone from 3.12 on: use ConfigParser"),
    (r"has no attribute 'readfp'", "gone from 3.12 on: use read_file"),
    (r"'pkgutil' has no attribute 'ImpImporter'", "gone from 3.12 on: a newer setuptools or pip does without it"),
    (r"'inspect' has no attribute '(?:getargspec|formatargspec)'", "gone from 3.11 on: use inspect.signature"),
    (r"cannot import name 'UTC' from 'datetime'", "datetime.UTC came with 3.11: datetime.timezone.utc is in all"),
    (r"'ssl' has no attribute '(?:wrap_socket|match_hostname)'", "gone from 3.12 on: use an ssl.SSLContext"),
    (r"'(?:random\.)?\w*' object has no attribute 'find_module'", "gone from 3.12 on: define find_spec"),
    (
        # mock.patch resolves its target with pkgutil.resolve_name since then
        r"<module '[\w.]+\.\w+' from '[^']+'> does not have the attribute",
        "from 3.11 on mock.patch takes the submodule where a package has a class of the same name: use patch.object",
    ),
    (
        r'required field "lineno" missing from alias',
        "pytest before 6.2.4 cannot read tests from 3.10 on: require a newer one",
    ),
    (r"'FileFinder' object has no attribute 'find_module'", "gone from 3.12 on: use find_spec"),
)


def remedy_for(text: str) -> str:
    """The remedy for a traceback's end, or empty when no row knows it."""
    return next((remedy for pattern, remedy in REMEDIES if re.search(pattern, text)), "")
