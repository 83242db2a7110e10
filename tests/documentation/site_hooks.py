"""Hooks of MkDocs (``mkdocs.yml``): navigation, links to files that are no pages, translations, and no foreign host."""

import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the tests of these functions need no MkDocs
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parents[2]))  # MkDocs loads this file by its path, and restores sys.path

from tests.documentation.translations import is_translation, state_of

LOGGER = logging.getLogger("mkdocs.hooks.pytest_py312")
"""A warning of it fails a strict build."""
SECTIONS = {"how-to": "How to", "reference": "Reference", "explanation": "Explanation"}
"""Folder of pages -> section of the navigation to which a page of it is added that is not listed."""
OUT_OF_DATE = (
    '!!! warning "译文可能已过时"\n    本页译自英文版的较早版本, 英文版之后有改动. 如有出入, 以英文版为准.\n\n'
)
"""Written with ASCII punctuation, as everywhere in code."""
_LINK = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)\s#]+)(#[^)\s]*)?\)")
_LOADED = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*?\b(?:src|data)=[\"']?(?:https?:)?//[^\"'\s>]+"
    r"|<link\b(?![^>]*\brel=[\"']?(?:canonical|alternate|next|prev)\b)[^>]*?\bhref=[\"']?(?:https?:)?//[^\"'\s>]+"
    r"|(?:@import|url\()\s*[\"']?(?:https?:)?//[^\"')\s]+",
    re.IGNORECASE,
)
"""What a browser loads by itself; a link that a reader follows is none of it."""


def on_config(config: "MkDocsConfig") -> "MkDocsConfig":
    """Add the pages that the navigation lacks to the sections of their folders."""
    docs = Path(config.docs_dir)
    for folder in SECTIONS:
        pages = sorted(file.relative_to(docs).as_posix() for file in docs.glob(f"{folder}/*.md"))
        add_unlisted_pages(config.nav or [], folder, [page for page in pages if not is_translation(Path(page))])
    return config


def add_unlisted_pages(nav: list[Any], folder: str, pages: list[str]) -> None:
    """Append the pages that a navigation lacks to the section of a folder."""
    for section in nav:
        if isinstance(section, dict) and isinstance(listed := section.get(SECTIONS[folder]), list):
            listed.extend(page for page in pages if page not in listed)


def on_page_markdown(markdown: str, *, page: "Page", config: "MkDocsConfig", **_: Any) -> str:
    """Name files outside of the site instead of linking to them, and mark translations that are out of date."""
    docs = Path(config.docs_dir)
    text = replace_foreign_links(markdown, page.file.src_uri, docs)
    return OUT_OF_DATE + text if is_out_of_date(docs / page.file.src_uri) else text


def replace_foreign_links(markdown: str, source: str, docs: Path) -> str:
    """Replace links from ``docs`` into the rest of the repository by the paths of their files."""

    def replace(match: re.Match[str]) -> str:
        target = os.path.normpath(PurePosixPath("docs", source).parent / match[2])
        if target.startswith("docs/"):
            return match[0]
        path = f"`{target}`"
        return path if PurePosixPath(target).stem == match[1] else f"{match[1]} ({path})"

    return _LINK.sub(replace, markdown)


def is_out_of_date(file: Path) -> bool:
    """Return whether a translated page was made from another English text than that of today."""
    return is_translation(file) and not state_of(file).is_current


def on_post_build(config: "MkDocsConfig") -> None:
    """Warn of everything that a browser would load from another host."""
    for file in sorted(Path(config.site_dir).rglob("*")):
        if file.suffix in (".html", ".css"):
            for loaded in foreign_resources(file.read_text(encoding="utf-8")):
                LOGGER.warning("%s loads from another host: %s", file.relative_to(config.site_dir), loaded[:200])


def foreign_resources(text: str) -> Iterator[str]:
    """Yield the places of an HTML or CSS text that make a browser load something from another host."""
    for match in _LOADED.finditer(text):
        yield match[0]
