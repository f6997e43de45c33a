"""No credential appears in a log line, an exception, a repr or a response."""

import gc
import json
import logging
import traceback
from collections.abc import Callable, Iterable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket

from guestpass import Credential, GuestpassError, Refused, StoreUnavailable, open_store
from guestpass.fastapi import Caller, needs, protect
from guestpass.records import FindSession
from guestpass.tokens import read_token
from support import WRAPPING_KEY, House, Recording, ask_http, ask_socket, bearer, build

pytestmark = pytest.mark.anyio


def served(house: House) -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.get("/logs")
    @needs(component="call_logs")
    async def logs(caller: Caller) -> str:
        return repr(caller)

    @app.websocket("/events")
    @needs()
    async def events(websocket: WebSocket, caller: Caller) -> None:
        await websocket.accept()
        await websocket.send_json(repr(caller))
        await websocket.close()

    protect(app, house.guard, issuing="/")
    return app


async def test_a_whole_flow_logs_and_answers_no_credential(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = Recording(open_store("memory://"))
    house = build(store=store)
    app = served(house)
    key, other_mode = house.key(), build(mode="test", seed=4).key()
    by = house.guard.check(key)
    made = house.sessions.create(by=by, account="acct_1")
    signed = house.signer.sign(by=by, tenant_id="acct_1", components={"call_logs": {"enabled": True}})
    ended = house.sessions.create(by=by, account="acct_1", expires_in=60).client_secret
    house.clock.advance(100)
    texts = {
        key, other_mode, made.client_secret, signed.jwt, ended, signed.jwt[:-5] + "AAAAA",
        made.client_secret[:-1] + "!", key[:-1] + "0", signed.jwt.split(".")[0] + ".e30." + signed.jwt.split(".")[2],
    }  # fmt: skip
    seen: list[str] = [
        repr(made),
        repr(signed),
        repr(by),
        repr(house),
        repr(house.guard),
        repr(house.keys.list()),
        repr(store.asked),
    ]
    for text in texts:
        for headers in ({}, {"Origin": "https://shop.example"}, {"Account-Id": "acct_2"}, {"Account-Id": "acct_1"}):
            for path in ("/logs", "/nowhere", "/logs//", "/logs?token=" + text.replace("!", "")):
                outcome = await ask_http(app, "GET", path, {**bearer(text), **headers})
                seen += [str(outcome.headers), outcome.body.decode()]
        for name in ("client_secret", "jwt", "apikey", "token"):
            for offered in ([name, text], [name, text, name, text]):
                for response in (True, False):
                    seen.append(repr((await ask_socket(app, "/events", (), offered, http_response=response)).sent))
        outcome = await ask_http(app, "POST", "/v1/account_sessions", bearer(text), body=b'{"account":7}')
        seen += [str(outcome.headers), outcome.body.decode()]
        seen.append(_said(lambda text=text: house.guard.check(text)))  # type: ignore[misc]
    problem = StoreUnavailable("the store is gone")

    def away() -> None:
        raise problem

    store.before[FindSession] = away
    house.guard.forget(lambda _: True)
    seen.append(repr((await ask_http(app, "GET", "/logs", bearer(made.client_secret))).sent))
    assert "store_unavailable" in caplog.text
    assert "secret_key_in_browser" in caplog.text
    everything = "\n".join([*seen, caplog.text, *(repr(record.__dict__) for record in caplog.records)])
    for text in texts:
        assert text not in everything
        # Nor a part of it that would do.
        assert text.rpartition("_")[2][:20] not in everything or "." in text
    assert WRAPPING_KEY not in everything


def _said(action: Callable[[], object]) -> str:
    try:
        action()
    except GuestpassError as problem:
        return "".join(traceback.format_exception(problem)) + repr(problem) + str(vars(problem))
    return ""


def test_a_failure_inside_carries_no_credential() -> None:
    house = build()
    secret = house.session()

    def fail() -> None:
        raise OSError("disk")

    store = Recording(house.store)
    broken = build(store=store, clock=house.clock)
    store.before[FindSession] = fail
    with pytest.raises(OSError, match="disk") as raised:
        broken.guard.check(secret)
    assert secret not in "".join(traceback.format_exception(raised.value))


def test_a_refusal_keeps_no_credential() -> None:
    house = build()
    secret = build(seed=9).session()
    with pytest.raises(Refused) as raised:
        house.guard.check(secret)
    assert secret not in repr(raised.value.refusal)
    assert secret not in str(raised.value.args)


def test_who_reports_an_error_with_its_variables_reports_no_credential() -> None:
    presented = Credential("gp_live_telltale", "token", unreadable="why")
    # As structured logs do it, and error reporters: what is a sequence is written out, anything else by its repr.
    assert not isinstance(presented, Iterable)
    assert "telltale" not in json.dumps({"credential": presented}, default=repr) + f"{presented} {presented!r}"
    assert "telltale" not in "credential: %s" % presented  # noqa: UP031 - of a tuple it would take the parts
    assert {presented} == {Credential("gp_live_telltale", "token", None, "why")}
    with pytest.raises(FrozenInstanceError):
        presented.text = "another"  # type: ignore[misc]
    token = build().token()
    read = read_token(token)
    assert not isinstance(read, Iterable)
    for part in token.split(".")[1:]:
        assert part[:20] not in json.dumps({"token": read}, default=repr)


def test_nothing_that_the_library_keeps_holds_a_credential() -> None:
    house = build()
    secret = house.session()
    house.guard.check(secret)
    kept: list[Any] = [house.guard, house.sessions, house.keys, house.store]
    # Everything that can be reached from what lives as long as the process.
    found: set[int] = set()
    while kept:
        one = kept.pop()
        if id(one) in found or isinstance(one, type) or (type(one).__module__ == "builtins" and callable(one)):
            continue
        found.add(id(one))
        assert not (isinstance(one, str) and one == secret)
        assert not (isinstance(one, bytes) and secret.encode() in one)
        if len(found) > 200_000:
            break
        module = type(one).__module__
        if module.startswith("guestpass") or isinstance(one, dict | list | tuple | set | frozenset):
            kept += gc.get_referents(one)
