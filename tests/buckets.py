"""Serve a bucket of S3 on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def serve_bucket(name: str = "gallery") -> Iterator[str]:
    """Serve an empty bucket, and name the server and its keys in the environment as users do."""
    from moto.server import ThreadedMotoServer
    from pyarrow.fs import FileSystem

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}.items():
            patch.setenv(variable, value)
        system, root = FileSystem.from_uri(f"s3://{name}?allow_bucket_creation=true")
        system.create_dir(root)
        yield f"s3://{name}"
    server.stop()
