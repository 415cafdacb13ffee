"""Adapters to software that a site may use beside Django."""
