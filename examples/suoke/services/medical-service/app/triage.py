"""Triage by rules that doctors write in YAML."""

from dataclasses import dataclass
from pathlib import Path

import yaml

RULES = Path(__file__).with_name("rules.yaml")


@dataclass(frozen=True)
class Rule:
    name: str
    present: frozenset
    absent: frozenset
    advice: str
    hours: int

    def holds(self, signs):
        return self.present <= signs and not self.absent & signs


def read_rules(text):
    """Rules in the order of the file. ``ValueError`` names the rule that is wrong."""
    rules = []
    for entry in yaml.safe_load(text):
        words = entry.get("when") or []
        if not words:
            raise ValueError("rule {}: has no conditions".format(entry["name"]))
        absent = frozenset(word[4:] for word in words if word.startswith("not "))
        present = frozenset(word for word in words if not word.startswith("not "))
        if present & absent:
            raise ValueError("rule {}: can never hold".format(entry["name"]))
        rules.append(Rule(entry["name"], present, absent, entry["advice"], int(entry["hours"])))
    return rules


def triage(signs, rules):
    """The first rule that holds for ``signs``, or ``None``."""
    return next((rule for rule in rules if rule.holds(frozenset(signs))), None)
