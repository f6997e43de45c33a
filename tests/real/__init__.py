"""Real issuers: programs of others on loopback, whose tokens go through the guard."""
