"""Looking up terms in the compiled list."""

import json
import re
from difflib import get_close_matches
from pathlib import Path

COMPILED = Path(__file__).with_name("terms.json")


class Terms:
    """An index from names and synonyms, in lower case, to entries."""

    def __init__(self, index):
        self._index = index

    @classmethod
    def load(cls, path=COMPILED):
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def find(self, name):
        """The entry of a name or synonym, or ``None``."""
        return self._index.get(name.strip().lower())

    def near(self, name, most=3):
        """Terms whose names look like ``name``, best first."""
        close = get_close_matches(name.strip().lower(), list(self._index), n=most)
        return list(dict.fromkeys(self._index[match]["term"] for match in close))

    def mentioned(self, text):
        """Terms that ``text`` mentions, in order of their first mention; longer names win over their parts."""
        names = sorted(self._index, key=len, reverse=True)
        pattern = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b", re.IGNORECASE)
        found = (self._index[match.group().lower()]["term"] for match in pattern.finditer(text))
        return list(dict.fromkeys(found))
