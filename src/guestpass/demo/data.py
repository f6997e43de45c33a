"""What the voice platform keeps: whose each account is, and each account's calls and messages.

Stands in for a platform's own database. Knows nothing of guestpass: `owns` is all that a guard asks of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

PLATFORM: Final = "voice"
ACCOUNT: Final = "acct_01h2xcejqtf2nbrexx3vqjhp41"
OTHER_ACCOUNT: Final = "acct_01h455vb4pex5vsknk084sn02q"
FOREIGN_ACCOUNT: Final = "acct_01h5fskfsk4fpeqwnsyz5hj55t"
"""Another platform's account, for which the demo's own keys are no good."""

Row: TypeAlias = Mapping[str, str | int | bool]


@dataclass(frozen=True, slots=True)
class Account:
    """One tenant, and the platform that it belongs to."""

    platform: str
    name: str


ACCOUNTS: Final[Mapping[str, Account]] = {
    ACCOUNT: Account(PLATFORM, "Harbor Dental"),
    OTHER_ACCOUNT: Account(PLATFORM, "Northside Plumbing"),
    FOREIGN_ACCOUNT: Account("another-platform", "Elsewhere Ltd"),
}


@dataclass(frozen=True, slots=True)
class Call:
    """A call that has ended. `seconds` is how long it lasted, 0 where nobody answered."""

    id: str
    minutes_ago: int
    direction: str
    caller: str
    called: str
    seconds: int
    transcript: str


@dataclass(frozen=True, slots=True)
class Voicemail:
    """A message that somebody left. `seconds` is its length."""

    id: str
    minutes_ago: int
    caller: str
    seconds: int
    text: str


# Numbers from the range that is set aside for fiction.
_CALLS: Final[Mapping[str, tuple[Call, ...]]] = {
    ACCOUNT: (
        Call("call_h4", 12, "inbound", "+1 206 555 0142", "+1 206 555 0100", 184, "I'd like to move my check-up."),
        Call("call_h3", 47, "outbound", "+1 206 555 0100", "+1 206 555 0119", 63, "Your crown is ready."),
        Call("call_h2", 95, "inbound", "+1 425 555 0177", "+1 206 555 0100", 0, ""),
        Call("call_h1", 1_310, "inbound", "+1 206 555 0163", "+1 206 555 0100", 412, "Do you take new patients?"),
    ),
    OTHER_ACCOUNT: (
        Call("call_n2", 8, "inbound", "+1 312 555 0151", "+1 312 555 0190", 131, "The boiler is leaking."),
        Call("call_n1", 240, "outbound", "+1 312 555 0190", "+1 312 555 0128", 77, "We are ten minutes away."),
    ),
}

_VOICEMAILS: Final[Mapping[str, tuple[Voicemail, ...]]] = {
    ACCOUNT: (
        Voicemail("vm_h2", 94, "+1 425 555 0177", 21, "It's about Thursday. Please call me back."),
        Voicemail("vm_h1", 1_502, "+1 206 555 0135", 38, "My filling came out over the weekend."),
    ),
    OTHER_ACCOUNT: (Voicemail("vm_n1", 361, "+1 312 555 0117", 16, "No hot water since this morning."),),
}


def owns(platform: str, account: str) -> bool:
    """Whether `account` belongs to `platform`."""
    row = ACCOUNTS.get(account)
    return row is not None and row.platform == platform


def call_logs(account: str | None, now: datetime, *, transcripts: bool) -> list[Row]:
    """The calls of one account, newest first; with what was said only where `transcripts`."""
    return [_call(call, now, transcripts) for call in _CALLS.get(account or "", ())]


def voicemails(account: str | None, now: datetime) -> list[Row]:
    """The messages of one account, newest first."""
    return [
        {
            "id": message.id,
            "received_at": instant(now - timedelta(minutes=message.minutes_ago)),
            "from": message.caller,
            "duration_seconds": message.seconds,
            "text": message.text,
        }
        for message in _VOICEMAILS.get(account or "", ())
    ]


def event(account: str, number: int, now: datetime) -> Row:
    """The `number`-th thing that happens at an account while somebody listens."""
    kind = ("call.ringing", "call.answered", "call.ended")[number % 3]
    calls = [call for call in _CALLS[account] if call.direction == "inbound"] if account in _CALLS else []
    caller = calls[number // 3 % len(calls)].caller if calls else "unknown"
    return {"type": kind, "account": account, "from": caller, "at": instant(now)}


def instant(when: datetime) -> str:
    """ISO 8601 in UTC, to the second."""
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _call(call: Call, now: datetime, transcripts: bool) -> Row:
    row: dict[str, str | int | bool] = {
        "id": call.id,
        "started_at": instant(now - timedelta(minutes=call.minutes_ago)),
        "direction": call.direction,
        "from": call.caller,
        "to": call.called,
        "duration_seconds": call.seconds,
        "answered": call.seconds > 0,
    }
    return {**row, "transcript": call.transcript} if transcripts else row
