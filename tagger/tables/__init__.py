"""The output tables: schema, commits, queries."""
