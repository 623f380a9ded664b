"""Elements by position: indexing, gathering, scattering, masks and tables."""
