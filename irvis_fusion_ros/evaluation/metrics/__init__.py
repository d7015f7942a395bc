"""Measures of registration and fusion, each with its source."""
