"""Find the release, the commit or the package changes that made a scenario bad."""
