"""What the gate needs of pytest itself: its processes, its terminal, and how it imports."""
