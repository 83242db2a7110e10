"""Where a cell's processes run: on this machine, in a container, or on a fake."""
