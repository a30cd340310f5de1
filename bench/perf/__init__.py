"""How fast the project is, each figure a ratio to a ceiling or to an alternative measured in the same run."""
