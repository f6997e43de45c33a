"""Why a request is let in or refused, for the operator: every check in its order, and what it saw.

Made of what the pipeline itself noted and answered (`guestpass.explaining.tracing`), after the fact; decides nothing.
Nothing of what was presented is in it: whatever comes from a request goes through a `Veil`.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias

from guestpass.explaining import seen
from guestpass.explaining.near_rules import near_rules
from guestpass.explaining.seen import Case
from guestpass.explaining.tracing import Decides, Trace
from guestpass.grants import ALL, Mode, Names
from guestpass.inquiry import Inquiry
from guestpass.policy import Policy
from guestpass.principal import Principal
from guestpass.proving import Proof
from guestpass.quoting import Veil, instant, where, without_credentials
from guestpass.refusals import Refusal
from guestpass.requests import Request
from guestpass.unproved import wrong_mode
from guestpass.values import as_collection

State: TypeAlias = Literal["passed", "refused", "not reached"]

STEPS: Final = (
    "path", "public rule", "header form", "credential", "mode", "rule", "kind", "mint", "account", "component",
    "feature", "role",
)  # fmt: skip
"""The checks of a request, in their order."""

_LONGEST_PATH: Final = 200


@dataclass(frozen=True, slots=True)
class Step:
    """One check: how it went, and what it saw. `notes` are for who looks closer."""

    name: str
    state: State
    saw: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Explanation:
    """The decision on one request, check by check.

    `str()` of it is for people, `as_data` for machines. Neither holds a credential, nor a piece of one. It says more
    than a caller may know: it is for whoever runs the API, and no door hands it out.
    """

    request: str
    steps: tuple[Step, ...]
    verdict: Proof = field(compare=False)
    """What the guard decided: a principal, also for who comes in through a public rule; or a refusal."""
    because: str = ""
    principal: Mapping[str, object] | None = None
    """Whom the application would see; None where it is refused, or nobody is named."""

    @property
    def allowed(self) -> bool:
        """Whether the request is let in."""
        return isinstance(self.verdict, Principal)

    @property
    def code(self) -> str | None:
        """The code of the refusal, None where there is none."""
        return self.verdict.code if isinstance(self.verdict, Refusal) else None

    @property
    def refused_at(self) -> str | None:
        """The check that refused, None where none did."""
        return next((step.name for step in self.steps if step.state == "refused"), None)

    def as_data(self) -> dict[str, object]:
        """All of it as JSON data."""
        refusal = self.verdict if isinstance(self.verdict, Refusal) else None
        return {
            "request": self.request,
            "allowed": self.allowed,
            "code": self.code,
            "status": None if refusal is None else refusal.status,
            "text": None if refusal is None else refusal.detail,
            "because": self.because or None,
            "refused_at": self.refused_at,
            "steps": [
                {"step": step.name, "state": step.state, "saw": step.saw, "notes": list(step.notes)}
                for step in self.steps
            ],
            "principal": None if self.principal is None else dict(self.principal),
        }

    def __str__(self) -> str:
        lines = [self.request, ""]
        for step in self.steps:
            if step.state != "not reached":
                lines.append(f"  {step.name:<12} {step.state:<8} {step.saw}".rstrip())
                lines += [f"{'':24}{note}" for note in step.notes]
        left = [step.name for step in self.steps if step.state == "not reached"]
        lines += [f"  not reached: {', '.join(left)}"] if left else []
        return "\n".join([*lines, "", *self._verdict_lines()])

    def __repr__(self) -> str:
        verdict = "let in" if self.allowed else f"refused at {self.refused_at}: {self.code}"
        return f"<Explanation of {self.request}: {verdict}>"

    def _verdict_lines(self) -> Sequence[str]:
        if isinstance(self.verdict, Refusal):
            said = f"refused: {self.verdict.status} {self.code}: {self.verdict.detail}"
            return [said, *([f"because {self.because}"] if self.because else [])]
        if self.principal is None:
            return ["let in, as nobody in particular"]
        return ["let in:", *(f"  {name}: {_plain(value)}" for name, value in self.principal.items() if value)]


class Explained(Protocol):
    """A guard, as far as it is needed here."""

    @property
    def policy(self) -> Policy: ...
    @property
    def mode(self) -> Mode: ...
    @property
    def account_header(self) -> str: ...
    def tracing(self, trace: Trace, /) -> Decides: ...


def explain(guard: Explained, request: Request) -> Inquiry[Explanation]:
    """Have `guard` rehearse its decision on `request`, and tell of it: drive the answer."""
    trace, policy = Trace(rehearsing=True), guard.policy
    rule = None if request.path is None else policy.find(request.method, request.path)
    try:
        verdict = guard.tracing(trace).decide(request)
        proof = (yield from verdict) if isinstance(verdict, Generator) else verdict
    except Exception as problem:  # noqa: BLE001 - a door would answer it like this
        proof = Refusal("internal_error", because=f"the guard failed: {where(problem)}")
    return _told(Case(request, policy, rule, guard.mode, guard.account_header, trace, proof))


def _told(case: Case) -> Explanation:
    verdict, trace = case.verdict, case.trace
    veil = Veil(seen.presented(case.request))
    stop, state = _stop(case)
    steps: list[Step] = []
    for place, name in enumerate(STEPS):
        if place > stop:
            steps.append(Step(name, "not reached"))
            continue
        saw = veil(seen.SEEN[name](case))
        notes = tuple(veil(note) for note in _notes(name, case))
        steps.append(Step(name, state if place == stop else "passed", saw, notes))
    named = verdict if isinstance(verdict, Principal) and trace.proof is not None and verdict.kind != "anyone" else None
    return Explanation(
        request=veil(f"{seen.method(case.request)} {_path(case)}"),
        steps=tuple(steps),
        verdict=verdict,
        because=veil(verdict.because) if isinstance(verdict, Refusal) else "",
        principal=None if named is None else {name: _veiled(value, veil) for name, value in _described(named).items()},
    )


def _path(case: Case) -> str:
    shown = without_credentials(ascii(case.request.whole_path)[1:-1])
    return shown if len(shown) <= _LONGEST_PATH else f"{shown[:_LONGEST_PATH]}…"


def _stop(case: Case) -> tuple[int, State]:
    """The last check that was made, by its place in `STEPS`, and how that went."""
    verdict, trace = case.verdict, case.trace
    if isinstance(verdict, Refusal):
        return STEPS.index(_refused_at(case, verdict)), "refused"
    if trace.presented is None:
        return STEPS.index("public rule"), "passed"
    if isinstance(trace.proof, Refusal):
        return STEPS.index("header form"), "passed"
    public = case.rule is not None and case.rule.public
    return STEPS.index("mode" if public else "role"), "passed"


_AFTER_THE_CREDENTIAL: Final = {
    "rule_missing": "rule",
    "kind_refused": "kind",
    "escalation_denied": "mint",
    "account_missing": "account",
    "account_mismatch": "account",
    "account_refused": "account",
    "component_disabled": "component",
    "feature_disabled": "feature",
    "role_insufficient": "role",
}


def _refused_at(case: Case, refusal: Refusal) -> str:
    trace = case.trace
    if trace.presented is None:
        return "path"
    if isinstance(trace.proof, Principal):
        # What else fails after the credential is the question whose an account is.
        return _AFTER_THE_CREDENTIAL.get(refusal.code, "account")
    if refusal.code in ("credential_missing", "credential_malformed"):
        return "header form"
    return "mode" if refusal.because == wrong_mode(case.mode) else "credential"


def _notes(name: str, case: Case) -> Sequence[str]:
    if name == "credential" and isinstance(case.verdict, Refusal) and case.trace.proof is case.verdict:
        return seen.token_notes(case)
    if name != "rule" or case.request.path is None:
        return ()
    near = near_rules(case.policy, case.request.method, case.request.path, case.rule)
    return [f"not {one.rule.pattern}: {one.why}" for one in near]


def _described(principal: Principal) -> dict[str, object]:
    grant = principal.grant
    return {
        "kind": principal.kind,
        "credential_id": principal.credential_id,
        "platform": grant.platform,
        "mode": grant.mode,
        "subject": principal.subject,
        "issuer": principal.issuer,
        "minted_by": principal.minted_by,
        "accounts": _listed(grant.accounts),
        "components": _listed(grant.components),
        "roles": _listed(grant.roles),
        "expires_at": instant(grant.expires_at) if grant.expires_at < float("inf") else None,
    }


def _listed(names: Names) -> str | list[str]:
    return "ALL" if names is ALL else sorted(names)


def _veiled(value: object, veil: Veil) -> object:
    listed = as_collection(value)
    if listed is not None:
        return [veil(str(one)) for one in listed]
    return veil(value) if isinstance(value, str) else value


def _plain(value: object) -> str:
    listed = as_collection(value)
    return str(value) if listed is None else ", ".join(map(str, listed))
