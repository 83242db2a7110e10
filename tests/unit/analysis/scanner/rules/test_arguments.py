"""Values and types of arguments that some releases refuse, and similar ones that are valid."""

import pytest

from pytest_py312.analysis.judging.rule_table import NEW_FEATURES, RULES
from tests.unit.analysis.fake_interpreters import codes, facts_of, judge_texts

IMPORTS = """\
import argparse, asyncio, array, atexit, concurrent.futures, collections, enum, copy, datetime, decimal, functools
import itertools, math, os, pathlib, fileinput, multiprocessing, random, re, shlex, shutil, socket, sqlite3, ssl
import tarfile, threading, types, typing, urllib.request
import importlib.metadata as metadata
import xml.etree.ElementTree as ET
from unittest import mock
async def work(): ...
def names() -> typing.Set[str]: ...
"""
LINE = IMPORTS.count("\n") + 1


def rules_of(text: str) -> list[str]:
    return [fact.rule for fact in facts_of(IMPORTS + text).rule_matches if fact.line >= LINE]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("open('a', 'rU')", "open-mode-u"),
        ("mode = 'Ub'\nopen('a', mode=mode)", "open-mode-u"),
        ("pathlib.Path('a').open('rU')", "open-mode-u"),
        ("def f(mode='rU'):\n    open('a', mode)", "open-mode-u"),
        ("re.compile('a(?i)b')", "regex-flags"),
        ("re.match(b'a(?i)b', b'')", "regex-flags"),
        ("re.sub(f'a(?i){x}', '', '')", "regex-flags"),
        ("re.split('a(?i)%s' % x, '')", "regex-flags"),
        ("re.split('|'.join([',', '(?i)b']), '')", "regex-flags"),
        (r"re.sub('(a)', r'\g<+1>', '')", "regex-group"),
        (r"re.sub('(a)', r'\g< 1 >', '')", "regex-group"),
        ("re.compile('(a)(?(+1)b|c)')", "regex-group"),
        ("re.compile(b'(?P<\\xe4>a)')", "regex-group"),
        ("socket.htons(70000)", "wide-port"),
        ("mock.create_autospec(mock.MagicMock())", "autospec-of-mock"),
        ("made = mock.Mock()\nmock.Mock(spec=made)", "spec-of-mock"),
        ("fileinput.input('a')[0]", "no-items"),
        ("def f(made: ssl.SSLContext):\n    made.options = ssl.OP_ALL | ssl.OP_NO_TLSv1", "ssl-old-options"),
        ("random.sample({1}, 1)", "sample-of-set"),
        ("random.sample(population=set(x), k=1)", "sample-of-set"),
        ("random.sample(names(), 1)", "sample-of-set"),
        ("random.sample({}.keys(), 1)", "sample-of-set"),
        ("def f(x):\n    random.sample(x.keys(), 1)", "sample-of-set"),
        ("def f(x, y):\n    random.sample(x.difference(y), 1)", "sample-of-set"),
        ("random.Random().sample(frozenset(x) | {1}, 1)", "sample-of-set"),
        ("random.randrange(10.0)", "randrange-of-float"),
        ("random.randint(0, x / 2)", "randrange-of-float"),
        ("random.randrange(math.sqrt(x))", "randrange-of-float"),
        ("math.factorial(5.0)", "factorial-of-float"),
        ("random.seed((1, 2))", "seed-type"),
        ("random.Random(datetime.datetime.now())", "seed-type"),
        ("chr(decimal.Decimal(65))", "decimal-as-int"),
        ("shlex.split(None)", "shlex-none"),
        ("asyncio.wait([work()])", "wait-of-coroutines"),
        ("asyncio.wait({asyncio.sleep(0)})", "wait-of-coroutines"),
        ("jobs = []\njobs.append(work())\nasyncio.wait(jobs)", "wait-of-coroutines"),
        ("asyncio.wait(list(map(work, x)))", "wait-of-coroutines"),
        ("metadata.entry_points()['x']", "entry-points-mapping"),
        ("metadata.entry_points().get('x', [])", "entry-points-mapping"),
        ("'x' in metadata.entry_points()", "entry-points-mapping"),
        ("types.CodeType(0, 0, 0, 0, 0, 0, x, x, x, x, x, x, 1, x)", "code-type"),
        ("type(x.__code__)(0, 0, 0, 0, 0, 0, x, x, x, x, x, x, 1, x)", "code-type"),
        ("mock.Mock().run.called_once_with(1)", "mock-assertion"),
        ("thing.called_once()", "mock-assertion"),
        ("assert thing.called_once", "mock-assertion-asserted"),
        ("assert thing.run.called_with(1), 'no'", "mock-assertion-asserted"),
        ("assert mock.Mock().called_once_with(1) and x", "mock-assertion-asserted"),
        ("assert [thing.called_with(1)]", "mock-assertion"),
        ("mock.Mock().asert_called_with(1)", "mock-misspelt"),
        ("thing.assrt_called()", "mock-misspelt"),
        (
            "argparse.ArgumentParser().add_argument('-a', action=argparse.BooleanOptionalAction, type=bool)",
            "boolean-action",
        ),
        ("group.add_argument('-a', action=argparse.BooleanOptionalAction, choices=x)", "boolean-action"),
        ("typing.TypedDict('A', a=int)", "typed-dict-keywords"),
        ("typing.NamedTuple('A', a=int)", "named-tuple-keywords"),
        ("copy.copy(itertools.chain())", "itertools-copy"),
        ("threading.Thread()\nos.fork()", "fork-with-threads"),
        ("atexit.register(end)\ndef end():\n    threading.Thread(target=print).start()", "thread-at-exit"),
        ("@atexit.register\ndef end():\n    t = threading.Timer(1, print)\n    t.start()", "thread-at-exit"),
        ("class A:\n    def end(self): threading.Thread().start()\natexit.register(A().end)", "thread-at-exit"),
        ("ssl.create_default_context(cafile='ca.pem')", "strict-certificates"),
        ("multiprocessing.Process(target=work).start()", "start-method"),
        ("concurrent.futures.ProcessPoolExecutor(2)", "start-method"),
        ("if NotImplemented: pass", "not-implemented-truth"),
        ("def f(root):\n    a = root.find('b')\n    if a: print(a.text)", "element-truth"),
        ("def f(root):\n    a = root.find('b')\n    print(a.text)\n    return not a", "element-truth"),
        ("for a in ET.ElementTree().getroot().iter('a'):\n    if a.find('b'): pass", "element-truth"),
        ("if not ET.fromstring('<a/>').find('b'): pass", "element-truth"),
        ("[x for x in ET.parse('a').getroot() if x]", "element-truth"),
        ("~(x is None)", "bool-invert"),
        ("~(len(x) > 3)", "bool-invert"),
        ("next(x).throw(ValueError, 'a')", "generator-throw"),
        ("ssl.SSLContext()", "ssl-context"),
        ("ssl.SSLContext(protocol=ssl.PROTOCOL_TLSv1)", "ssl-context"),
        ("def f(protocol=ssl.PROTOCOL_TLSv1):\n    ssl.SSLContext(protocol)", "ssl-context"),
        ("tarfile.open('a').extractall()", "tar-filter"),
        ("shutil.unpack_archive('a.tar.gz')", "tar-filter"),
        ("sqlite3.connect('a').execute('?', (datetime.date.today(),))", "sqlite-adapter"),
        ("sqlite3.connect('a').execute(':a', (1,))", "sqlite-named"),
        ("with pathlib.Path('a') / 'b' as here: pass", "path-context"),
        ("pathlib.PurePath('a').relative_to('a', 'b')", "relative-to-many"),
        ("print(x.__code__.co_lnotab)", "co-lnotab"),
        ("asyncio.get_event_loop()", "event-loop"),
        ("asyncio.gather(work())", "event-loop-needed"),
        ("asyncio.get_child_watcher()", "child-watcher"),
        ("urllib.request.FancyURLopener()", "url-opener"),
        ("class Own(urllib.request.FancyURLopener): ...\nOwn()", "url-opener"),
        ("isinstance(x, typing.ByteString)", "byte-string"),
        ("re.sub('a', 'b', 'c', 1)", "re-positional"),
        ("datetime.datetime.strptime(x, '%d %b')", "strptime-without-year"),
        ("array.array('u')", "array-u"),
        ("zip(x, x, strict=True)", "zip-strict"),
        ("re.compile(r'a++')", "regex-possessive"),
        ("re.match(b'(?>a)', b'')", "regex-possessive"),
        ("re.search('a{2,3}+', '')", "regex-possessive"),
        ("datetime.datetime.fromisoformat('2024-01-01T00:00:00Z')", "iso-text"),
        ("datetime.date.fromisoformat('20240101')", "iso-text"),
        ("class A(enum.Enum):\n    B = 1\n'b' in A", "enum-contains"),
        ("class A(str, enum.Enum):\n    B = 'b'\n3 not in A", "enum-contains"),
        ("int.from_bytes(x)", "from-bytes"),
        ("x.bit_count()", "bit-count"),
        ("isinstance(x, int | None)", "union-of-types"),
        ("def f(x: pathlib.Path | None): ...", "union-of-types"),
        ("def f(x: typing.Dict[str, int] | None): ...", "union-of-types"),
        ("import numpy\ndef f(x: numpy.ndarray | None): ...", "union-of-types"),
        ("(5).to_bytes()", "to-bytes"),
        ("x.to_bytes(4)", "to-bytes"),
        ("random.randint(0, min(60, x * 2.0))", "randrange-of-float"),
        ("sqlite3.connect('a').execute('?', (x or datetime.date.today(),))", "sqlite-adapter"),
        ("with mock.patch('a.b') as made: mock.Mock(spec=made)", "spec-of-mock"),
    ],
)
def test_code_that_releases_refuse_or_warn_about_is_matched(text: str, rule: str) -> None:
    assert rules_of(text) == [rule]
    assert rule in RULES or rule in NEW_FEATURES


