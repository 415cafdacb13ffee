"""The JSON twins of the pages: the same verbs, for programs."""
