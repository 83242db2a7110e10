"""A text whose characters remember where they stand in the file that they come from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LENGTH_LIMIT = 4_000
"""Characters of one value with all variables put in."""

_VARIABLE = re.compile(
    r"\\\$|\$\{(?P<braced>[A-Za-z_]\w*)(?:(?P<operator>:?[-+])(?P<word>[^{}]*))?\}|\$(?P<bare>[A-Za-z_]\w*)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Traced:
    """``offsets[i]`` is where character ``i`` of ``text`` stands."""

    text: str
    offsets: Sequence[int]

    @classmethod
    def of(cls, text: str, start: int, end: int) -> "Traced":
        """The characters from ``start`` to before ``end``."""
        return cls(text[start:end], range(start, end))

    def part(self, start: int, end: int) -> "Traced":
        return Traced(self.text[start:end], self.offsets[start:end])

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """Where the characters stand in the file, if they stand there side by side."""
        found = self.offsets[start:end]
        if not found or any(found[index] + 1 != found[index + 1] for index in range(len(found) - 1)):
            return None
        return found[0], found[-1] + 1


def expanded(value: Traced, values: Mapping[str, Traced], missing: list[str] | None = None) -> Traced:
    """``value`` with ``$X``, ``${X}``, ``${X:-y}`` and ``${X:+y}`` put in.

    A name without a value is nothing, and is added to ``missing``.
    """
    parts: list[Traced] = []
    position = 0
    for match in _VARIABLE.finditer(value.text):
        parts.append(value.part(position, match.start()))
        position = match.end()
        parts.append(_value_of(value, match, values, missing))
    parts.append(value.part(position, len(value.text)))
    text = "".join(part.text for part in parts)[:LENGTH_LIMIT]
    offsets = [offset for part in parts for offset in part.offsets][:LENGTH_LIMIT]
    return Traced(text, offsets)


def _value_of(value: Traced, match: re.Match[str], values: Mapping[str, Traced], missing: list[str] | None) -> Traced:
    name = match["braced"] or match["bare"]
    if name is None:
        return value.part(match.end() - 1, match.end())
    found = values.get(name)
    operator = match["operator"] or ""
    given = bool(found and found.text) if operator.startswith(":") else found is not None
    word = value.part(*match.span("word")) if match["word"] is not None else Traced("", ())
    if operator.endswith("+"):
        return word if given else Traced("", ())
    if given and found is not None:
        return found
    if operator.endswith("-"):
        return expanded(word, values)
    if found is None and missing is not None:
        missing.append(name)
    return found or Traced("", ())
