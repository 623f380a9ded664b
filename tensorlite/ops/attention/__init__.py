"""Attention: the scaled dot product, many heads of it, and dropout inside."""
