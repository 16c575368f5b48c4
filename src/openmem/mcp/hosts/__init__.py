"""Entries for openmem in the configuration of programs that use MCP servers.

`json_config` and `toml_config` change texts, `files` reads and writes them, `known` says where each host keeps its
configuration, and `install` does it on this machine. Nothing here needs the package ``mcp``.
"""
