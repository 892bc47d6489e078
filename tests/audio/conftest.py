"""Fixtures with a server for each test; see `audio.servers`."""

import os
from collections.abc import Iterator

import pytest
from audio.servers import JackServer, PulseServer, Server


def require(server: type[Server]) -> None:
    """Skip where a program is missing; fail if NMES_WAVE_REQUIRE_AUDIO=1."""
    if missing := server.missing():
        reason = f"{server.__name__} needs {', '.join(missing)}"
        if os.environ.get("NMES_WAVE_REQUIRE_AUDIO") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(params=[PulseServer, JackServer])
def server_class(request: pytest.FixtureRequest) -> type[PulseServer | JackServer]:
    """Both classes, for a test that starts and ends the server itself."""
    server: type[PulseServer | JackServer] = request.param
    require(server)
    return server


@pytest.fixture
def pulse_server(request: pytest.FixtureRequest) -> Iterator[PulseServer]:
    """A PulseServer; an indirect parameter is a dict of its arguments."""
    require(PulseServer)
    with PulseServer(**getattr(request, "param", {})) as server:
        yield server


@pytest.fixture
def jack_server(request: pytest.FixtureRequest) -> Iterator[JackServer]:
    """A JackServer; an indirect parameter is a dict of its arguments."""
    require(JackServer)
    with JackServer(**getattr(request, "param", {})) as server:
        yield server
