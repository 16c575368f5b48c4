"""The providers over vendors' SDKs: one room for each vendor, and beside them what the three share."""
