"""The nightly run: plan, pipeline, ledger, commit."""
