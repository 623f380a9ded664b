"""What of PyTorch's and the array API's public names exists here: `make coverage` writes `docs/coverage.md`."""
