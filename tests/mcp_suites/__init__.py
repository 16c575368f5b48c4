"""The official conformance suite and the Inspector of MCP on real servers of openmem: ``make test-mcp``."""
