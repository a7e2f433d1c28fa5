"""Series of results over many runs: an index that can be deleted, queries, trends and retention."""
