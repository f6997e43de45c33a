"""``guestpass explain``: why a request would be let in or refused, by the guard of an application.

Knows how a request is written down on a command line, and where its credential comes from. The trace is
`guestpass.explaining.explanation`'s, the decision the guard's own.
"""

import argparse
import contextlib
import sys
from collections.abc import Generator
from typing import Final

from guestpass.cli import application, arguments
from guestpass.cli.answers import Answer, say, visible
from guestpass.cli.command import Command
from guestpass.cli.opening import secret_in
from guestpass.cli.problems import NOT_DONE, Misused
from guestpass.credentials import PROTOCOLS
from guestpass.guard import Guard
from guestpass.requests import Request, written


def explain(asked: argparse.Namespace) -> int:
    """Print the trace of one decision: 0 where the request is let in, 1 where it is refused."""
    # What an application prints while it starts is no part of the answer.
    with contextlib.redirect_stdout(sys.stderr), _guard(asked) as (guard, root_path):
        told = guard.explain(_request(asked, guard, root_path))
    code = say(Answer(told.as_data(), [visible(line) for line in str(told).splitlines()]), asked.json)
    return code or (0 if told.allowed else NOT_DONE)


@contextlib.contextmanager
def _guard(asked: argparse.Namespace) -> Generator[tuple[Guard, str], None, None]:
    """The guard that would decide on this request, and what stands before the paths of its rules."""
    named: str = asked.application
    if named.endswith(application.SETTINGS):
        # Only here, since they load the doors.
        from guestpass.cli.served import opened

        with opened(named) as service:
            minting, asking = service.issuing_guard, service.guard
            if asking is not None and (minting is None or minting.policy.find(asked.method, _path(asked)) is None):
                yield asking, service.root_path
            elif minting is not None:
                # Without [forward_auth] it is asked of every path.
                yield minting, ""
        return
    from guestpass.guarded import guarded

    found = application.load(named, also=Guard)
    # A guard that a proxy asks has no application behind it.
    yield found if isinstance(found, Guard) else guarded(found).guard, ""


def _path(asked: argparse.Namespace) -> str:
    path: str = asked.path
    return path.partition("?")[0]


def _request(asked: argparse.Namespace, guard: Guard, root_path: str) -> Request:
    headers: list[tuple[str, str]] = [*asked.header]
    if asked.account is not None:
        headers.append((guard.account_header, asked.account))
    offered: list[str] = []
    if asked.credential_file is not None:
        secret = secret_in(asked.credential_file)
        if asked.protocol is None:
            headers.append(("Authorization", f"Bearer {secret}"))
        else:
            offered = [asked.protocol, secret]
    elif asked.protocol is not None:
        raise Misused("--protocol says how the credential comes: --credential-file FILE has it")
    if asked.websocket and asked.method != "GET":
        raise Misused("a WebSocket handshake is GET")
    if offered and not asked.websocket:
        raise Misused("--protocol is for a handshake: add --websocket")
    line = f"{'WEBSOCKET' if asked.websocket else asked.method} {asked.path}"
    return written(line, headers, offered, root_path=root_path)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not (name + value).isprintable():
        raise argparse.ArgumentTypeError("a header is written as it is sent: 'Origin: https://app.example'")
    if name.strip().lower() == "authorization":
        raise argparse.ArgumentTypeError("every process here can read an argument: --credential-file FILE has it")
    try:
        (name + value).encode("latin-1")
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("a header holds no characters beyond Latin-1") from None
    return name, value


def _arguments(parser: argparse.ArgumentParser) -> None:
    application.argument(parser, or_settings=True)
    parser.add_argument("method", metavar="METHOD", type=arguments.text, help="GET, POST or another one")
    parser.add_argument("path", metavar="PATH", help="the path as it is sent, with its query: /v1/call_logs?page=2")
    parser.add_argument(
        "--credential-file",
        metavar="FILE",
        help="the credential that is presented, in a file, or - for standard input; left out: none",
    )
    parser.add_argument("--account", type=arguments.text, help="the account that the account header names")
    parser.add_argument(
        "--header",
        type=_header,
        action="append",
        default=[],
        metavar="HEADER",
        help="a header of the request, such as 'Origin: https://app.example'; may be repeated",
    )
    parser.add_argument("--websocket", action="store_true", help="it is a WebSocket handshake")
    parser.add_argument(
        "--protocol",
        choices=tuple(PROTOCOLS),
        help="the subprotocol that the credential comes after, as from a page; left out: it comes in the header",
    )


COMMANDS: Final = (
    Command(
        "explain",
        "say why a request would be let in or refused, check by check",
        explain,
        _arguments,
        "It decides as the application's own guard does, with its store and its issuers, and leaves nothing behind. "
        "Exit code 0 where the request is let in, 1 where it is refused. What it says is for whoever runs the API; it "
        "never shows the credential.",
        store="",
    ),
)
