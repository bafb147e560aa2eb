from collections.abc import Iterator

import pytest
from qdrant_client import QdrantClient


@pytest.fixture
def client() -> Iterator[QdrantClient]:
    client = QdrantClient(":memory:")
    yield client
    client.close()
