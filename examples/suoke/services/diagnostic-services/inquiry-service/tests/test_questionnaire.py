import sys

import pytest

from inquiry.questionnaire import OPENING, QUESTIONS, Interview


def answered(*choices):
    interview = Interview()
    for choice in choices:
        interview.answer(choice)
    return interview


def test_the_first_question():
    assert Interview().current.key == OPENING[0]


def test_a_first_choice_is_followed_up():
    assert answered("yes").current.key == "fever"


def test_another_choice_is_not():
    assert answered("no").current.key == "sleep"


def test_only_the_choices_are_answers():
    with pytest.raises(ValueError, match="sleep: choose one of badly, well"):
        answered("no", "so so")


def test_an_interview_ends():
    assert answered("no", "well", "no").current is None


def test_dreams_trouble_the_sleep():
    assert answered("no", "badly", "yes", "no").signs() == ["troubled sleep"]


# compares texts of Question, whose repr is said to change with the interpreter
if sys.version_info < (3, 12):

    def test_a_question_shows_its_choices():
        assert "choices=('badly', 'well')" in repr(QUESTIONS["sleep"])
