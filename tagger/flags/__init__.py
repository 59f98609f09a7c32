"""Which tags not to trust: review reasons, risk, thresholds."""
