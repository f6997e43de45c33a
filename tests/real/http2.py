"""HTTP/2 over a plain connection (RFC 9113 section 3.3), with headers exactly as they are given."""

import json
from collections.abc import Sequence
from contextlib import closing

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)

from real.serving import Answer, Serving

Fields = Sequence[tuple[str, str]]


def send(house: Serving, target: str, *fields: tuple[str, str], method: str = "GET", body: bytes = b"") -> Answer:
    """What is answered on one stream: status 0 where it was reset, or the connection ended."""
    head = [(":method", method), (":scheme", "http"), (":authority", "127.0.0.1"), (":path", target), *fields]
    return send_raw(house, head, body)


def send_raw(house: Serving, fields: Fields, body: bytes = b"", *, ends: bool = True) -> Answer:
    """The same, with every pseudo-header given; with `ends` off the request stays open, as a WebSocket's does."""
    config = H2Configuration(
        header_encoding="latin-1",
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
        validate_inbound_headers=False,
    )
    connection = H2Connection(config)
    status, headers, said = 0, dict[str, str](), bytearray()
    with closing(house.connect()) as stream:
        connection.initiate_connection()
        stream.sendall(connection.data_to_send())
        sent = False
        while received := stream.recv(65_536):
            for event in connection.receive_data(received):
                if isinstance(event, RemoteSettingsChanged) and not sent:
                    # Whether a WebSocket may be opened on a stream stands in them (RFC 8441 section 3).
                    sent = True
                    connection.send_headers(1, fields, end_stream=ends and not body)
                    if body:
                        connection.send_data(1, body, end_stream=ends)
                elif isinstance(event, ResponseReceived):
                    headers = {_text(name): _text(value) for name, value in event.headers}
                    status = int(headers.pop(":status"))
                elif isinstance(event, DataReceived):
                    said += event.data
                    connection.acknowledge_received_data(event.flow_controlled_length, 1)
                if isinstance(event, StreamEnded | StreamReset | ConnectionTerminated) or (said and not ends):
                    return status, headers, _read(bytes(said))
            stream.sendall(connection.data_to_send())
    return status, headers, _read(bytes(said))


def _text(field: str | bytes) -> str:
    return field if isinstance(field, str) else field.decode("latin-1")


def _read(body: bytes) -> object:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body
