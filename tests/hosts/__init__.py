"""Entries in the configuration of MCP hosts."""
