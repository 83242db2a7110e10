import pytest

from accessibility.profiles import Needs
from accessibility.texts import plain, present, seconds_to_speak


def test_hard_words_become_easy():
    assert plain("Utilise it prior to sleep.") == "use it before sleep."


def test_one_sentence_a_line():
    assert plain("Sit down. Breathe!  Good.") == "Sit down.\nBreathe!\nGood."


@pytest.mark.parametrize(("rate", "seconds"), [(1.0, 4), (2.0, 2), (0.5, 8)])
def test_a_fast_voice_needs_less_time(rate, seconds):
    assert seconds_to_speak("one two three four five six seven eight nine ten", rate) == seconds


def test_large_print_is_large():
    assert present("Hello", Needs(large_print=True)) == {"text": "Hello", "font_size": 24}


def test_speech_comes_with_its_length():
    assert present("Hello", Needs(output="speech"))["seconds"] == 1
