"""Whether a service is a distribution, and whether its code can be installed into a cell without a build."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.fleet import Distribution
from pytest_py312.repository.formats.toml import read_toml
from pytest_py312.repository.services.detection.packaging import find_distribution, old_build_requirements

PROJECT = '[project]\nname = "x"\nversion = "1.0"\n'


def of(*files: str, **texts: str) -> Distribution:
    """The distribution of a service with these files; ``texts`` by name with ``_`` for the dot."""
    distribution = find_distribution(
        files or ["x/__init__.py"], {name.replace("_", "."): text for name, text in texts.items()}
    )
    assert distribution is not None
    return distribution


def test_requirements_alone_make_no_distribution() -> None:
    """Nor does a pyproject.toml that only configures tools."""
    assert find_distribution(["requirements.txt"], {}) is None
    assert find_distribution([], {"pyproject.toml": "[tool.black]\n[build-system]\nrequires = []\n"}) is None
    assert find_distribution([], {"setup.py": "print('not packaging')"}) is None


@pytest.mark.parametrize(
    "texts",
    [
        {"pyproject_toml": PROJECT},
        {"pyproject_toml": '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n' + PROJECT},
        {"pyproject_toml": PROJECT, "setup_py": "from setuptools import setup\nsetup()\n"},
        {"pyproject_toml": '[tool.poetry]\nname = "x"\nversion = "1.0"\n'},
        {"setup_cfg": "[metadata]\nname = x\nversion = 1.0\n[options]\npackages = find:\n"},
        {"setup_py": "from setuptools import setup\nsetup(name='x', version='1.0', packages=['x'])\n"},
        {"setup_py": "setup(name='x', version='1.0', packages=find_packages(), long_description=open('R').read())\n"},
    ],
)
def test_literal_metadata_of_pure_python_is_static(texts: dict[str, str]) -> None:
    """All the ways to write name and version down."""
    found = of(**texts)
    assert (found.name, found.version, found.static, found.source_roots) == ("x", "1.0", True, (".",))


@pytest.mark.parametrize(
    "texts",
    [
        {"pyproject_toml": '[project]\nname = "x"\ndynamic = ["version"]\n'},
        {"pyproject_toml": PROJECT + '[build-system]\nrequires = ["maturin"]\nbuild-backend = "maturin"\n'},
        {"pyproject_toml": PROJECT + '[build-system]\nrequires = ["setuptools", "Cython>=3"]\n'},
        {"pyproject_toml": PROJECT + "[tool.hatch.build.hooks.custom]\npath = 'b.py'\n"},
        {"pyproject_toml": PROJECT + '[build-system]\nrequires = []\nbackend-path = ["."]\n'},
        {"pyproject_toml": PROJECT, "setup_py": "setup(ext_modules=[Extension('x', ['x.c'])])\n"},
        {"pyproject_toml": PROJECT, "setup_py": "setup(cmdclass={'build': B})\n"},
        {"pyproject_toml": PROJECT, "setup_py": "this does not parse"},
        {"setup_cfg": "[metadata]\nname = x\nversion = attr: x.__version__\n[options]\npackages = find:\n"},
        {"setup_py": "setup(name='x', version=read(), packages=['x'])\n"},
        {"setup_py": "setup(**configuration())\n"},
    ],
)
def test_what_only_a_build_can_tell_is_not_static(texts: dict[str, str]) -> None:
    """A computed version, a compiler, a hook, a custom command."""
    assert not of(**texts).static


def test_compiled_sources_beside_the_packages_need_a_build() -> None:
    """Those of tests do not."""
    assert not of("x/__init__.py", "x/fast.pyx", pyproject_toml=PROJECT).static
    assert of("x/__init__.py", "tests/data/a.c", pyproject_toml=PROJECT).static


@pytest.mark.parametrize(
    "texts",
    [
        {"pyproject_toml": PROJECT},
        {"pyproject_toml": PROJECT + '[tool.setuptools.packages.find]\nwhere = ["src"]\n'},
        {"pyproject_toml": PROJECT + '[tool.hatch.build.targets.wheel]\npackages = ["src/x"]\n'},
        {"pyproject_toml": '[tool.poetry]\nname = "x"\nversion = "1"\npackages = [{include = "x", from = "src"}]\n'},
        {"setup_cfg": "[metadata]\nname = x\n[options]\npackage_dir =\n    = src\n"},
        {"setup_cfg": "[metadata]\nname = x\n[options]\npackage_dir = = src\n"},
        {"setup_py": "setup(name='x', package_dir={'': 'src'})\n"},
        {"setup_py": "setup(name='x', packages=find_packages(where='src'))\n"},
    ],
)
def test_the_src_layout_is_recognised(texts: dict[str, str]) -> None:
    """By declaration, or by the content of ``src/``."""
    assert of("src/x/__init__.py", **texts).source_roots == ("src",)


def test_an_argument_of_setup_py_counts_before_an_option_of_setup_cfg() -> None:
    """So it is in setuptools 44 of Python 3.8, and in 82."""
    scripts = "entry_points={'console_scripts': ['a=a:b']}"
    distribution = of(
        "x/__init__.py",
        setup_py=f"setup(name='api', version='1', package_dir={{'': 'src'}}, {scripts})\n",
        setup_cfg="[metadata]\nname = other\nversion = 2\n[options]\npackage_dir =\n    = lib\n"
        "[options.entry_points]\nconsole_scripts =\n    c = c:d\n",
    )
    assert (distribution.name, distribution.version) == ("api", "1")
    assert (distribution.source_roots, distribution.scripts) == (("src",), (("a", "a:b"),))


def test_a_source_root_outside_the_service_is_not_taken() -> None:
    """And such a distribution is never installed without a build."""
    found = of(pyproject_toml=PROJECT + '[tool.setuptools.packages.find]\nwhere = ["../../etc"]\n')
    assert (found.source_roots, found.static) == ((".",), False)


@pytest.mark.parametrize(
    "texts",
    [
        {"pyproject_toml": PROJECT + '[project.scripts]\nx = "x:main"\n'},
        {"setup_cfg": "[metadata]\nname = x\n[options.entry_points]\nconsole_scripts =\n    x = x:main\n"},
        {"setup_py": "setup(name='x', entry_points={'console_scripts': ['x=x:main']})\n"},
    ],
)
def test_console_scripts_are_read(texts: dict[str, str]) -> None:
    """Wherever they are declared."""
    assert of(**texts).scripts == (("x", "x:main"),)


@given(st.sampled_from(["pyproject.toml", "setup.cfg", "setup.py"]), st.text())
def test_no_text_crashes(name: str, text: str) -> None:
    """And no text that means nothing is a distribution that is static without a name."""
    found = find_distribution(["x/__init__.py"], {name: text})
    assert found is None or not found.static or found.name


@pytest.mark.parametrize(
    ("files", "more", "is_distribution"),
    [
        (("shop_api/__init__.py",), "", True),
        (("src/shop_api.py",), "", True),
        (("app/main.py",), "", False),
        (("app/main.py",), 'packages = [{include = "app"}]\n', True),
    ],
)
def test_a_project_of_poetry_without_a_module_of_its_name_is_none(
    files: tuple[str, ...], more: str, is_distribution: bool
) -> None:
    """Poetry has nothing to build then, and it is installed with ``--no-root``."""
    text = f'[tool.poetry]\nname = "shop-api"\nversion = "1.0"\n{more}'
    assert (find_distribution(files, {"pyproject.toml": text}) is not None) is is_distribution


SETUP_CFG = "[metadata]\nname = x\n[options.entry_points]\nx.readers =\n    c = x:C\nconsole_scripts =\n  x=x:x\n"
POETRY = '[tool.poetry]\nname = "x"\nversion = "1"\n[tool.poetry.plugins."x.readers"]\nc = "x:C"\n'


@pytest.mark.parametrize(
    "texts",
    [
        {"pyproject_toml": PROJECT + '[project.entry-points."x.readers"]\nc = "x:C"\n'},
        {"pyproject_toml": POETRY},
        {"setup_cfg": SETUP_CFG},
        {"setup_py": "setup(name='x', entry_points={'x.readers': ['c=x:C'], 'console_scripts': 'x=x:x'})\n"},
        {"setup_py": 'setup(name="x", entry_points="""\n[x.readers]\nc = x:C\n[console_scripts]\nx=x:x\n""")\n'},
    ],
)
def test_plugins_are_read(texts: dict[str, str]) -> None:
    """What an application finds by its entry points is there without a build as well."""
    assert of(**texts).plugins == (("x.readers", "c", "x:C"),)


@pytest.mark.parametrize(
    ("requires", "limited"),
    [
        ('"setuptools==58.0.4"', ["setuptools==58.0.4"]),
        ('"wheel", "setuptools >=40, <60"', ["setuptools >=40, <60"]),
        ('"flit_core ~= 3.2"', ["flit_core ~= 3.2"]),
        ('"setuptools-scm[toml]==7.1.0"', ["setuptools-scm[toml]==7.1.0"]),
        ('"setuptools>=61,!=65.0", "setuptools-scm<9", "poetry-core>=1,<2"', []),
    ],
)
def test_build_requirements_that_may_be_old(requires: str, limited: list[str]) -> None:
    assert list(old_build_requirements(read_toml(f"[build-system]\nrequires = [{requires}]\n"))) == limited
