"""The observers that are ready-made."""
