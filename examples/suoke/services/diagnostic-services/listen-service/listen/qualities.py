"""Qualities of a voice, and which of them to tell first."""

URGENCY = {"wheezing": 3, "hollow": 3, "trembling": 2, "hoarse": 2, "nasal": 1, "faint": 1}
PATTERNS = {"wheezing": "phlegm in the lung", "hollow": "lung dryness", "faint": "qi deficiency", "hoarse": "wind heat"}


def heard(labels):
    """The known ones among the labels of a recording, each once."""
    return set(label.strip().lower() for label in labels) & set(URGENCY)


def leading(qualities):
    """The most urgent quality, or ``None``."""
    return max(qualities, key=URGENCY.get, default=None)


def patterns(qualities):
    """Pattern -> confidence, by urgency."""
    return {PATTERNS[one]: round(URGENCY[one] / 4, 2) for one in sorted(qualities) if one in PATTERNS}
