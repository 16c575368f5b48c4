"""mem0: the hosted API, or the open-source engine in this process."""
