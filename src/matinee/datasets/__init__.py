"""Readers: any release or table of ratings in, a Dataset out."""
