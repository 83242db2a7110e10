"""What the files of one service show: its suite, baseline, packaging and entry points."""
