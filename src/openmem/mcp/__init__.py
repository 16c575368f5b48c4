"""openmem for hosts of the Model Context Protocol."""
