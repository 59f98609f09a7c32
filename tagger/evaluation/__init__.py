"""Predictions against labels: metrics, baselines, the promotion gate."""
