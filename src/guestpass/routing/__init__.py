"""What the routes of an application say they need, read from its router's own table."""
