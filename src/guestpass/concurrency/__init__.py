"""Threads, event loops and forks: one look-up for many, work in the background, and what begins anew in a child."""
