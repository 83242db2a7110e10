"""Names in strings: dynamic imports, attributes, patches in tests, code."""

import pytest

from tests.unit.analysis.fake_interpreters import codes, judge_texts

IMPORTS = "import collections, functools, importlib, inspect, operator, pkgutil, runpy, subprocess, sys, timeit\n"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("importlib.import_module('imp')", "PY201"),
        ("importlib.import_module(name='imp')", "PY201"),
        ("__import__('imp')", "PY201"),
        ("__import__('inspect').getargspec", "PY202"),
        ("[importlib.import_module(name) for name in ('json', 'imp')]", "PY201"),
        ("list(map(importlib.import_module, ['json', 'imp']))", "PY201"),
        ("name = 'mp'; importlib.import_module(f'i{name}')", "PY201"),
        ("load = functools.partial(importlib.import_module, 'imp'); load()", "PY201"),
        ("[importlib.import_module(name) for name, why in (('json', 'a'), ('imp', 'b'))]", "PY201"),
        ("runpy.run_module('imp')", "PY201"),
        ("pkgutil.resolve_name('inspect:getargspec')", "PY202"),
        ("getattr(inspect, 'getargspec')", "PY202"),
        ("vars(inspect)['getargspec']", "PY202"),
        ("inspect.__dict__['getargspec']", "PY202"),
        ("sys.modules['inspect'].getargspec", "PY202"),
        ("inspect.getargspec.__name__", "PY202"),
        ("operator.attrgetter('getargspec')(inspect)", "PY202"),
        ("exec('import imp')", "PY201"),
        ("exec('import imp', {})", "PY201"),
        ("import textwrap; exec(textwrap.dedent(' import imp'))", "PY201"),
        ("names = {'old': 'imp', 'new': 'json'}; importlib.import_module(names['old'])", "PY201"),
        ("names = {'old': 'imp', 'new': 'json'}; importlib.import_module(names[x])", "PY201"),
        ("names = {'old': 'imp', 'new': 'json'}; importlib.import_module(names.get(x))", "PY201"),
        ("names = {'old': 'imp'}; [importlib.import_module(name) for key, name in names.items()]", "PY201"),
        ("exec(compile('import imp', '', 'exec'))", "PY201"),
        ("eval('collections.Mapping')", "PY202"),
        ("timeit.timeit('pass', setup='import imp')", "PY201"),
        ("subprocess.run([sys.executable, '-c', 'import imp'])", "PY201"),
        ("subprocess.run([sys.executable, '-m', 'imp'])", "PY201"),
        ("subprocess.run(['python3', '-m', 'imp'])", "PY201"),
        ("mock.patch('inspect.getargspec')", "PY202"),
        ("mock.patch.object(inspect, 'getargspec')", "PY202"),
        ("mock.patch.multiple('inspect', getargspec=3)", "PY202"),
        ("monkeypatch.setattr(inspect, 'getargspec', print)", "PY202"),
    ],
)
def test_names_in_strings_are_referred_to(text: str, code: str) -> None:
    assert codes(judge_texts(f"{IMPORTS}from unittest import mock\n{text}\n")) == [f"{code} 3"]


@pytest.mark.parametrize(
    "text",
    [
        "print('imp', 'inspect.getargspec')",
        "'''import imp'''",
        "getattr(inspect, 'getargspec', None)",
        "mock.patch('inspect.getargspec', create=True)",
        "monkeypatch.setattr(inspect, 'getargspec', print, raising=False)",
        "importlib.import_module('.imp', 'package')",
        "subprocess.run(['grep', '-c', 'import imp'])",
        "importlib.import_module({'old': 'imp', 'new': 'json'}['new'])",
        "Mapping = 3; exec('Mapping', {'imp': 3})",
        "exec('import ' + name)",
        "sys.modules['imp'] = collections\nimport imp",
        "sys.modules.setdefault('imp', collections)\nimport imp",
        "sys.modules.update(imp=collections)\nimport imp",
        "with mock.patch.dict('sys.modules', {'imp': collections}):\n    import imp",
        "monkeypatch.setitem(sys.modules, 'imp', collections)\nimport imp",
        "setattr(inspect, 'getargspec', print)\ninspect.getargspec",
    ],
)
def test_these_strings_name_nothing_that_is_missing(text: str) -> None:
    assert judge_texts(f"{IMPORTS}from unittest import mock\n{text}\n") == ()


def test_annotations_are_read_where_they_are_evaluated() -> None:
    text = """
        import collections, typing

        def f(x: "collections.Mapping"): ...

        typing.get_type_hints(f)
    """

    assert codes(judge_texts(text)) == ["PY202 6"]


def test_names_reached_through_another_file_are_referred_to() -> None:
    texts = {
        "tools.py": "import inspect\n",
        "main.py": "import tools, mock\n\nmock.patch('tools.inspect.getargspec')\ntools.inspect.getargspec\n",
    }

    assert codes(judge_texts(texts)) == ["PY202 3", "PY202 4"]
