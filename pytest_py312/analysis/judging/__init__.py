"""Facts and answers to findings."""
