"""Needs, from profiles that care workers write as INI files."""

import configparser
from dataclasses import dataclass
from pathlib import Path

PROFILES = Path(__file__).with_name("profiles.ini")


@dataclass(frozen=True)
class Needs:
    output: str = "text"
    large_print: bool = False
    plain_words: bool = False
    speech_rate: float = 1.0


def read_profiles(text):
    """Name of a profile -> :class:`Needs`."""
    parser = configparser.SafeConfigParser()
    parser.read_string(text)
    return {
        name: Needs(
            output=parser.get(name, "output", fallback="text"),
            large_print=parser.getboolean(name, "large_print", fallback=False),
            plain_words=parser.getboolean(name, "plain_words", fallback=False),
            speech_rate=parser.getfloat(name, "speech_rate", fallback=1.0),
        )
        for name in parser.sections()
    }
