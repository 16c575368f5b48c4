"""The ports in their two modes. Only this room may import drivers, asyncio and threads."""
