from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from mission_http.app import MissionApp
from tests.unit.http.platform.sample_app import sample_app


@pytest.fixture
def app() -> Iterator[MissionApp]:
    """
    The sample dialects, with their lifespan running.
    """
    app = sample_app()
    with TestClient(app):
        yield app
