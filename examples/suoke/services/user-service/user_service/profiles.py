"""Profiles, and what has to hold for one."""

import re
from dataclasses import asdict, dataclass, field
from datetime import date

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
LANGUAGES = ("zh", "en")


@dataclass
class Profile:
    name: str
    email: str
    born: date
    language: str = "zh"
    allergies: list = field(default_factory=list)

    def age_on(self, day):
        """Full years on ``day``."""
        birthday_to_come = (day.month, day.day) < (self.born.month, self.born.day)
        return day.year - self.born.year - birthday_to_come

    def as_dict(self):
        return dict(asdict(self), born=self.born.isoformat())


def read_profile(wish):
    """A :class:`Profile` from decoded JSON; ``ValueError`` says what is wrong with it."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{1,30}", wish.get("name", "")):
        raise ValueError("name: lower-case letters, digits and dashes, 2 to 31 of them")
    if not EMAIL.fullmatch(wish.get("email", "")):
        raise ValueError("email: not an address")
    language = wish.get("language", "zh")
    if language not in LANGUAGES:
        raise ValueError("language: one of " + ", ".join(LANGUAGES))
    born = date.fromisoformat(wish["born"])
    return Profile(wish["name"], wish["email"].lower(), born, language, sorted(set(wish.get("allergies", []))))


def masked(email):
    """An address that can be shown: ``lin@example.org`` is ``l**@example.org``."""
    local, _, domain = email.partition("@")
    return local[0] + "*" * (len(local) - 1) + "@" + domain
