"""File formats as syntax: text in, facts with positions out. No disk access, no judgement, no exceptions."""
