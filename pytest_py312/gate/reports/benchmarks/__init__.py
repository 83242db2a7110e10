"""What was measured, as a table, charts, views of a page, and files for other tools. Imports ``core`` only."""
