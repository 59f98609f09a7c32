"""Training: type, then color, on Ray Train."""
