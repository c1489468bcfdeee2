"""Keys that expire, told by a program in the form that AWS calls `credential_process`.

The program is run without a shell, for a limited time, and without our own variables; what it writes is kept in
memory only. Keys are asked for again before they expire, and once more when the service calls them expired.
"""

import json
import os
import shlex
import subprocess
from datetime import UTC, datetime
from typing import Any

from botocore.credentials import CredentialProvider, Credentials, RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError

TIMEOUT_S = 30.0
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
UNSAID = 400  # what an expired token gives to a HEAD, whose answer has no words


class KeysFromProcess(CredentialProvider):  # type: ignore[misc]
    """The keys that a command tells; those with an expiry are refreshed by botocore."""

    METHOD = "custom-process"

    def __init__(self, command: str) -> None:
        super().__init__()
        self.command = command
        self.given: Any = None

    def load(self) -> Any:
        """Give the keys; raises CredentialRetrievalError for a program that does not tell any."""
        told = self.ask()
        if told["expiry_time"]:
            self.given = RefreshableCredentials.create_from_metadata(told, self.ask, self.METHOD)
        else:
            self.given = Credentials(told["access_key"], told["secret_key"], told["token"], self.METHOD)
        return self.given

    def ask(self) -> dict[str, Any]:
        """Run the program; neither its words nor its complaints get into an error."""
        ours = {name: text for name, text in os.environ.items() if not name.startswith("DFC_")}
        try:
            done = subprocess.run(
                shlex.split(self.command),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=ours,
                timeout=TIMEOUT_S,
                check=True,
            )
            return read(done.stdout)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, subprocess.SubprocessError) as error:
            raise CredentialRetrievalError(provider=self.METHOD, error_msg=type(error).__name__) from None

    def expire(self) -> bool:
        """Have keys asked for before the next request; False for keys that cannot be renewed."""
        if not isinstance(self.given, RefreshableCredentials):
            return False
        self.given._expiry_time = datetime.now(UTC)  # noqa: SLF001  what its own refresh compares
        return True


def read(answer: bytes) -> dict[str, Any]:
    """Read what the program wrote; raises KeyError and ValueError for what is not of its form, or past."""
    told = json.loads(answer)
    if told["Version"] != 1:
        raise ValueError("another version")
    expiry = told.get("Expiration")
    if expiry and datetime.fromisoformat(expiry) <= datetime.now(UTC):
        raise ValueError("expired already")
    return {
        "access_key": told["AccessKeyId"],
        "secret_key": told["SecretAccessKey"],
        "token": told.get("SessionToken"),
        "expiry_time": expiry,
    }


def new_keys_once(keys: KeysFromProcess, response: Any, attempts: int, operation: Any, **_words: Any) -> int | None:
    """Answer botocore's question whether to try again: at once with new keys, if the old ones have expired."""
    if attempts > 1 or response is None:
        return None
    http, parsed = response
    code = parsed.get("Error", {}).get("Code", "")
    is_unsaid = operation.name.startswith("Head") and http.status_code == UNSAID
    return 0 if (code in EXPIRED or is_unsaid) and keys.expire() else None
