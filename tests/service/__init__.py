"""Tests of ``guestpass serve``, file by file."""
