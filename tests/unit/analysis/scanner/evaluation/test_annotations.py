"""Values are inferred from annotations and ``return`` statements."""

import pytest

from tests.unit.analysis.fake_interpreters import facts_of

IMPORTS = "import threading, typing as t\nfrom typing import Optional, cast\nfrom threading import Thread\n"


def queried_names(text: str) -> set[str]:
    """Return the attributes of threads that the scanner queries for a text."""
    facts = facts_of(IMPORTS + text)
    return {one.path for one in facts.references if one.path.startswith("Thread().")}


@pytest.mark.parametrize(
    "text",
    [
        "def f(x: Thread):\n    x.isAlive()",
        "def f(x: 'threading.Thread'):\n    x.isAlive()",
        "def f(x: Optional[Thread] = None):\n    x.isAlive()",
        "def f(x: t.Union[Thread, None]):\n    x.isAlive()",
        "def f(x: Thread | None):\n    x.isAlive()",
        "def f(x: t.Annotated[Thread, 'own']):\n    x.isAlive()",
        "def f(xs: t.List[Thread]):\n    for x in xs:\n        x.isAlive()",
        "def f(xs: list[Thread]):\n    xs[0].isAlive()",
        "def make() -> Thread: ...\nmake().isAlive()",
        "def make():\n    return Thread()\nmake().isAlive()",
        "def make():\n    made = Thread()\n    made.start()\n    return made\nx = make()\nx.isAlive()",
        "class C:\n    @property\n    def x(self): return Thread()\n    def f(self): self.x.isAlive()",
        "class C:\n    x: Thread\n    def f(self):\n        self.x.isAlive()",
        "class C:\n    def __init__(self):\n        self.x = Thread()\n    def f(self):\n        self.x.isAlive()",
        "class Own(Thread):\n    def f(self):\n        self.isAlive()",
        "class Own(Thread):\n    def f(self):\n        super().isAlive()",
        "class Own(Thread): ...\nOwn().isAlive()",
        "x = cast(Thread, y)\nx.isAlive()",
        "for x in [Thread(), Thread()]:\n    x.isAlive()",
        "[x.isAlive() for x in threading.enumerate()]",
        "xs = []\nxs.append(Thread())\nxs[0].isAlive()",
        "def f(x):\n    if isinstance(x, Thread):\n        x.isAlive()",
        "def f(x=None):\n    x = x or Thread()\n    x.isAlive()",
        "(Thread() if x else None).isAlive()",
        "getattr(Thread(), 'isAlive')()",
    ],
)
def test_a_thread_is_recognised(text: str) -> None:
    assert "Thread().isAlive" in queried_names(text)


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    x.isAlive()",
        "def f(x: t.Type[Thread]):\n    x.isAlive()",
        "def f(x: t.Union[Thread, int]):\n    x.isAlive()",
        "def make(Thread):\n    return Thread()\nmake(y).isAlive()",
        "def make():\n    if y:\n        return Thread()\n    return 3\nmake().isAlive()",
        "def f(x):\n    if isinstance(x, Thread):\n        pass\n    x.isAlive()",
        "class Own(Thread):\n    def isAlive(self): ...\nOwn().isAlive()",
    ],
)
def test_a_value_that_may_be_anything_is_not_inferred(text: str) -> None:
    assert "Thread().isAlive" not in queried_names(text)
