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
from guestpass.refusals import Refusal
from guestpass.rules import Rule

NOUNS: Final = {
    "secret_key": "API key",
    "publishable_key": "API key",
    "account_session": "session",
    "signed_token": "token",
    "identity_token": "token",
}


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
    it = noun(principal.kind)
    if rule.kinds is None:
        if principal.kind == PUBLISHABLE_KEY:
            return Refusal("kind_refused", it, "It is publishable, and opens only what names that kind.")
    elif principal.kind not in rule.kinds:
        return Refusal("kind_refused", it, f"Let in: {', '.join(sorted(rule.kinds))}.")
    if rule.mints and principal.kind != SECRET_KEY:
        return Refusal("escalation_denied", it, "Only a secret key creates sessions and signs tokens.")
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
    accounts, it = principal.standing.grant.accounts, noun(principal.kind)
    if not named:
        if not rule.account or principal.account is not None:
            return principal
        none = accounts is not ALL and not accounts
        return Refusal("account_missing", it, "It has none, so it opens nothing here." if none else "")
    account, *others = named
    if any(other != account for other in others) or account not in accounts:
        return Refusal("account_mismatch", it)
    if accounts is ALL:
        if not is_account_id(account):
            return Refusal("account_refused", it)
        if owned is None:
            return OwnsAccount(principal.platform, account)
        if not owned:
            return Refusal("account_refused", it)
    return principal.held_to(account)


def _component(rule: Rule, principal: Principal) -> Refusal | None:
    component, components = rule.component, principal.standing.grant.components
    if component is None:
        return None
    it = noun(principal.kind)
    if component not in components:
        return Refusal("component_disabled", it, f"Component: {component}.", scope=component)
    feature = f"{component}/{rule.feature}"
    if rule.feature is not None and feature not in components:
        return Refusal("feature_disabled", it, f"Feature: {feature}.", scope=feature)
    return None


def _role(policy: Policy, rule: Rule, principal: Principal) -> Refusal | None:
    role = policy.role_of(rule)
    if role is None or role in principal.standing.grant.roles:
        return None
    return Refusal("role_insufficient", noun(principal.kind), f"Needed: {role}.", scope=role)
