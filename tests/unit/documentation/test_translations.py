"""Translated pages: structure, links into them, and which of them are out of date."""

from pathlib import Path

import pytest

from tests.documentation import translations
from tests.documentation.commands import commands_in
from tests.documentation.translations import (
    ROOT,
    anchor_of,
    english_page,
    headings,
    is_translation,
    record,
    state_of,
    translated_pages,
    with_anchors,
)

PAGES = pytest.mark.parametrize("page", translated_pages(), ids=lambda page: page.relative_to(ROOT).as_posix())


@PAGES
def test_a_translation_is_up_to_date(page: Path) -> None:
    """One that is not is listed at the end of the run, and marked on the site: an English change need not wait."""
    state = state_of(page)
    assert state.english.is_file()
    assert state.recorded != "none", f"python -m tests.documentation.translations {page.relative_to(ROOT)}"
    if not state.is_current:
        pytest.xfail(f"{state.english.relative_to(ROOT)} has changed since it was translated")


@PAGES
def test_a_translation_has_the_sections_of_its_english_page(page: Path) -> None:
    """While it is up to date."""
    if state_of(page).is_current:
        levels = [level for level, _ in headings(page.read_text(encoding="utf-8"))]
        assert levels == [level for level, _ in headings(english_page(page).read_text(encoding="utf-8"))]


@PAGES
def test_a_translation_shows_the_commands_of_its_english_page(page: Path) -> None:
    """While it is up to date; comments beside them are translated."""
    if state_of(page).is_current:
        translated, english = ([command.words for command in commands_in(file)] for file in (page, english_page(page)))
        assert translated == english


def test_a_record_adds_digest_and_anchors(tmp_path: Path) -> None:
    """So that links to a section work in both languages."""
    english, page = tmp_path / "page.md", tmp_path / "page.zh.md"
    english.write_text("# Title\n\n## Fix it\n\n```sh\n# no heading\n```\n\n### Why\n", encoding="utf-8")
    page.write_text("# 标题\n\n## 修复\n\n```sh\n# 不是标题\n```\n\n### 为什么\n", encoding="utf-8")
    assert state_of(page).recorded == "none"
    record(page)
    once = page.read_text(encoding="utf-8")
    record(page)
    assert page.read_text(encoding="utf-8") == once
    assert state_of(page).is_current
    assert once.splitlines()[0] == "---"
    assert '<a id="fix-it"></a>\n\n## 修复\n' in once
    assert '<a id="why"></a>\n\n### 为什么\n' in once
    assert "```sh\n# 不是标题\n```" in once


def test_a_changed_english_page_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    english, page = tmp_path / "page.md", tmp_path / "page.zh.md"
    english.write_text("# Title\n", encoding="utf-8")
    page.write_text("# 标题\n", encoding="utf-8")
    assert translations.main([str(page)]) == 0
    assert capsys.readouterr().out == ""
    english.write_text("# Another title\n", encoding="utf-8")
    assert not state_of(page).is_current


def test_anchors_are_those_of_github() -> None:
    assert anchor_of("PY1xx: dependencies") == "py1xx-dependencies"
    assert anchor_of("When a `plan` is wrong") == "when-a-plan-is-wrong"
    assert with_anchors("# a\n\n## b\n", "# A\n\n## B c\n") == '# a\n\n<a id="b-c"></a>\n\n## b\n'


def test_translations_are_known_by_their_names() -> None:
    names = ("docs/tutorial.zh.md", "README.zh-CN.md", "docs/tutorial.md")
    assert [is_translation(Path(name)) for name in names] == [True, True, False]
    assert [english_page(Path(name)).as_posix() for name in names[:2]] == ["docs/tutorial.md", "README.md"]
