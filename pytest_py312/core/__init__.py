"""What everything rests on, without domain logic: the nouns, and the only doors to processes, files, clock and
database.
"""
