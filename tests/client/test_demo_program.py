"""The client and a platform's own back end with the demo as a process of its own: each party where it really is."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from demo_program import Program, bearer, running
from guestpass.client import AsyncClient, Bearer, Client, ClientError, RefreshAuth
from guestpass.platform import EndUser, PlatformBackend, SessionTerms
from guestpass.platform.starlette import platform_routes
from serving_here import serving

ADA = "5f0c9a52-7a0e-4f0e-9d0f-3a4b8e6d1c27"


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with running("--json") as program:
        yield program
        assert program.end()[0] == 0


def test_the_environment_alone(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUESTPASS_BASE_URL", program.started["url"])
    monkeypatch.setenv("GUESTPASS_API_KEY", program.started["secret_key"])
    with Client() as client:
        session = client.account_sessions.create(account=program.started["account"], expires_in=60)
        assert session.expires_in == 60
        assert client.auth.sign(id=ADA).id == ADA
        client.account_sessions.revoke(session.id)
    refused = httpx.get(f"{program.started['url']}/v1/me", headers=bearer(session.client_secret))
    assert refused.json()["code"] == "session_revoked"
    monkeypatch.setenv("GUESTPASS_API_KEY", program.started["publishable_key"])
    with Client() as client, pytest.raises(ClientError) as raised:
        client.auth.sign()
    assert (raised.value.code, raised.value.status) == ("FORBIDDEN", 403)


def test_a_program_gets_its_credential_from_the_platform_and_keeps_it_good(program: Program) -> None:
    """Three parties: the API, the platform's back end, and a program that has nothing but its login there."""
    started = program.started
    client = AsyncClient(started["url"], started["secret_key"])

    def terms(user: str, account: str) -> SessionTerms:
        return SessionTerms(components={"call_logs": {"enabled": True}}, expires_in=60)

    backend: PlatformBackend[str] = PlatformBackend(
        client,
        may_access=lambda user, account: (user, account) == ("ada", started["account"]),
        session=terms,
        end_user=lambda user: EndUser(ADA, tenant_id=started["account"]),
    )

    def user(request: Request) -> str | None:
        return request.cookies.get("user")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    app = Starlette(routes=platform_routes(backend, user=user), lifespan=lifespan)
    with serving(app) as platform, httpx.Client(base_url=platform, headers={"Cookie": "user=ada"}) as login:
        given: list[str] = []

        def session(_: str | None) -> Bearer:
            answer = login.post("/api/create-session", json={"accountId": started["account"]}).raise_for_status().json()
            given.append(answer["client_secret"])
            return Bearer(answer["client_secret"], answer["expires_in"])

        def token(entity_id: str | None) -> str:
            answer = login.post("/api/refresh-sdk-token", json={"entityId": entity_id} if entity_id else {})
            return str(answer.raise_for_status().json()["token"])

        with httpx.Client(base_url=started["url"], auth=RefreshAuth(session, base_url=started["url"])) as api:
            assert api.get("/v1/call_logs").json()["account"] == started["account"]
            assert api.get("/v1/voicemails").status_code == 403
            with Client(started["url"], started["secret_key"]) as operator:
                operator.revocations.account(started["account"])
            assert api.get("/v1/call_logs").status_code == 200
            assert len(set(given)) == 2

        auth = RefreshAuth(token, base_url=started["url"])
        with httpx.Client(base_url=started["url"], auth=auth) as api:
            assert api.get("/v1/me").json()["subject"] == auth.entity_id == ADA
        denied = login.post("/api/create-session", json={"accountId": started["other_account"]})
        assert (denied.status_code, denied.json()) == (403, {"error": "Access denied"})