@pytest.mark.parametrize(
    "text",
    [
        "open('U', 'r', encoding='U')",
        "open(x, 'Upper')",
        "re.compile('(?i)a')",
        "re.compile('a(?i:b)')",
        "re.compile(' (?i) a', re.VERBOSE)",
        "re.compile(r'a\\(?i\\)')",
        "re.compile(r'a\\++')",
        "re.compile('[*+]+ [+*]+? [)}]}+')",
        "datetime.datetime.fromisoformat('2024-01-01T10:00:00.123456+02:00')",
        "datetime.datetime.fromisoformat('2024-01-01 10:00')",
        "datetime.datetime.fromisoformat('never')",
        "class A(enum.Enum):\n    B = 1\nA.B in A, 'B' in A.__members__, x in A",
        "int.from_bytes(x, 'big'), int.from_bytes(x, byteorder=y), own.from_bytes(x)",
        "argparse.ArgumentParser().add_argument('-a', action=argparse.BooleanOptionalAction, default=True)",
        "def f(root):\n    a = root.find('b')\n    if a is not None: print(a.text)",
        "def f(line):\n    a = line.find('b')\n    if a: print(a)",
        "def f(line):\n    a = line.find('b', 3)\n    if a: print(a.text)",
        "asserted.assertion",
        "random.sample(sorted({1}), 1)",
        "random.sample(list({1}), 1)",
        "random.randrange(10 // 2)",
        "random.randrange(int(x / 2))",
        "random.randrange(10.5)",
        "random.seed(str((1, 2)))",
        "chr(int(decimal.Decimal(65)))",
        "shlex.split(x)",
        "asyncio.wait([asyncio.create_task(work())])",
        "metadata.entry_points(group='x')",
        "metadata.entry_points().select(group='x')",
        "x.__code__.replace(co_name='a')",
        "mock.Mock().assert_called_once_with(1)",
        "mock.Mock(unsafe=True).called_with(1)",
        "typing.TypedDict('A', {'a': int}, total=False)",
        "typing.NamedTuple('A', [('a', int)])",
        "copy.copy([1])",
        "os.fork()",
        "def end(): threading.Thread().start()",
        "atexit.register(end)\ndef end(): worker.join()",
        "import certifi\nssl.create_default_context(cafile=certifi.where())",
        "ssl.create_default_context(cafile=None)",
        "atexit.register(end)\ndef end():\n    threading.Thread()\n    server.start()",
        "def end(): pass\nclass B:\n    def end(self): threading.Thread().start()\natexit.register(end)",
        "concurrent.futures.ProcessPoolExecutor(2, x)",
        "ssl.create_default_context()",
        "multiprocessing.set_start_method('fork')\nmultiprocessing.Process().start()",
        "concurrent.futures.ProcessPoolExecutor(2, mp_context=x)",
        "if x is NotImplemented: pass",
        "if ET.fromstring('<a/>').find('b') is not None: pass",
        "if ET.fromstring('<a/>').findall('b'): pass",
        "~5, ~len(x), ~(x == 3), ~int(True)",
        "next(x).throw(ValueError('a'))",
        "ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)",
        "tarfile.open('a').extractall(filter='data')",
        "shutil.unpack_archive('a.zip')",
        "sqlite3.connect('a').execute('?', (str(datetime.date.today()),))",
        "sqlite3.connect('a').execute(':a', {'a': 1})",
        "with pathlib.Path('a').open() as here: pass",
        "pathlib.PurePath('a').relative_to('a')",
        "async def f():\n    asyncio.get_event_loop()",
        "asyncio.set_event_loop(x)\nasyncio.get_event_loop()",
        "re.sub('a', 'b', 'c', count=1)",
        "datetime.datetime.strptime(x, '%d %b %Y')",
        "array.array('i')",
        "isinstance(x, (int, str))",
        "x | y, {1} | {2}, 'a' | x",
        r"re.sub('(?P<a>a)(b)', r'\g<a>\g<2>\1', '')",
        "re.compile('(a)?(?(1)b|c)')",
        r"re.compile(r'\(?(x )')",
        "'|'.join(names), '|'.join(['a', x])",
        "socket.htons(80)",
        "mock.create_autospec(threading.Thread)",
        "mock.Mock(spec=threading.Thread)",
        "import requests_mock\nsent = requests_mock.get('x')\nassert sent.called_once",
        "import requests_mock\ndef test_it(rmock):\n    sent = rmock.get('x')\n    assert sent.called_once",
        "made = mock.Mock(spec=['called_once'])\nmade.called_once()",
        "list(fileinput.input('a'))[0]",
        "re.I | re.M, os.O_RDONLY | x, pathlib.Path('a') | None",
        "x.to_bytes(), x.to_bytes(4, 'big'), x.to_bytes(4, byteorder=y)",
        "random.randint(0, min(60, x * 2)), random.randint(0, int(min(60, x * 2.0)))",
        "with mock.patch('a.b', new=x) as made: mock.Mock(spec=made)",
    ],
)
def test_similar_code_is_not_matched(text: str) -> None:
    assert rules_of(text) == []


