"""Supermemory: a memory is a document, and a user is a namespace of documents."""
