"""Memory for agents, crews and flows of CrewAI, as its memory.

Install ``openmem[crewai]``::

    memory = OpenmemMemory(client=MemoryClients(), user_id="maya")
    crew = Crew(agents=[cook], tasks=[dinner], memory=memory)
"""

from __future__ import annotations

from ..._extras import require_extra

require_extra("OpenmemMemory", "crewai", ("crewai",))

from .memory import OpenmemMatch, OpenmemMemory  # noqa: E402 - after the check of what it needs

__all__ = ["OpenmemMatch", "OpenmemMemory"]
