"""Level B to A: statements of breast density from tables, structured reports and report text, and their fusion."""
