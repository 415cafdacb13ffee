"""What a large table of sessions costs, in figures that don't depend on the clock."""
