"""Normalisation over batches, features, groups, channels and neighbours."""
