"""What is made: the Dagster face of the ladder. Thin: reads, calls one pipeline function, writes, attaches metadata."""
