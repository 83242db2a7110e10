"""Compile a list of terms into ``app/terms.json``. The variable ``TERMS`` names the list: ``full`` or ``test``."""

import json
import os
import sys
from pathlib import Path

SERVICE = Path(__file__).resolve().parent.parent


def compiled(lines):
    """Every name and synonym in lower case -> the entry that it stands for."""
    index = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.rstrip("\n").split("\t")
        if len(fields) != 3:
            raise SystemExit("line {}: expected term, category and synonyms".format(number))
        term, category, synonyms = fields
        names = [term, *(name.strip() for name in synonyms.split(","))]
        for name in names:
            index[name.lower()] = {"term": term, "category": category, "names": names}
    return index


if __name__ == "__main__":
    source = SERVICE / "terms" / (os.environ.get("TERMS", "full") + ".tsv")
    with source.open(encoding="utf-8") as lines:
        index = compiled(lines)
    target = SERVICE / "app" / "terms.json"
    target.write_text(json.dumps(index, indent=1, sort_keys=True), encoding="utf-8")
    sys.stdout.write("{} names from {}\n".format(len(index), source.name))
