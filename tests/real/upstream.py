"""What stands behind the proxies of `test_proxies`: it lets everybody in, and says what it sees. Run by uvicorn."""

import json
from typing import Any

from guestpass.asgi import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """One request or one socket. A path that ends in a number is answered with that status."""
    if scope["type"] == "lifespan":
        return
    if scope["type"] == "websocket":
        await receive()
        taken = next((name for name in scope["subprotocols"] if name == "chat"), None)
        await send({"type": "websocket.accept", "subprotocol": taken})
        await send({"type": "websocket.send", "text": json.dumps(seen(scope, 0))})
        said = await receive()
        await send({"type": "websocket.send", "text": f"you said {said.get('text')}"})
        await send({"type": "websocket.close"})
        return
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    last = scope["path"].rpartition("/")[2]
    status = int(last) if last.isdigit() else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    body = b"" if scope["method"] == "HEAD" else json.dumps(seen(scope, size)).encode()
    await send({"type": "http.response.body", "body": body})


def seen(scope: Scope, size: int) -> dict[str, Any]:
    """What has arrived."""
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    return {
        "method": scope.get("method"),
        "path": scope["raw_path"].decode("latin-1"),
        "headers": headers,
        "size": size,
        "subprotocols": scope.get("subprotocols"),
    }
