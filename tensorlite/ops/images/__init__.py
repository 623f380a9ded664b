"""Images: borders, sizes, sampling, and boxes in them."""
