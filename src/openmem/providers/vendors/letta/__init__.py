"""Letta: the memories of a user are the passages of an archive of that user."""
