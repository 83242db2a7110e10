"""The truth set: snippets with verified verdicts on every interpreter, on which the source check is scored."""
