"""A small index of passages: words weighed by how rare they are, passages compared by the angle between them."""

import math
import re
from collections import Counter

COMMON = frozenset("a an and are as at be by for from in is it of on or that the this to with".split())


def words(text):
    """The words of ``text`` that mean something, in lower case, and each Chinese character by itself."""
    found = re.findall(r"[a-z]+|[\u4e00-\u9fff]", text.lower())
    return [word for word in found if word not in COMMON]


class Index:
    def __init__(self):
        self._passages = []
        self._seen_in = Counter()

    def __len__(self):
        return len(self._passages)

    def add(self, text, source):
        """Add one passage; one without a single word that means something is refused."""
        counts = Counter(words(text))
        if not counts:
            raise ValueError("the passage has no words")
        self._passages.append((text, source, counts))
        self._seen_in.update(counts.keys())

    def search(self, query, most=3):
        """``(score, text, source)`` of the best passages, best first; those without a common word are left out."""
        wanted = self._weighed(Counter(words(query)))
        scored = []
        for text, source, counts in self._passages:
            score = cosine(wanted, self._weighed(counts))
            if score > 0:
                scored.append((round(score, 4), text, source))
        return sorted(scored, key=lambda entry: (-entry[0], entry[1]))[:most]

    def _weighed(self, counts):
        total = len(self._passages)
        return {word: n * math.log(1 + total / self._seen_in[word]) for word, n in counts.items() if self._seen_in[word]}


def cosine(one, other):
    """The cosine of the angle between two bags of weighed words: 1.0 for the same direction, 0.0 for nothing common."""
    lengths = math.hypot(*one.values()) * math.hypot(*other.values())
    common = sum(weight * other[word] for word, weight in one.items() if word in other)
    return common / lengths if lengths else 0.0
