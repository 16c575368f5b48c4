"""The promises of a provider, a module for each verb or subject."""
