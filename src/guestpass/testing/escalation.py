"""No credential ever reaches what its minter could not, nor outlives it: tried at random, on a policy of one's own.

```python
TestNoEscalation = EscalationMachine.for_policy(policy).TestCase
```

A state machine of hypothesis makes keys, sessions and tokens, narrows, rotates and revokes, lets time pass, mints with
whatever it has got hold of and asks for what the policy's rules guard, all through the guard and the issuing API; and
after each step holds every credential against a second opinion (`guestpass.testing.escalation_model`). Needs
hypothesis.
"""

import types
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

try:
    from hypothesis import strategies as st
    from hypothesis.stateful import (
        Bundle,
        MultipleResults,
        RuleBasedStateMachine,
        initialize,
        invariant,
        multiple,
        rule,
    )
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError("guestpass.testing.escalation needs hypothesis: pip install hypothesis") from missing

from guestpass.errors import ConfigurationError, Refused
from guestpass.guard import ANYONE, UNNAMED, Guard
from guestpass.inquiry import drive
from guestpass.issuing_wsgi import issuing_api, issuing_rules
from guestpass.policy import Policy
from guestpass.principal import PUBLISHABLE_KEY, SECRET_KEY, SIGNED_TOKEN, Principal
from guestpass.revocation.feed import feed_of
from guestpass.rules import Rule
from guestpass.testing.escalation_asks import OWN, Asks, KeyAsk, Limit, MintAsk
from guestpass.testing.escalation_model import (
    EVERY_ACCOUNT,
    Bound,
    Held,
    Key,
    Vocabulary,
    accounts_of,
    owns,
)
from guestpass.testing.escalation_requests import forged, minted_in_process, minted_over_http, post, request_for
from guestpass.testing.kit import Kit
from guestpass.tokens import read_token
from guestpass.wsgi import GuardMiddleware

TICK: Final = 0.01
"""Seconds that each step takes, so that no two things happen in the same millisecond."""

DEFAULT_LIFETIME: Final = 3_600
NO_COMPONENTS: Final[Mapping[str, object]] = {}
KEPT: Final = 24
"""How many credentials are looked at after each step: the newest."""


def _own(name: str) -> st.SearchStrategy[Any]:
    """A strategy of the machine's own policy."""
    return st.runner().flatmap(lambda machine: getattr(machine.asks, name))


