import os

import pytest

from app.terms import Terms


@pytest.fixture(scope="module")
def terms():
    return Terms.load()


def test_the_suite_uses_the_short_list():
    assert os.environ["TERMS"] == "test"


def test_a_synonym_finds_its_term(terms):
    assert terms.find("Wolfberry")["term"] == "goji"


def test_an_unknown_name_finds_nothing(terms):
    assert terms.find("aspirin") is None


def test_a_typing_mistake_is_near(terms):
    assert terms.near("ginsen") == ["ginseng"]


def test_terms_are_found_in_a_text(terms):
    text = "Needle ST36, then a tea of gou qi zi; the wiry pulse should soften. More goji tomorrow."
    assert terms.mentioned(text) == ["Zusanli", "goji", "wiry pulse"]


def test_a_part_of_a_word_is_no_mention(terms):
    assert terms.mentioned("gojira") == []
