"""Loaded before the settings (see `-p` in pyproject.toml): a throw-away data directory and a random key."""

import os
import secrets
import tempfile
from pathlib import Path

os.environ.setdefault("DFC_DATA_DIR", tempfile.mkdtemp(prefix="dfc-test-"))
os.environ.setdefault("DFC_SECRET_KEY", secrets.token_hex(32))
os.environ.setdefault("DFC_PRIVATE_NETWORKS", "127.0.0.0/8")

# whitenoise warns of a missing folder; tests serve the plain files instead of collected ones.
(Path(os.environ["DFC_DATA_DIR"]) / "static").mkdir(parents=True, exist_ok=True)
