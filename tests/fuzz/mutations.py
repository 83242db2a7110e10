"""Change a text as a careless or hostile author would: by its lines, words, values and brackets, not bit by bit."""

import random
import re
from collections.abc import Callable, Sequence

HOSTILE = (
    *(
        "",
        " ",
        "\0",
        "\x1b[2J",
        "\x1b]0;x\x07",
        "\u202e",
        "\ud800",
        "\ufeff",
        "\u2028",
        "\r",
        "\n",
        "\r\n",
        "\t",
        "\x85",
    ),
    *(
        "é",
        "\U0001f600",
        "%0A",
        "::error::x",
        "|",
        "||",
        "`",
        "]]>",
        "<script>",
        "&amp;",
        "../../../etc/passwd",
        "/dev/zero",
    ),
    *("~", "-", "--", "*", "**/" * 20, "9" * 5000, "-1", "1e999", "0x10", "NaN", "null", "true", "3.9", "3.12", "py39"),
    *("python3.9", "${A}", "${A:-${B}}", "$(x)", "$$", "{{ x }}", "{% if x %}", "&a", "*a", "<<: *a", "<<EOF"),
    *(
        "!!python/object:os.system x",
        "!reference [a, b]",
        "'''",
        '"""',
        '"',
        "'",
        "\\",
        "\\\n",
        "#",
        ";",
        "&&",
        "@",
        ":",
    ),
    *("=", "==", ">=", ",", "[", "]", "{", "}", "(", ")", "a" * 3000, "a." * 200, "(" * 300, "[" * 300, "{a=" * 150),
    *("a: " * 50, "not " * 200, "lambda:" * 100, "^3.9 || " * 100, ">=3," * 200),
)
"""What is put into places where it was not expected."""
MAX_LENGTH = 60_000
"""Characters of an input: ``tests/benchmarks/input_growth.py`` is for long ones."""

BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"), ("${A:-", "}"), ("$(", ")"), ('"', '"'), ("{{", "}}"))

Mutation = Callable[[random.Random, str, Sequence[str]], str]


def _span(rng: random.Random, text: str, longest: int) -> tuple[int, int]:
    start = rng.randrange(len(text) + 1)
    return start, min(len(text), start + rng.randint(1, longest))


def _insert(rng: random.Random, text: str, words: Sequence[str]) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice((*HOSTILE, *words)) + text[at:]


def _delete(rng: random.Random, text: str, words: Sequence[str]) -> str:
    start, end = _span(rng, text, 40)
    return text[:start] + text[end:]


def _replace_word(rng: random.Random, text: str, words: Sequence[str]) -> str:
    found = list(re.finditer(r"[\w.$%@/*<>=~^!|-]+", text))
    if not found:
        return _insert(rng, text, words)
    match = rng.choice(found)
    return text[: match.start()] + rng.choice((*HOSTILE, *words)) + text[match.end() :]


def _replace_value(rng: random.Random, text: str, words: Sequence[str]) -> str:
    found = list(re.finditer(r"(?m)(?<=[:=]).*$", text))
    if not found:
        return _replace_word(rng, text, words)
    match = rng.choice(found)
    return f"{text[: match.start()]} {rng.choice((*HOSTILE, *words))}{text[match.end() :]}"


def _change_lines(rng: random.Random, text: str, words: Sequence[str]) -> str:
    lines = text.splitlines(keepends=True) or [""]
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    choice = rng.randrange(5)
    if choice == 0:
        lines[first], lines[second] = lines[second], lines[first]
    elif choice == 1:
        lines[first:first] = [lines[second]] * rng.choice((1, 2, 50))
    elif choice == 2:
        del lines[min(first, second) : max(first, second)]
    elif choice == 3:
        lines[first] = rng.choice(("", " ", "    ", "\t", "- ")) * rng.choice((1, 3, 40)) + lines[first].lstrip()
    else:
        lines[first] = lines[first].rstrip("\r\n")
    return "".join(lines)


def _repeat(rng: random.Random, text: str, words: Sequence[str]) -> str:
    start, end = _span(rng, text, 60)
    return text[:start] + text[start:end] * rng.choice((2, 10, 300)) + text[end:]


def _nest(rng: random.Random, text: str, words: Sequence[str]) -> str:
    start, end = _span(rng, text, 30)
    opening, closing = rng.choice(
        (("(", ")"), ("[", "]"), ("{", "}"), ("${A:-", "}"), ("$(", ")"), ('"', '"'), ("{{", "}}"))
    )
    depth = rng.choice((1, 3, 120))
    return text[:start] + opening * depth + text[start:end] + closing * depth + text[end:]


def _cut(rng: random.Random, text: str, words: Sequence[str]) -> str:
    return text[: rng.randrange(len(text) + 1)]


MUTATIONS: tuple[Mutation, ...] = (
    *(_insert, _delete, _repeat, _nest, _cut),
    *(_replace_word, _replace_word, _replace_value, _replace_value, _change_lines, _change_lines),
)


def mutate(rng: random.Random, samples: Sequence[str], words: Sequence[str]) -> str:
    """Return a changed sample, or parts of two of them."""
    text = rng.choice(samples)
    if rng.random() < 0.2:
        other = rng.choice(samples)
        text = text[: rng.randrange(len(text) + 1)] + other[rng.randrange(len(other) + 1) :]
    for _ in range(rng.choice((1, 1, 2, 3, 5, 8))):
        text = rng.choice(MUTATIONS)(rng, text, words)[:MAX_LENGTH]
    return text
