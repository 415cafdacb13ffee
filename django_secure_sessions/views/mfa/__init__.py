"""Pages and JSON of the second factor: show one, set one up, keep them in order."""
