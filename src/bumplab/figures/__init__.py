"""One visual language for the figures of the book."""
