"""Whether a night is like the photos that the bundle was fitted on, and like the nights before it."""
