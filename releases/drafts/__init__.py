"""How a version is described before it is built: its release.toml, its texts, and the form of both."""
