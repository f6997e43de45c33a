"""Tests of the stores: one contract for all, and for each what only it can get wrong."""
