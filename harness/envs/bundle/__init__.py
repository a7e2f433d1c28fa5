"""Bundles: one archive with everything that builds the cells of a matrix on a machine without a package index."""
