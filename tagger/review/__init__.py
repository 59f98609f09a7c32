"""Flagged items to annotators and their answers back."""
