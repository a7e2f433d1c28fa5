"""Outcome, signature and comparison of attempts: pure functions over records."""
