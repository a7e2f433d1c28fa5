"""Bundles: everything a machine without a package index needs to build the cells of a matrix, in one archive."""
