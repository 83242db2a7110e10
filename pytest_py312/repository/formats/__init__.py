"""Text to facts with positions. A reader never touches the disk, never judges and never raises on odd input."""
