"""From a matrix file to validated cells."""
