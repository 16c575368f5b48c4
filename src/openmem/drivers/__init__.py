"""The ports in their two colours. Only this room may import drivers, asyncio and threads."""
