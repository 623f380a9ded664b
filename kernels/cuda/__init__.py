"""CUDA on CuPy; the only folder that may import it."""
