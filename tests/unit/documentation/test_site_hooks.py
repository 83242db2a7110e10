"""What the site's hooks do with pages (``mkdocs.yml``)."""

from pathlib import Path
from typing import Any

import pytest

from tests.documentation.site_hooks import add_unlisted_pages, foreign_resources, is_out_of_date, replace_foreign_links


def test_a_link_out_of_the_docs_becomes_a_path() -> None:
    text = "See [the example](../../examples/a/README.md), ([test_x](../../tests/unit/test_x.py#a)) and [b](../b.md#c)."
    assert replace_foreign_links(text, "how-to/page.md", Path("docs")) == (
        "See the example (`examples/a/README.md`), (`tests/unit/test_x.py`) and [b](../b.md#c)."
    )


def test_pages_that_the_navigation_lacks_are_added() -> None:
    nav: list[Any] = [{"Home": "index.md"}, {"How to": ["how-to/index.md", "how-to/a.md"]}]
    add_unlisted_pages(nav, "how-to", ["how-to/a.md", "how-to/new.md"])
    assert nav[1] == {"How to": ["how-to/index.md", "how-to/a.md", "how-to/new.md"]}


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.example.org/x.js">',
        "<img alt='a' src=//example.org/a.png>",
        '<link href="https://fonts.example.org/css" rel="stylesheet">',
        "@import url(https://example.org/a.css);",
        "background: url('//example.org/a.png')",
    ],
)
def test_what_a_browser_would_load_from_another_host(text: str) -> None:
    assert len(list(foreign_resources(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://example.org">a</a>',
        '<script src="../assets/x.js">',
        '<link rel="canonical" href="https://example.org/">',
        '<link href="https://example.org/" rel="canonical">',
        "url(data:image/png;base64,aaaa)",
        '<img src="../images/run.svg">',
    ],
)
def test_links_and_own_files_are_none_of_it(text: str) -> None:
    assert list(foreign_resources(text)) == []


def test_a_translation_that_is_out_of_date_is_marked(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# Title\n", encoding="utf-8")
    (tmp_path / "page.zh.md").write_text("---\nenglish-digest: 0\n---\n\n# 标题\n", encoding="utf-8")
    assert is_out_of_date(tmp_path / "page.zh.md")
    assert not is_out_of_date(tmp_path / "page.md")
