"""Text + edit -> text: the smallest change, everything else byte-identical."""
