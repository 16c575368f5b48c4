"""Tests of the memory browser in a real Chromium, which Playwright drives.

They run where both are there, and are skipped elsewhere; ``make test-ui`` installs both, and runs all of them.
"""
