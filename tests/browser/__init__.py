"""A real browser on loopback: what a page's script can do and see through the guard."""
