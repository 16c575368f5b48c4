"""Memory for agents, crews and flows of CrewAI, as its memory.

Install ``openmem[crewai]``::

    memory = OpenmemMemory(client=MemoryClients(), user_id="maya")
    crew = Crew(agents=[cook], tasks=[dinner], memory=memory)
"""

from __future__ import annotations

from .memory import OpenmemMatch, OpenmemMemory

__all__ = ["OpenmemMatch", "OpenmemMemory"]
