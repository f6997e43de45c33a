"""What each check of a request saw, in words: the grant against the need, the places that name an account.

Pure, and after the fact: it tells what a decision was taken on, and takes none. What comes from the request is quoted;
that none of it is a credential is `guestpass.explaining.explanation`'s to see to.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

from guestpass.credentials import PROTOCOLS
from guestpass.explaining.tracing import Trace
from guestpass.grants import ALL, Grant, Mode, Names
from guestpass.paths import ONE_WAY
from guestpass.policy import Policy
from guestpass.principal import PUBLISHABLE_KEY, SECRET_KEY, Principal, is_account_id
from guestpass.proving import Proof
from guestpass.quoting import instant, quoted, without_credentials
from guestpass.refusals import Refusal
from guestpass.requests import Presented, Request, canonical
from guestpass.rules import BASE_ROLE, WEBSOCKET, Rule
from guestpass.unproved import wrong_mode
from guestpass.values import as_collection

_MANY: Final = 12
"""Names of a grant that are listed."""


@dataclass(frozen=True, slots=True)
class Case:
    """One decision: a request, what the guard held it against, what the pipeline noted, and its verdict."""

    request: Request
    policy: Policy
    rule: Rule | None
    mode: Mode
    account_header: str
    trace: Trace
    verdict: Proof


def method(request: Request) -> str:
    """The method of a request, as it is written."""
    return "WEBSOCKET" if request.method == WEBSOCKET else quoted(request.method)[1:-1]


def presented(request: Request) -> Iterator[str]:
    """Everything in a request that may be a credential, whatever its form."""
    offered = list(request.subprotocols)
    for name, value in request.headers:
        if canonical(name) in (b"authorization", b"proxy-authorization", b"cookie"):
            yield value.decode("latin-1")
        elif canonical(name) == b"sec-websocket-protocol":
            offered += value.decode("latin-1").split(",")
    yield from (one for one in offered if one.strip() not in PROTOCOLS)


def token_notes(case: Case) -> Sequence[str]:
    """What a refused token says of itself; none of it is proved."""
    token = None if case.trace.credential is None else case.trace.credential.token
    if token is None:
        return ()
    said = {**{name: token.header.get(name) for name in ("alg", "kid", "typ")}, **_claims(token.claims)}
    told = ", ".join(f"{name} {_claim(name, value)}" for name, value in said.items() if value is not None)
    return [f"it says of itself, which nobody has checked: {told}"]


def _claims(claims: Mapping[str, object]) -> dict[str, object]:
    return {name: claims.get(name) for name in ("iss", "aud", "client_id", "iat", "nbf", "exp")}


def _claim(name: str, value: object) -> str:
    if name in ("iat", "nbf", "exp") and isinstance(value, int | float) and not isinstance(value, bool):
        return instant(float(value)) if abs(value) < 1e15 else "no date"
    return quoted(value if isinstance(value, str) else str(value))


def _path(case: Case) -> str:
    if case.trace.presented is not None or not isinstance(case.verdict, Refusal):
        return "it reads one way"
    if case.verdict.more not in ("", ONE_WAY):
        return case.verdict.more
    return "; ".join(_odd(case.request)) or "a server may cut the root off it, or not"


_ODD: Final = (
    (re.compile(r"^[^/]|^\Z"), "it does not begin with a slash"),
    (re.compile(r"//"), "an empty segment, //"),
    (re.compile(r"/(?:\.|%2e){1,2}(?:/|\Z)", re.IGNORECASE), "a segment of dots"),
    (re.compile(r"\\|%5c", re.IGNORECASE), "a backslash"),
    (re.compile(r";|%3b", re.IGNORECASE), "a semicolon"),
    (re.compile(r"[\x00-\x20\x7f]|%[01][0-9a-f]|%7f", re.IGNORECASE), "a control character"),
    (re.compile(r"%2f", re.IGNORECASE), "an encoded slash, %2F"),
    (re.compile(r"%25", re.IGNORECASE), "an encoded percent sign, %25"),
)


def _odd(request: Request) -> list[str]:
    if request.path is None:
        return ["it begins as the application's root does, but as text, not by whole segments"]
    raw = (request.raw_path or b"").partition(b"?")[0].decode("latin-1")
    return [what for form, what in _ODD if form.search(request.whole_path) or (raw and form.search(raw))]


def _public(case: Case) -> str:
    rule = case.rule
    if rule is None or not rule.public:
        return "none is for it"
    checked = ", and checks a credential if there is one" if rule.optional else ", and looks at no credential"
    return f"{rule.pattern} is public ({rule.reason}){checked}"


def _header_form(case: Case) -> str:
    what = case.trace.presented or _NOTHING
    count, pair = len(what.authorization), what.pair
    found: list[str] = []
    if count > 1:
        found.append(f"{count} Authorization headers")
    elif count:
        scheme = what.authorization[0].strip(b" \t").partition(b" ")[0].lower()
        found.append(
            "one Authorization: Bearer header"
            if scheme == b"bearer"
            else "an Authorization header of another scheme than Bearer"
        )
    if isinstance(pair, tuple):
        found.append(f"the subprotocol {pair[0]}, and a credential after it")
    elif isinstance(pair, Refusal):
        names = [name for name in case.request.subprotocols if name in PROTOCOLS]
        found.append(f"among the subprotocols {', '.join(dict.fromkeys(names))}, without just one credential after it")
    told = " and ".join(found) or "no Authorization header" + (
        ", and no subprotocol that announces a credential" if case.request.method == WEBSOCKET else ""
    )
    if isinstance(case.trace.proof, Refusal) and case.trace.proof.code == "credential_malformed":
        if case.trace.kind is not None:
            return f"{told}, which is {_a(case.trace.kind)} by its form"
        return (
            told if count > 1 or len(found) > 1 or isinstance(pair, Refusal) else f"{told}, and not one token after it"
        )
    if isinstance(case.trace.proof, Refusal) and case.trace.proof.code == "credential_missing":
        return "; ".join([told, *_elsewhere(case.request)])
    return told


def _elsewhere(request: Request) -> list[str]:
    """Where something stands that looks like a credential, and none is accepted."""
    places = [
        f"the header {quoted(name.decode('latin-1'))[1:-1]}"
        for name, value in request.headers
        if canonical(name) != b"authorization" and _looks_like_one(value.decode("latin-1"))
    ]
    if _looks_like_one(request.query.decode("latin-1")):
        places.append("the query")
    if _looks_like_one(request.whole_path):
        places.append("the path")
    return [f"{', '.join(places)} has what looks like a credential, and none is accepted there"] if places else []


def _looks_like_one(text: str) -> bool:
    return without_credentials(text) != text


def _credential(case: Case) -> str:
    proof = case.trace.proof
    if case.trace.overridden and isinstance(proof, Principal):
        return f"in its place that of guard.override(…): {proof.kind} {proof.credential_id}"
    by_form = "" if case.trace.kind is None else f"{_a(case.trace.kind)} by its form, "
    if isinstance(proof, Principal):
        how = (
            "known from the cache"
            if case.trace.cached
            else f"{'looked up' if case.trace.asked else 'checked'} by {_whose(case)}"
        )
        which = f"{proof.kind} {proof.credential_id}"
        return f"{by_form}{how}: {which}{_from_page(case.trace.presented)}"
    if proof is None:
        return f"{by_form}and then something unforeseen"
    recalled = case.trace.recalled
    if case.trace.credential is None:
        known = "" if recalled is None else f": {recalled.kind} {recalled.credential_id}"
        return f"known from the cache{known}, {proof.because}"
    if case.trace.authenticator is None:
        return f"nobody's: {proof.because}"
    how = f"{by_form}{'looked up' if case.trace.asked else 'checked'} by {_whose(case)}:"
    named = f" {proof.credential_id}," if proof.credential_id else ""
    if proof.because == wrong_mode(case.mode):
        return f"{how}{named} and it is good"
    return f"{how}{named} {proof.because or proof.detail}"


def _whose(case: Case) -> str:
    return type(case.trace.authenticator).__name__


def _from_page(what: Presented | None) -> str:
    if what is None or not what.in_browser:
        return ""
    return f", presented by a page of {quoted(what.origin)}" if what.origin else ", presented by a page"


def _mode(case: Case) -> str:
    if isinstance(case.trace.proof, Principal):
        return f"{case.trace.proof.mode}, as the guard"
    return f"{'test' if case.mode == 'live' else 'live'}, and the guard's is {case.mode}"


def _rule(case: Case) -> str:
    if case.rule is None:
        return "none is for it"
    asked = [
        f"{one.name}={_asked(getattr(case.rule, one.name))}"
        for one in fields(Rule)
        if one.compare and one.name != "pattern" and getattr(case.rule, one.name) != one.default
    ]
    return case.rule.pattern + (f": {', '.join(asked)}" if asked else "")


def _asked(value: object) -> str:
    listed = as_collection(value)
    return repr(value) if listed is None else f"{{{', '.join(sorted(map(repr, listed)))}}}"


def _kind(case: Case) -> str:
    kinds = None if case.rule is None else case.rule.kinds
    let_in = f"all but {PUBLISHABLE_KEY}" if kinds is None else ", ".join(sorted(kinds))
    return f"{_principal(case).kind}; let in: {let_in}"


def _mint(case: Case) -> str:
    if case.rule is None or not case.rule.mints:
        return "nothing is minted here"
    return f"only a {SECRET_KEY} mints, and this is {_a(_principal(case).kind)}"


def _account(case: Case) -> str:
    rule, principal = case.rule or _NO_RULE, _principal(case)
    request, has = case.request, _has(principal.grant.accounts, "account")
    named = [f"the header {case.account_header} names {quoted(name)}" for name in _accounts(case)]
    alone = list(_accounts(case))
    for place in rule.places:
        for name in request.named(place, rule.parameters):
            written = f"{{{place.name}}} in the path" if place.where == "path" else f"{place.name} in the {place.where}"
            named.append(f"{written} names {quoted(name)}")
            alone.append(name)
    if not named:
        if not rule.account:
            return f"the rule is for no account, and nothing names one; the credential has {has}"
        if principal.account is not None:
            return f"nothing names one; the credential has {has}"
        where = [f"the header {case.account_header}", *(f"{place.where} {place.name}" for place in rule.places)]
        return f"nothing names one, in {' or '.join(where)}; the credential has {has}"
    more = [f"and {len(named) - _MANY} more name one"] if len(named) > _MANY else []
    told = f"{'; '.join([*named[:_MANY], *more])}; the credential has {has}"
    if principal.grant.accounts is ALL and len(set(alone)) == 1:
        told += _owned(principal.platform, alone[0], case.verdict)
    return told


def _owned(platform: str, account: str, verdict: Proof) -> str:
    if not is_account_id(account):
        return ", and that is no account's id"
    if not isinstance(verdict, Refusal):
        return f", and it is {platform}'s"
    if verdict.code == "account_refused":
        return f", and it is not {platform}'s, by owns(…)"
    return "" if verdict.status >= 500 else f", and it is {platform}'s"


def _component(case: Case) -> str:
    rule = case.rule
    if rule is None or rule.component is None:
        return "none is needed"
    return f"needed: {rule.component}; the credential has {_components(case)}"


def _feature(case: Case) -> str:
    rule = case.rule
    if rule is None or rule.feature is None:
        return "none is needed"
    return f"needed: {rule.component}/{rule.feature}; the credential has {_components(case)}"


def _role(case: Case) -> str:
    role = None if case.rule is None else case.policy.role_of(case.rule)
    if case.rule is None or role is None:
        return "none is needed"
    lowest = ", the lowest, since the rule names none" if case.rule.role is BASE_ROLE else ""
    return f"needed: {role}{lowest}; the credential has {_has(_principal(case).grant.roles, 'role')}"


def _components(case: Case) -> str:
    return _has(_principal(case).grant.components, "component")


def _has(names: Names, what: str) -> str:
    if names is ALL:
        return f"every {what}"
    listed = sorted(names)
    more = f" and {len(listed) - _MANY} more" if len(listed) > _MANY else ""
    return ", ".join(listed[:_MANY]) + more if listed else f"no {what}"


def _accounts(case: Case) -> Iterable[str]:
    return () if case.trace.presented is None else case.trace.presented.accounts


_NOTHING: Final = Presented([], [])
_NO_RULE: Final = Rule("GET /")
_NOBODY: Final = Principal(kind="nobody", subject="", grant=Grant("", "live"), credential_id="")


def _principal(case: Case) -> Principal:
    return case.trace.proof if isinstance(case.trace.proof, Principal) else _NOBODY


def _a(kind: str) -> str:
    return f"an {kind}" if kind[:1] in "aeiou" else f"a {kind}"


SEEN: Final[Mapping[str, Callable[[Case], str]]] = {
    "path": _path,
    "public rule": _public,
    "header form": _header_form,
    "credential": _credential,
    "mode": _mode,
    "rule": _rule,
    "kind": _kind,
    "mint": _mint,
    "account": _account,
    "component": _component,
    "feature": _feature,
    "role": _role,
}
"""By the name of a check, what it saw."""
