"""The connection to an S3-compatible service, made by django-storages; one for each process and service."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import CredentialResolver
from storages.backends.s3 import S3Storage

from catalog.addresses import Networks, resolve
from catalog.storage.keys import KeysFromProcess, new_keys_once
from catalog.storage.signing import sign_by_known_digest


@dataclass(frozen=True)
class Service:
    """Where a service is and with which key it is entered. Without an endpoint it is AWS.

    `key_process` is a command that tells keys which expire (AWS calls it `credential_process`); it stands for the
    keys. `allowed` are the private networks that may be asked; None where nobody else can name the service.
    """

    endpoint: str | None
    region: str | None
    style: str
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    key_process: str = field(default="", repr=False)
    allowed: Sequence[Any] | None = None


class Connection(S3Storage):  # type: ignore[misc]
    """A storage of django-storages whose keys may come from a program."""

    def __init__(self, key_process: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.keys = KeysFromProcess(key_process) if key_process else None

    def _create_session(self) -> Any:
        if self.keys is None:
            return super()._create_session()
        session = botocore.session.get_session()
        session.register_component("credential_provider", CredentialResolver([self.keys]))
        return boto3.Session(botocore_session=session)


@cache
def client_of(service: Service, pid: int) -> Any:  # noqa: ARG001  lines made before a fork would be shared
    """Give a client of this process; threads may share it.

    The checksums of the client's own choice are off, since services of other vendors break on them: each part and
    each small file carries one that we chose. Neither a token nor a profile of the environment is taken, which could
    belong to another program.
    """
    config = Config(
        s3={"addressing_style": service.style},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"mode": "standard", "max_attempts": 3},
        max_pool_connections=64,
        connect_timeout=10,
        read_timeout=60,
    )
    connection = Connection(
        service.key_process,
        endpoint_url=service.endpoint,
        region_name=service.region,
        access_key=service.access_key or None,
        secret_key=service.secret_key or None,
        security_token=service.session_token or None,
        session_profile=None,
        client_config=config,
    )
    client = connection.connection.meta.client
    sign_by_known_digest(client)
    if connection.keys is not None:
        client.meta.events.register_first("needs-retry.s3", partial(new_keys_once, connection.keys))
    if service.allowed is not None:
        client.meta.events.register_first("before-send.s3", partial(refuse_private, service.allowed))
    return client


def refuse_private(allowed: Networks, request: Any, **_words: Any) -> None:
    """Raise AddressRefusedError or NameUnknownError before a request, also a redirected one, leaves."""
    resolve(urlsplit(request.url), allowed)
