"""Where the evidence lies: product masks, focus measures, overlays."""