LOOP = "def clock():\n    return asyncio.get_event_loop().time()\n"
POOL = "class Pool:\n    def __init__(self, loop=None):\n        self.loop = loop or asyncio.get_event_loop()\n"


@pytest.mark.parametrize(
    ("text", "warns"),
    [
        (LOOP, True),
        (f"{LOOP}async def f():\n    return clock()", False),
        (f"{LOOP}async def f():\n    return clock()\nclock()", True),
        (f"{POOL}async def f():\n    return Pool()", False),
        (f"{POOL}pool = Pool()", True),
    ],
)
def test_functions_called_only_by_coroutines_have_a_running_loop(text: str, warns: bool) -> None:
    assert codes(judge_texts(f"import asyncio\n{text}")) == ([f"PY220 {3 if LOOP in text else 4}"] if warns else [])


def test_functions_imported_by_another_file_may_be_called_without_a_loop() -> None:
    pool = f"import asyncio\n{POOL}async def f():\n    return Pool()"

    assert codes(judge_texts({"pool.py": pool, "main.py": "from pool import Pool\nPool()"})) == ["PY220 4"]


def test_a_guard_of_a_process_is_not_that_of_a_thread_at_exit() -> None:
    text = (
        "import atexit, multiprocessing, sys, threading\n@atexit.register\ndef end():\n"
        "    threading.Thread().start()\nif sys.version_info < (3, 12):\n    multiprocessing.Process().start()\n"
    )
    guards = {match.rule: match.guard for match in facts_of(text).rule_matches}
    assert guards["thread-at-exit"] == 0
    assert guards["start-method"] != 0
