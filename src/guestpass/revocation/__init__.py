"""Ending credentials before their time: by name, in one store's list, heard of by every process."""
