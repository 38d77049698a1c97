"""TUF 1.0 repositories and the scenarios of vectors/tuf1; each scenario module's ``make`` yields names and vectors."""
