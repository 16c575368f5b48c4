"""The providers over vendors' SDKs.

Each vendor has a folder with its provider and with ``sdk.py``, the adapter of its SDK, which blocks and is imported
when a client opens. Beside the folders is what the three share: `backend` says what a backend can do, `base` gives the
verbs their meaning, `calls` calls an SDK in a thread, `answers` reads what it returns, `envelope` keeps in a vendor's
metadata what its backend has no field for, `words` ranks what a backend's search does not reach, `errors` says what
failed, `settings` reads the URL and the API key, and `http` makes the client that SDKs send with.
"""
