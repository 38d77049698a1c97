"""The scenarios of vectors/notary1, by what they are about; each module's ``make`` yields names and vectors."""
