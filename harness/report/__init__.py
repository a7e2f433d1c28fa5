"""Contexts made of records, and the texts made of contexts: HTML, Markdown, the terminal's summary."""
