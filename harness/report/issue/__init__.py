"""An issue's draft for a maintainer: built from the records of a run, rendered as Markdown."""
