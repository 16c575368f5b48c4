"""The commands, each family in a module that is imported when one of its commands is used."""
