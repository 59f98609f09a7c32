"""Flagged items, with the reasons, as a queue for annotators."""
