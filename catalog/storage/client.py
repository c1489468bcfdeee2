"""The connection to an S3-compatible service, made by django-storages; one for each process and service."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from botocore.config import Config
from storages.backends.s3 import S3Storage


@dataclass(frozen=True)
class Service:
    """Where a service is and with which key it is entered. Without an endpoint it is AWS."""

    endpoint: str | None
    region: str | None
    style: str
    access_key: str
    secret_key: str = field(repr=False)


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
    storage = S3Storage(
        endpoint_url=service.endpoint,
        region_name=service.region,
        access_key=service.access_key,
        secret_key=service.secret_key,
        security_token=None,
        session_profile=None,
        client_config=config,
    )
    return storage.connection.meta.client