class EscalationMachine(RuleBasedStateMachine):
    """Use `for_policy`. How long it tries is hypothesis's to say: ``TestNoEscalation.settings = settings(…)``."""

    policy: ClassVar[Policy | None] = None

    credentials = Bundle("credentials")
    secrets = Bundle("secrets")
    anything = st.one_of(secrets, credentials)

    @classmethod
    def for_policy(cls, policy: Policy) -> "type[EscalationMachine]":
        """The machine for one policy; ``.TestCase`` of it is a test. Raises `ConfigurationError` for what is none."""
        if not isinstance(policy, Policy):
            raise ConfigurationError(f"EscalationMachine.for_policy({type(policy).__name__}): a Policy(…)")
        return types.new_class(cls.__name__, (cls,), exec_body=lambda body: body.update(policy=policy))

    def __init__(self) -> None:
        super().__init__()
        if self.policy is None:
            raise ConfigurationError("EscalationMachine: EscalationMachine.for_policy(policy)")
        self.names = Vocabulary(self.policy)
        self.asks = Asks(self.names)
        kit = Kit.around(self.policy, owns=owns)
        self.guard, self.clock = kit.guard, kit.clock
        self.keys, self.sessions, self.signer = kit.keys, kit.sessions, kit.signer
        self.revocations = kit.guard.revocations
        # A guard of its own, on the same keys: nothing is added to the policy.
        rules = Policy(*issuing_rules(self.guard), components=self.policy.components, roles=self.policy.roles)
        front = Guard(authenticators=self.guard.authenticators, policy=rules, mode="test", clock=self.clock)
        self.issuing = GuardMiddleware(issuing_api(front), front)
        self.guarded = [one for one in self.policy.rules if not one.public]
        self.held: dict[str, Held] = {}
        self.retired: list[tuple[str, str, str]] = []
        self.probe = 0
        feed_of(self.signer.ring.store).read()

    # --- what is done -------------------------------------------------------------------------------------------------

    @initialize(target=secrets, one=_own("keys"), other=_own("keys"))
    def begin(self, one: KeyAsk, other: KeyAsk) -> MultipleResults[str]:
        """Two keys to begin with."""
        return multiple(self._add_key(one), self._add_key(other))

    @rule(target=secrets, asked=_own("keys"))
    def make_key(self, asked: KeyAsk) -> str:
        """Make an API key."""
        return self._add_key(asked)

    @rule(target=credentials, by=secrets, asked=_own("mints"))
    def mint(self, by: str, asked: list[MintAsk]) -> MultipleResults[str]:
        """Create account sessions and sign tokens with a key."""
        return self._mint(by, asked)

    @rule(target=credentials, by=anything, asked=_own("mints"))
    def mint_with_anything(self, by: str, asked: list[MintAsk]) -> MultipleResults[str]:
        """Try the same with whatever there is."""
        return self._mint(by, asked)

    @rule(which=secrets, limit=_own("limits"))
    def narrow_key(self, which: str, limit: Limit) -> None:
        """Narrow the key of a credential; what it minted ends."""
        key = self.held[which].key
        self._pass(TICK)
        ends = self.clock() + limit["lifetime"] if limit["lifetime"] is not None else float("inf")
        self.keys.narrow(
            key.id, accounts=limit["accounts"], components=limit["components"], roles=limit["roles"], expires_at=ends
        )
        # A publishable key's role is its kind's, and is not narrowed.
        roles = key.bound.roles if key.kind == PUBLISHABLE_KEY else self.names.meant_roles(limit["roles"])
        components = self.names.meant_components(limit["components"])
        narrowed = Bound(key.bound.platform, accounts_of(limit["accounts"]), components, roles, ends)
        key.bound = key.bound.within(narrowed)
        key.end_minted("its key was narrowed")

    @rule(which=secrets)
    def revoke_key(self, which: str) -> None:
        """Revoke the key of a credential; what it minted ends."""
        key = self.held[which].key
        self._pass(TICK)
        self.keys.revoke(key.id)
        for secret in key.secrets:
            secret.end("its key was revoked")
        key.end_minted("its key was revoked")

    @rule(target=secrets, which=secrets, overlap=st.sampled_from((0.0, 5.0, 90.0)), compromised=st.booleans())
    def rotate_key(self, which: str, overlap: float, compromised: bool) -> MultipleResults[str]:
        """Give the key of a credential a new secret."""
        key = self.held[which].key
        self._pass(TICK)
        try:
            new = self.keys.rotate(key.id, overlap=overlap, compromised=compromised)
        except ValueError:
            return multiple()
        *older, newest = key.secrets
        for secret in older:
            secret.end("its key was rotated twice")
        if compromised:
            newest.end("it was rotated away as compromised")
            key.end_minted("its key was compromised")
        else:
            newest.bound = newest.bound.within(_until(newest.bound, self.clock() + overlap))
        return multiple(self._add_secret(key, new.secret))

    @rule(which=credentials, by=anything)
    def revoke_session(self, which: str, by: str) -> None:
        """Revoke a session with any credential."""
        session, holder = self.held[which], self.held[by]
        self._pass(TICK)
        status, _ = post(self.issuing, f"/v1/account_sessions/{session.id or 'as_none'}/revoke", holder.text, None)
        if status == 200:
            self._may(holder, "revoke a session")
            (account,) = session.bound.accounts or ("",)
            self._its_own(holder, session.bound.platform, account)
            session.end("it was revoked")

    @rule(
        by=anything,
        which=anything,
        what=st.sampled_from(("account", "subject", "subject in its account", "token")),
        account=st.sampled_from(EVERY_ACCOUNT),
    )
    def revoke_many(self, by: str, which: str, what: str, account: str) -> None:
        """End all of an account, or a token, or all of its subject, with any credential."""
        holder, token = self.held[by], self.held[which]
        if what != "account" and token.kind != SIGNED_TOKEN:
            return
        self._pass(TICK)
        subject, own = token.principal.subject, token.principal.account
        body: dict[str, object]
        if what == "account":
            body = {"account": account}
        elif what == "token":
            body = {"token": token.principal.credential_id}
        else:
            body = {"subject": subject, **({"account": own} if what != "subject" and own is not None else {})}
        status, _ = post(self.issuing, "/v1/revocations", holder.text, body)
        if status != 200:
            return
        self._may(holder, f"end {what}")
        if "account" in body:
            self._its_own(holder, holder.bound.platform, str(body["account"]))
        for held in self.held.values():
            if held.is_key or held.bound.platform != holder.bound.platform:
                continue
            one = held.principal
            hit = (
                one.account == account
                if what == "account"
                else held.kind == SIGNED_TOKEN and one.credential_id == body["token"]
                if what == "token"
                else held.kind == SIGNED_TOKEN and (one.subject, one.account) == (subject, body.get("account"))
            )
            if hit:
                held.end(f"all of its {what} has been ended")

    @rule()
    def rotate_signing_key(self) -> None:
        """Add a signing key; no token ends."""
        self._pass(TICK)
        self.signer.ring.rotate("test")

    @rule()
    def distrust_signing_key(self) -> None:
        """Distrust the key that signed the newest token; all that it signed ends."""
        kid = next((held.kid for held in reversed(self.held.values()) if held.kid), "")
        if kid:
            self._pass(TICK)
            self.signer.ring.distrust(kid)
            for held in self.held.values():
                if held.kid == kid:
                    held.end("the key that signed it is distrusted")

    @rule(seconds=st.sampled_from((0.5, 4.0, 31.0, 61.0, 1_000.0, 3_600.0)))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._pass(seconds)

    @rule(which=anything, number=st.integers(0, 999), account=st.sampled_from((*EVERY_ACCOUNT, None)))
    def ask(self, which: str, number: int, account: str | None) -> None:
        """Ask for what a rule of the policy guards."""
        if self.guarded:
            self._ask(self.held[which], self.guarded[number % len(self.guarded)], account)

    # --- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def no_credential_has_more_than_it_may(self) -> None:
        """Each credential proves to be what the model says it is, or is refused; and asks for one thing more."""
        for held in list(self.held.values())[-KEPT:]:
            self._look_at(held)
            self.probe += 1
            if self.guarded:
                accounts = (*EVERY_ACCOUNT, None)
                self._ask(held, self.guarded[self.probe % len(self.guarded)], accounts[self.probe % len(accounts)])
        for label, text, why in self.retired[-KEPT:]:
            try:
                self.guard.check(text)
            except Refused:
                continue
            raise AssertionError(f"{label} is good although {why}")

    @invariant()
    def no_token_says_more_than_was_signed(self) -> None:
        """The newest token, with more written into it, is refused."""
        held = next((one for one in reversed(self.held.values()) if one.kind == SIGNED_TOKEN), None)
        if held is None:
            return
        for algorithm in (None, "none", "HS256"):
            try:
                self.guard.check(forged(held.text, algorithm, self.names))
            except Refused:
                continue
            raise AssertionError(f"{held.label}, with more written into it, is let in")

    def _look_at(self, held: Held) -> Principal | None:
        try:
            principal = self.guard.check(held.text)
        except Refused:
            return None
        wrong = held.objections(principal, self.clock(), self.names)
        assert not wrong, f"{held.label}: {'; '.join(wrong)}"
        return principal

    def _ask(self, held: Held, rule: Rule, account: str | None) -> None:
        request = request_for(rule, account, held.text, self.guard.account_header)
        verdict = self.guard.decide(request)
        verdict = drive(verdict) if isinstance(verdict, Generator) else verdict
        if not isinstance(verdict, Principal) or verdict is ANYONE or verdict is UNNAMED:
            return
        wrong = held.objections_to(rule, account, verdict, self.clock(), self.names)
        assert not wrong, f"{held.label} is let in by {rule.pattern!r}: {'; '.join(wrong)}"

    def _may(self, holder: Held, what: str) -> None:
        """That a credential did something only secret keys do, while it was good."""
        wrong = [holder.ended] if holder.ended else []
        wrong += [] if holder.kind == SECRET_KEY else [f"it is a {holder.kind}"]
        wrong += [] if self.clock() < holder.limit().ends else ["it has expired"]
        assert not wrong, f"{holder.label} could {what} although {'; '.join(wrong)}"

    def _its_own(self, holder: Held, platform: str, account: str) -> None:
        limit = holder.limit()
        its_own = platform == limit.platform and limit.covers_account(account)
        assert its_own, f"{holder.label} of {limit.platform} could end what is {account}'s of {platform}"

    # --- how it is done -----------------------------------------------------------------------------------------------

    def _add_key(self, asked: KeyAsk) -> str:
        self._pass(TICK)
        ends = self.clock() + asked["lifetime"] if asked["lifetime"] is not None else float("inf")
        new = self.keys.create(
            platform=asked["platform"],
            mode="test",
            kind=asked["kind"],
            accounts=asked["accounts"],
            components=asked["components"],
            roles=asked["roles"],
            expires_at=ends,
        )
        if asked["kind"] == SECRET_KEY:
            bound = Bound(
                asked["platform"],
                accounts_of(asked["accounts"]),
                self.names.meant_components(asked["components"]),
                self.names.meant_roles(asked["roles"]),
                ends,
            )
        else:
            base = self.names.asked_roles(None)
            bound = Bound(asked["platform"], frozenset(), frozenset(), base, ends)
        return self._add_secret(Key(new.id, asked["kind"], bound), new.secret)

    def _add_secret(self, key: Key, text: str) -> str:
        held = self._hold(text, key.kind, key, _until(key.bound, float("inf")))
        key.secrets.append(held)
        return held.label

    def _mint(self, by: str, asked: list[MintAsk]) -> MultipleResults[str]:
        minted: list[str] = []
        for one in asked:
            self._pass(TICK)
            holder = self.held[by]
            if one.account == OWN:
                its_own = [account for account in EVERY_ACCOUNT if holder.limit().covers_account(account)]
                one = replace(one, account=next(iter(its_own), None))
            if one.in_process:
                made = minted_in_process(self.sessions, self.signer, holder, one)
            else:
                made = minted_over_http(self.issuing, holder, one)
            if made is not None:
                minted += self._took_in(holder, one, *made)
        return multiple(*minted)

    def _took_in(self, by: Held, asked: MintAsk, text: str, session_id: str) -> list[str]:
        """Take in what was minted, after a look at whether it should have been."""
        kind, in_process = asked.kind, asked.in_process
        what = "mint with what it once proved to be" if in_process else "mint"
        assert by.kind == SECRET_KEY, f"{by.label} could {what} although it is a {by.kind}"
        now, key = self.clock(), by.key
        if in_process:
            revoked = [secret.ended for secret in key.secrets if secret.ended == "its key was revoked"]
            assert not revoked, f"{by.label} could {what} although its key was revoked"
            minter = key.bound.within(by.principal_bound)
            assert now < minter.ends, f"{by.label} could {what} although its key has expired"
        else:
            self._may(by, what)
            minter = by.limit()
        try:
            principal = self.guard.check(text)
        except Refused as refused:
            raise AssertionError(f"what {by.label} has just minted is refused: {refused.code}") from None
        for older in self.held.values():
            if session_id and older.id == session_id:
                # The same request once more: the same session, with another secret.
                self.retired.append((f"the first secret of {older.label}", older.text, "it was replaced"))
                older.text, older.bound = text, older.bound.within(minter)
                return []
        account = asked.account
        if account is None and minter.accounts is not None and len(minter.accounts) == 1:
            (account,) = minter.accounts
        accounts = frozenset[str]() if account is None else frozenset({account})
        assert account is None or minter.covers_account(account), f"{by.label} could {what} for {account}"
        # A token has no component unless it is said.
        components = asked.components
        if components is None and kind == SIGNED_TOKEN:
            components = NO_COMPONENTS
        wanted = Bound(
            minter.platform,
            accounts,
            self.names.asked_components(components, minter),
            self.names.asked_roles(asked.roles),
            int(now) + (asked.expires_in or DEFAULT_LIFETIME),
        )
        held = self._hold(text, kind, key, wanted.within(minter), principal)
        held.id, held.kid = session_id, (read_token(text).kid or "") if kind == SIGNED_TOKEN else ""
        key.minted.append(held)
        return [held.label]

    def _hold(self, text: str, kind: str, key: Key, bound: Bound, principal: Principal | None = None) -> Held:
        label = f"{kind}_{len(self.held) + 1}"
        limit = key.bound.within(bound)
        found = principal or self.guard.check(text)
        held = Held(label, text, kind, key, bound, found, limit)
        self.held[label] = held
        return held

    def _pass(self, seconds: float) -> None:
        self.clock.advance(seconds)
        feed_of(self.signer.ring.store).read()


def _until(bound: Bound, ends: float) -> Bound:
    return Bound(bound.platform, bound.accounts, bound.components, bound.roles, ends)
