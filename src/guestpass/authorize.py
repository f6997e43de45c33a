"""Whether a principal may make a request: the checks after the credential, in their order.

kind → mint → account → component → feature → role, and the first that fails answers. Pure: where an account has to
be asked after, the question is handed back, and the answer handed in.
"""

from collections.abc import Sequence
from typing import Final

from guestpass.grants import ALL
from guestpass.ownership import OwnsAccount
from guestpass.policy import Policy
from guestpass.principal import PUBLISHABLE_KEY, SECRET_KEY, Principal, is_account_id
from guestpass.quoting import quoted
from guestpass.refusals import Refusal
from guestpass.rules import Rule

NOUNS: Final = {
    "secret_key": "API key",
    "publishable_key": "API key",
    "account_session": "session",
    "signed_token": "token",
    "identity_token": "token",
}

_TRIED: Final = 3
"""Accounts that a request names, of which an operator is told."""


def noun(kind: str | None) -> str:
    """What a text for people calls a credential of this kind."""
    return NOUNS.get(kind or "", "credential")


def authorize(
    policy: Policy, rule: Rule, principal: Principal, named: Sequence[str], owned: bool | None
) -> Principal | Refusal | OwnsAccount:
    """Hold `principal` against what `rule` needs.

    `named` are the accounts that the request names, one for each place that names one; `owned` is whether the
    account that a platform-wide principal names is its platform's, None where nobody has asked yet. Answers the
    principal as the application is to see it, narrowed to the one account; a refusal; or the question to ask first.
    """
    kind = principal.standing.kind
    if rule.kinds is None:
        if kind == PUBLISHABLE_KEY:
            return Refusal("kind_refused", noun(kind), "It is publishable, and opens only what names that kind.")
    elif kind not in rule.kinds:
        return Refusal("kind_refused", noun(kind), f"Let in: {', '.join(sorted(rule.kinds))}.")
    if rule.mints and kind != SECRET_KEY:
        return Refusal("escalation_denied", noun(kind), "Only a secret key creates sessions and signs tokens.")
    held = _hold_to_account(rule, principal, named, owned)
    if not isinstance(held, Principal):
        return held
    refusal = _component(rule, held)
    if refusal is None:
        refusal = _role(policy, rule, held)
    return held if refusal is None else refusal


def _hold_to_account(
    rule: Rule, principal: Principal, named: Sequence[str], owned: bool | None
) -> Principal | Refusal | OwnsAccount:
    accounts, own = principal.standing.grant.accounts, principal.standing.account
    if not named:
        if not rule.account or own is not None:
            return principal
        none = accounts is not ALL and not accounts
        more = "It has none, so it opens nothing here." if none else ""
        return Refusal("account_missing", noun(principal.kind), more)
    account = named[0]
    if named.count(account) != len(named) or account not in accounts:
        tried = ", ".join(quoted(one) for one in [*dict.fromkeys(named)][:_TRIED])
        return Refusal("account_mismatch", noun(principal.kind), because=f"the request names {tried}")
    if accounts is ALL:
        if not is_account_id(account):
            return Refusal("account_refused", noun(principal.kind))
        if owned is None:
            return OwnsAccount(principal.platform, account)
        if not owned:
            return Refusal("account_refused", noun(principal.kind))
    return principal if account == own else principal.held_to(account)


def _component(rule: Rule, principal: Principal) -> Refusal | None:
    component, components = rule.component, principal.standing.grant.components
    if component is None:
        return None
    if component not in components:
        return Refusal("component_disabled", noun(principal.kind), f"Component: {component}.", scope=component)
    if rule.feature is not None:
        feature = f"{component}/{rule.feature}"
        if feature not in components:
            return Refusal("feature_disabled", noun(principal.kind), f"Feature: {feature}.", scope=feature)
    return None


def _role(policy: Policy, rule: Rule, principal: Principal) -> Refusal | None:
    role = policy.role_of(rule)
    if role is None or role in principal.standing.grant.roles:
        return None
    return Refusal("role_insufficient", noun(principal.kind), f"Needed: {role}.", scope=role)
