"""Matinee: an on-line movie recommender."""
