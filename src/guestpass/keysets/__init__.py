"""The key sets of issuers, and their life: fetched in one flight, refreshed ahead, good for a while in an outage."""
