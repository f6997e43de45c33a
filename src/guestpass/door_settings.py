"""What every door refuses to be set up with, and tells when it is, whatever it stands before."""

import logging
from collections.abc import Collection, Iterable

from guestpass.errors import ConfigurationError
from guestpass.policy import Policy
from guestpass.principal import is_origin
from guestpass.rule_table import RouteRule

log = logging.getLogger("guestpass")


def check_settings(policy: Policy, allow_origins: Collection[str] = ()) -> None:
    """Raise `ConfigurationError` for a policy without rules, for ``*`` where a rule mints, and for what no browser
    ever sends as its Origin."""
    if not policy.rules:
        raise ConfigurationError('the guard has an empty policy and lets nobody in: Policy(Rule("GET /…"), …)')
    if isinstance(allow_origins, str):
        raise ConfigurationError(f"allow_origins={allow_origins!r}: a list of origins: [{allow_origins!r}]")
    for origin in allow_origins:
        if origin != "*" and not is_origin(origin):
            raise ConfigurationError(
                f"allow_origins=[{origin!r}]: as browsers send it, scheme and host in lower case, and the port if it "
                'is not the usual one: "https://app.example"'
            )
    minting = next((rule.pattern for rule in policy.rules if rule.mints), None)
    if "*" in allow_origins and minting is not None:
        raise ConfigurationError(f'allow_origins=["*"]: not while Rule({minting!r}) mints; name the origins')


def tell_closed(policy: Policy, routes: Iterable[RouteRule]) -> None:
    """Say which routes nobody can reach: what is denied for want of a word should not take long to find."""
    for route in routes:
        method = next(iter(route.methods - {"HEAD"}), "GET")
        if route.closed and route.template and policy.find(method, route.template) is None:
            log.info("no rule lets anybody in: %s %s", method, route.template)
