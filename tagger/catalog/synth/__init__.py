"""The synthetic catalogue: pictures drawn with exact truth."""
