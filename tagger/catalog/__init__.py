"""What the shop has: listings, labels, label spaces, splits, and the synthetic catalogue."""
