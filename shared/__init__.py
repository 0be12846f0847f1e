"""What more than one app needs. Nothing in here knows an app; every app imports only what it uses."""

VERSION = "2.0.0"
"""Of the whole arcade: what CHANGELOG.md describes."""
