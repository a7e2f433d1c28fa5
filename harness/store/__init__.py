"""Records, the append-only journal, run folders and the table."""
