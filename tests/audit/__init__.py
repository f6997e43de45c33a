"""The tests of `guestpass.audit`."""
