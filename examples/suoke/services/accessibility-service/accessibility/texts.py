"""Texts, told differently."""

import re

PLAIN = {"approximately": "about", "utilise": "use", "prior to": "before", "physician": "doctor", "commence": "begin"}


def plain(text):
    """Hard words for easy ones, and one sentence a line."""
    for hard, easy in PLAIN.items():
        text = re.sub(r"\b{}\b".format(hard), easy, text, flags=re.IGNORECASE)
    return re.sub(r"(?<=[.!?])\s+", "\n", text.strip())


def seconds_to_speak(text, rate=1.0, words_a_minute=150):
    """How long a voice needs for ``text``, in full seconds, at least one."""
    return max(1, round(len(text.split()) * 60 / (words_a_minute * rate)))


def present(text, needs):
    """What to hand to the device of somebody with these ``needs``."""
    told = plain(text) if needs.plain_words else text
    answer = {"text": told, "font_size": 24 if needs.large_print else 16}
    if needs.output == "speech":
        answer["seconds"] = seconds_to_speak(told, needs.speech_rate)
    return answer
