"""Translated pages: ``page.zh.md`` names the digest of the ``page.md`` from which it was made.

    python -m tests.documentation.translations            # lists pages that are out of date
    python -m tests.documentation.translations PAGE...    # records that these translations are up to date

Headings of a translation have the anchors of the English ones, in the same order.
"""

import hashlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEY = "english-digest"
_FRONT_MATTER = re.compile(rf"\A---\n{KEY}: *([0-9a-f]*)\n---\n")
_COMMENT = re.compile(rf"\A<!-- {KEY}: *([0-9a-f]*) -->\n")
"""Of a README, which is shown as it is."""
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
_ANCHOR = re.compile(r'<a id="([^"]+)"></a>\n+(?=#)')


@dataclass(frozen=True, kw_only=True)
class TranslationState:
    """A translated page, its English page, and the digests of the latter: recorded and of today."""

    page: Path
    english: Path
    recorded: str
    today: str

    @property
    def is_current(self) -> bool:
        """Whether the English page is the one from which the translation was made."""
        return self.recorded == self.today


def is_translation(page: Path) -> bool:
    """Return whether a file is a translated page, by its name."""
    return page.name.endswith((".zh.md", ".zh-CN.md"))


def english_page(page: Path) -> Path:
    """Return the English page of a translated one."""
    return page.with_name(re.sub(r"\.zh(-CN)?\.md$", ".md", page.name))


def digest_of(page: Path) -> str:
    """Return the digest of a page, without what differs between checkouts (line ends)."""
    return hashlib.sha256(page.read_text(encoding="utf-8").encode()).hexdigest()[:16]


def state_of(page: Path) -> TranslationState:
    """Return whether a translated page is up to date."""
    english = english_page(page)
    text = page.read_text(encoding="utf-8")
    match = _FRONT_MATTER.match(text) or _COMMENT.match(text)
    today = digest_of(english) if english.is_file() else ""
    return TranslationState(page=page, english=english, recorded=match[1] if match else "none", today=today)


def translated_pages() -> list[Path]:
    """Return all translated pages of the project."""
    return sorted(file for file in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")] if is_translation(file))


def headings(text: str) -> list[tuple[int, str]]:
    """Return level and text of each heading, without those in blocks of code."""
    return [(len(match[1]), match[2]) for match in _HEADING.finditer(_FENCE.sub("", text))]


def anchor_of(heading: str) -> str:
    """Return the anchor that GitHub and the site give a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def with_anchors(translation: str, english: str) -> str:
    """Return a translation whose headings have the anchors of the English ones."""
    plain = _ANCHOR.sub("", translation)
    anchors = iter([anchor_of(text) for _, text in headings(english)])
    parts: list[str] = []
    for is_code, part in _code_and_text(plain):
        parts.append(part if is_code else _HEADING.sub(lambda match: _anchored(match, next(anchors, "")), part))
    return "".join(parts)


def _anchored(heading: re.Match[str], anchor: str) -> str:
    """The title needs none: a link to a page needs no anchor."""
    return heading[0] if heading[1] == "#" or not anchor else f'<a id="{anchor}"></a>\n\n{heading[0]}'


def _code_and_text(text: str) -> Iterator[tuple[bool, str]]:
    position = 0
    for fence in _FENCE.finditer(text):
        yield False, text[position : fence.start()]
        yield True, fence[0]
        position = fence.end()
    yield False, text[position:]


def record(page: Path) -> None:
    """Write the digest of the English page into a translated one, and the anchors of its headings."""
    english = english_page(page)
    text = page.read_text(encoding="utf-8")
    body = _COMMENT.sub("", _FRONT_MATTER.sub("", text)).lstrip("\n")
    digest = digest_of(english)
    is_shown_raw = page.parent == ROOT
    head = f"<!-- {KEY}: {digest} -->\n" if is_shown_raw else f"---\n{KEY}: {digest}\n---\n"
    page.write_text(f"{head}\n{with_anchors(body, english.read_text(encoding='utf-8'))}", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Record the pages that are named; without names list those that are out of date."""
    for argument in arguments:
        record(Path(argument).resolve())
    states = [] if arguments else [state_of(page) for page in translated_pages()]
    outdated = [state for state in states if not state.is_current]
    for state in outdated:
        print(f"{state.page.relative_to(ROOT)}: {state.english.relative_to(ROOT)} has changed since")
    return 1 if outdated else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
