"""Find the release at which an answer changes: pure search, and its driver over cells."""
