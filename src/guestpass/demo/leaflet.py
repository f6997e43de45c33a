"""What the demo prints for people: where the page is, and four lines to paste into a shell."""

import json
from typing import Final

from guestpass.demo.data import ACCOUNT

_TEXT: Final = """\
A voice platform's API, guarded by guestpass. Its page: {url}/

Or paste these into a shell, one after another:

1. Mint a session with the secret key, as a back end does; it is for one account, without voicemails
{mint}

2. Use it: 200, that account's calls
{use}

3. Ask for the component that is not enabled in it: 403 component_disabled
{disabled}

4. Try to mint with the client secret: 403 escalation_denied
{escalate}

Ctrl-C ends it; what it made goes with it, unless --store said where to keep it."""

_JSON: Final = "-H 'Content-Type: application/json'"


def leaflet(url: str, secret_key: str) -> str:
    """The text, for a demo that serves at `url`."""
    asked = {"account": ACCOUNT, "components": {"call_logs": {"enabled": True}, "voicemails": {"enabled": False}}}
    body = json.dumps(asked, separators=(",", ":"))
    minting = f"{url}/v1/account_sessions"
    session = 'curl -sSi -w "\\n" -H "Authorization: Bearer $CS"'
    # sed, since a shell has it; the secret itself is of letters, digits and `_` alone.
    cut = 's/.*"client_secret":"\\([^"]*\\)".*/\\1/p'
    return _TEXT.format(
        url=url,
        mint=f"CS=$(curl -sS -H 'Authorization: Bearer {secret_key}' {_JSON} -d '{body}' {minting} | sed -n '{cut}')"
        '; echo "$CS"',
        use=f"{session} {url}/v1/call_logs",
        disabled=f"{session} {url}/v1/voicemails",
        escalate=f"{session} {_JSON} -d '{body}' {minting}",
    )
