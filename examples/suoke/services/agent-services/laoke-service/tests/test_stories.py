import pytest

from laoke.stories import SHELF, level_of, next_story


def test_a_beginner_hears_the_easy_ones_first():
    assert next_story(set(), 1).title == "The gardener and the goji hedge"


def test_no_story_is_told_twice():
    assert next_story({"The gardener and the goji hedge"}, 1).title == "Ginger for a rainy day"


def test_a_beginner_does_not_hear_the_hard_ones():
    assert next_story({story.title for story in SHELF if story.level == 1}, 1) is None


@pytest.mark.parametrize(("answers", "level"), [([], 1), ([True], 3), ([True, False], 2), ([False, False, True], 1)])
def test_the_level_follows_the_answers(answers, level):
    assert level_of(answers) == level
