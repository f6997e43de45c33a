"""The settings of ``guestpass serve``: what each says, and what is refused in which words.

That nothing whatever ends in a traceback is `test_any_settings`'s.
"""

import re
from typing import Any

import pytest

from guestpass import SINGLE_PLATFORM, Rule
from guestpass.rules import BASE_ROLE
from guestpass.service.register import AskRegister, Listed
from guestpass.service.settings import MAX_FILE, Settings, SettingsError, read_settings
from service.writing import EXAMPLE, SOUND, sound, uncommented

NAME = "guestpass.toml"


def read(text: str, **environ: str) -> Settings:
    return read_settings(text, NAME, environ)


def refusal(text: str, **environ: str) -> str:
    with pytest.raises(SettingsError) as refused:
        read(text, **environ)
    said = str(refused.value)
    assert "\n" not in said
    return said


def test_what_is_left_out() -> None:
    found = read(SOUND)
    assert (found.mode, found.realm, found.account_header, found.health) == ("live", "api", "Account-Id", "/health")
    assert (found.listen.host, found.listen.port, found.listen.workers) == ("127.0.0.1", 9_000, 1)
    assert found.listen.socket is None
    assert found.owners is SINGLE_PLATFORM
    assert (found.signed_tokens, found.issuers) == (None, ())
    assert found.forward_auth is not None
    assert (found.forward_auth.path, found.forward_auth.sockets) == ("/_guestpass", False)
    assert found.issuing is not None
    assert (found.issuing.prefix, found.issuing.allow_origins) == ("", ())
    assert found.policy.rules == (Rule("GET /v1/call_logs", component="call_logs"),)


def test_a_rule_says_all_that_a_rule_can_say() -> None:
    rule = """
        [[rules]]
        match = "GET,POST /v1/{tenant}/files/{name...}"
        component = "call_logs"
        feature = "transcripts"
        role = "admin"
        kinds = ["secret_key", "account_session"]
        account = ["path:tenant", "header:X-Tenant"]
        encoded_slashes = true
        [[rules]]
        match = "POST /v1/keys"
        mints = true
        account = false
        role = false
        [[rules]]
        match = "GET /"
        public = true
        optional = true
        reason = "everybody may look"
    """
    found = read(sound(top='roles = ["external_entity", "admin"]', end=rule)).policy.rules
    assert found[1:] == (
        Rule(
            "GET,POST /v1/{tenant}/files/{name...}",
            component="call_logs",
            feature="transcripts",
            role="admin",
            kinds={"secret_key", "account_session"},
            account=("path:tenant", "header:X-Tenant"),
            encoded_slashes=True,
        ),
        Rule("POST /v1/keys", mints=True, account=False, role=None),
        Rule("GET /", public=True, optional=True, reason="everybody may look"),
    )
    assert found[0].role is BASE_ROLE


def test_whose_an_account_is() -> None:
    def said(lines: str) -> Any:
        return read(SOUND.replace("single_platform = true", lines)).owners

    listed = said('[ownership.platforms]\nacme = ["acct_1", "acme-*"]\n"voice.2" = ["*2"]'.replace("*2", "v2-*"))
    assert isinstance(listed, Listed)
    assert listed("acme", "acct_1")
    assert listed("acme", "acme-77")
    assert not listed("acme", "acct_10")
    assert not listed("acme", "v2-1")
    assert not listed("nobody", "acct_1")
    assert said('register = "https://api.example/owns?v=1"\ntoken_file = "t"') == AskRegister(
        "https://api.example/owns?v=1", "t"
    )


ISSUERS = """
[[issuers]]
issuer = "https://login.example/"
audience = "api"
typ = "at+jwt"
leeway = 0
platform = "acme"
accounts = { claim = "tenant", values = { acme = "acct_1" } }
[[issuers.roles]]
claim = "groups"
values = { support = ["external_entity"] }
[[issuers.roles]]
always = ["external_entity"]
[[issuers.components]]
claim = "scope"
separator = " "
values = ["call_logs"]
[[issuers]]
issuer = "https://other.example"
jwks_url = "https://other.example/keys"
any_audience = true
id_tokens = true
require = { azp = "me" }
accounts = { claim = "account", any = true }
[[issuers]]
cognito = { region = "eu-west-1", user_pool = "eu-west-1_EXAMPLE" }
client_id = ["1", "2"]
custom_claims = true
accounts = { claim = "custom:tenant", values = ["acct_1"] }
"""


def test_outside_issuers() -> None:
    found = read(sound(top='roles = ["external_entity"]', end=ISSUERS)).issuers
    assert [issuer.issuer for issuer in found] == [
        "https://login.example/",
        "https://other.example",
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_EXAMPLE",
    ]
    claims = {"tenant": "acme", "groups": ["support"], "scope": "call_logs voicemails"}
    assert found[0]._mapping.read(claims) == tuple(map(frozenset, (["acct_1"], ["external_entity"], ["call_logs"])))
    assert found[1]._mapping.read({"account": "whatever"})[0] == {"whatever"}


def rule(*lines: str) -> str:
    """Sound settings with one more rule."""
    return sound(end="\n".join(["[[rules]]", *lines]))


def issuer(*lines: str) -> str:
    """Sound settings with an outside issuer."""
    return sound(end="\n".join(["[[issuers]]", 'issuer = "https://a.example"', *lines]))


def owners(line: str) -> str:
    """Sound settings that say otherwise whose an account is."""
    return SOUND.replace("single_platform = true", line)


SIGNED = '[signed_tokens]\nissuer = "x"\n'
FORWARD = '[forward_auth]\nproxy = "nginx"\ntrusted = ["127.0.0.1"]\n'
RULE = '[[rules]]\nmatch = "GET /v1/call_logs"\ncomponent = "call_logs"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mode = ", ": Invalid value (at end of document)"),
        ('mode = "live"\nmode = "test"', ": Cannot overwrite a value"),
        (f"x = {'9' * 5_000}", ": a number in it is too long"),
        ("x = " + "[" * 5_000, ": it is nested too deeply"),
        ("#" * (MAX_FILE + 1), ": it is longer than"),
        (sound(top='mod = "live"'), ": mod: there is no such setting; did you mean mode?"),
        (sound(top='"a b\\n" = 1'), r": 'a b\n': there is no such setting"),
        (sound(top='mode = "production"'), ': mode: has to be one of "live", "test"'),
        (sound(top="mode = true"), ': mode: has to be one of "live", "test"'),
        (sound(top='realm = ""'), ": realm: has to be a text"),
        (sound(top='health = "/he lth"'), ": health: has to be a path"),
        (sound(top='health = "/a/../b"'), ": health: has to be a path"),
        (sound(top='health = "/_guestpass"'), ": health: is where [forward_auth] listens"),
        (sound(end="[listen]\nport = 70000"), ", [listen]: port: has to be a whole number from 0 to 65535"),
        (sound(end="[listen]\nport = true"), ", [listen]: port: has to be a whole number"),
        (sound(end="[listen]\nprot = 1"), ", [listen]: prot: there is no such setting; did you mean port?"),
        (sound(end='[listen]\nsocket = "s"\nport = 1'), ", [listen]: port: there is a socket as well"),
        (sound(end='[listen]\nsocket_mode = "660"'), ", [listen]: socket_mode: is for a socket"),
        (sound(end='[listen]\nsocket = "s"\nsocket_mode = "888"'), ", [listen]: socket_mode: has to be"),
        (sound(end='[listen]\nsocket = "s"'), ', [forward_auth]: trusted: has to name "unix", for'),
        (sound().replace("127.0.0.1", "unix"), ", [forward_auth]: trusted: has to name an address, for"),
        (sound(end="[listen]\nworkers = 2"), ": store: memory:// is kept by one process alone"),
        (sound(top="listen = 1"), ": listen: has to be a table: [listen]"),
        (sound(top='rules = "none"', without=RULE), ": rules: has to be a list of tables: [[rules]]"),
        (sound(top='rules = ["none"]', without=RULE), ": rules: has to be a list of tables: [[rules]]"),
        (sound(without='match = "GET /v1/call_logs"\n'), ", [[rules]] number 1: match: is missing: a text"),
        (sound().replace("match =", "macth ="), "match: is missing; is macth meant for it?"),
        (
            rule('match = "GET /x"', 'componnet = "call_logs"'),
            ", [[rules]] number 2 (GET /x): componnet: there is no such setting; did you mean component?",
        ),
        (rule('match = "GET v1"'), ', [[rules]] number 2 (GET v1): write the method and the path: "GET /v1/'),
        (
            rule('match = "GET /x"', "public = true"),
            ', [[rules]] number 2 (GET /x): a public rule says why: reason = "…"',
        ),
        (rule('match = "GET /x"', 'reason = "none"'), "(GET /x): optional and reason belong to public = true"),
        (rule('match = "GET /x"', "role = true"), "(GET /x): role: has to be 1-64 of a-z 0-9 _ . -, or false"),
        (rule('match = "GET /x"', 'kinds = ["secretkey"]'), "kinds: has to be a list of at least 1, each one of"),
        (rule('match = "GET /x"', 'kinds = "secret_key"'), "(GET /x): kinds: has to be a list of at least 1"),
        (
            rule('match = "GET /x"', 'component = "phones"'),
            ": [[rules]] (GET /x): the policy knows no component 'phones'; add it to [components]",
        ),
        (
            rule('match = "GET /x"', 'role = "boss"'),
            ": [[rules]] (GET /x): the policy knows no role 'boss'; add it to roles",
        ),
        (rule('match = "GET /v1/call_logs"'), "neither is the more particular"),
        (sound(without='call_logs = ["transcripts"]\n'), "the policy knows no component 'call_logs'"),
        (sound(top='roles = ["a", "a"]'), ": roles: a role stands there twice"),
        (sound().replace("voicemails = []", 'voicemails = ""'), ", [components]: voicemails: has to be a list"),
        (sound().replace("voicemails", "Voicemails"), ", [components]: Voicemails: the name has to be 1-64"),
        (sound(without="[ownership]\nsingle_platform = true\n"), ": ownership: is missing: whose an account is"),
        (owners(""), ", [ownership]: say it in one way: single_platform = true"),
        (owners('single_platform = true\nregister = "https://a.example/"'), ", [ownership]: say it in one way"),
        (owners('register = "http://a.example/"'), ", [ownership]: register: has to be an https URL"),
        (owners('register = "https://a.example/#"'), ", [ownership]: register: has to be an URL without a fragment"),
        (sound(end="[observe]\nallowed = true"), ", [observe]: allowed: is for log = true"),
        (owners('single_platform = true\ntoken_file = "t"'), ", [ownership]: token_file: is for register"),
        (
            owners('platforms = { acme = ["acct_1"], voice = ["acct_1"] }'),
            ", [ownership] [platforms]: voice: acct_1 is acme's already",
        ),
        (
            owners('platforms = { acme = ["acct_*"], voice = ["acct_1"] }'),
            '[platforms]: acme: "acct_*" takes in what is voice\'s: an account has one platform',
        ),
        (owners('platforms = { acme = ["a-*"], voice = ["a-b-*"] }'), 'acme: "a-*" takes in what is voice\'s'),
        (owners('platforms = { acme = ["a*b"] }'), "[platforms]: acme: has to be a list, each an account's id, or the"),
        (sound().replace('proxy = "nginx"', 'proxy = "apache"'), ", [forward_auth]: proxy: has to be one of"),
        (sound(without='trusted = ["127.0.0.1"]\n'), ", [forward_auth]: trusted: is missing: a list of at least 1"),
        (sound(without=FORWARD), ": rules: are for the requests that a proxy asks about"),
        (sound(without=RULE), ": rules: is missing"),
        ("[ownership]\nsingle_platform = true\n[components]\na = []", ": there is nothing to serve"),
        ("[ownership]\nsingle_platform = true\n[issuing]", ": components: is missing"),
        ('roles = ["a"]\n[ownership]\nsingle_platform = true\n[issuing]', ": components: is missing"),
        (sound(end='allow_origins = ["app.example"]'), ", [issuing]: allow_origins: has to be a list, each an origin"),
        (sound(end='path = "/x/"'), ", [issuing]: path: has to be a path"),
        (sound(end=SIGNED), ", [signed_tokens]: audience: is missing"),
        (
            sound(end=f'{SIGNED}audience = "y"\nwrapping_key = "0123456789abcdef"'),
            ", [signed_tokens]: wrapping_key: there is no such setting; did you mean wrapping_key_file?",
        ),
        (sound(end=f'{SIGNED}audience = "y"\nalgorithm = "HS256"'), ", [signed_tokens]: algorithm: has to be one of"),
        (issuer(), ", [[issuers]] number 1 (https://a.example): say whom its tokens are for"),
        (
            issuer('audience = "x"').replace("https:", "http:"),
            ", [[issuers]] number 1 (http://a.example): the URL of a key set must be https",
        ),
        (issuer('audience = "x"', "any_audience = true"), "audience and any_audience = true contradict each other"),
        (
            issuer('audience = "x"', 'roles = { claim = "g" }'),
            "[[roles]] number 1: say what the claim may mean: one of values and any = true",
        ),
        (
            issuer('audience = "x"', 'accounts = { claim = "g", values = ["A B"] }'),
            ", [[issuers]] number 1 (https://a.example): accounts: 'A B' cannot be one of the accounts",
        ),
        (
            'roles = ["agent"]\n' + issuer('audience = "x"', 'roles = { claim = "g", values = { a = "agnet" } }'),
            "[[roles]] number 1: values: 'agnet' is none that this file names; did you mean agent?",
        ),
        (
            issuer('audience = "x"', 'components = { always = ["call_logs/transcript"] }'),
            "always: 'call_logs/transcript' is none that this file names; did you mean call_logs/transcripts?",
        ),
        (issuer('audience = "x"', "leeway = 301"), "leeway: has to be a whole number from 0 to 300"),
        (issuer('audience = "x"', 'require = "x"'), "require: has to be a table, each value a text"),
        (
            issuer('audience = "x"', 'accounts = { claim = "g", separator = "", values = ["a"] }'),
            "[[accounts]] number 1: separator: has to be what stands between two values",
        ),
        (issuer('audience = "x"', 'accounts = "all"'), "(https://a.example): accounts: has to be a list of tables"),
        (issuer('audience = "x"', 'algorithms = ["HS256"]'), "need keys given in code"),
        (
            sound(end='[[issuers]]\nclient_id = "x"\ncognito = { region = "r", user_pool = "p" }\n'
                  'accounts = { claim = "custom:t", values = ["a"] }'),
            ", [[issuers]] number 1 (Cognito p): mapping: users may be able to write 'custom:t'",
        ),
        (sound(top='store_file = "x"'), ": store_file: there is store as well: drop one"),
        (sound().replace("memory://", "postgresql://u:hunter22@h/d"), ": store: there is a password in it"),
        (sound(end='[credentials]\nsecret_key_prefix = "SK"'), ", [credentials]: secret_key_prefix: has to be"),
        (sound(end='[credentials]\nsecret_key_prefix = "pk"'), ", [credentials]: two kinds of credential would begin"),
        (
            issuer('audience = "x"') + issuer('audience = "y"').partition("[issuing]\n")[2],
            ": issuers: https://a.example is there twice",
        ),
        (issuer('audience = "x"') + SIGNED.replace("x", "https://a.example") + 'audience = "y"', ": issuers: https://a.ex"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_that_names_the_place(text: str, says: str) -> None:
    said = refusal(text)
    assert said.startswith("guestpass.toml")
    assert says in said
    assert "hunter22" not in said
    assert "0123456789abcdef" not in said


def test_the_environment_wins() -> None:
    found = read(
        SOUND,
        GUESTPASS__MODE="test",
        GUESTPASS__LISTEN__PORT="9001",
        GUESTPASS__LISTEN__ACCESS_LOG="true",
        GUESTPASS__FORWARD_AUTH__TRUSTED="10.0.0.0/24, unix",
        GUESTPASS__FORWARD_AUTH__PROXY="caddy",
        GUESTPASS__ISSUING__PATH="",
        GUESTPASS_STORE="sqlite:///other.db",
        GUESTPASS_API_KEY="another program's",
    )
    assert (found.mode, found.listen.port, found.listen.access_log) == ("test", 9_001, True)
    assert found.forward_auth is not None
    assert found.forward_auth.trusted == ("10.0.0.0/24", "unix")
    assert found.forward_auth.proxy == "caddy"
    assert found.store == "sqlite:///other.db"


def test_a_password_may_come_by_the_environment_and_leaves_the_file_aside() -> None:
    url = "postgresql://u:hunter22@h/d"
    found = read(sound(top='store_file = "x"', without='store = "memory://"\n'), GUESTPASS_STORE=url)
    assert (found.store, found.store_file) == (url, None)


def test_a_variable_turns_nothing_on() -> None:
    text = sound(without="[issuing]\n")
    for variable in ("GUESTPASS__ISSUING", "GUESTPASS__ISSUING__PATH"):
        assert f"{variable}, in the environment: there is no such setting" in refusal(text, **{variable: "/"})


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("GUESTPASS__LISTEN__PORT", "http", "GUESTPASS__LISTEN__PORT, in the environment: has to be a whole number"),
        ("GUESTPASS__LISTEN__PORT", "٣", "GUESTPASS__LISTEN__PORT, in the environment: has to be a whole number"),
        ("GUESTPASS__LISTEN__PORT", "9" * 5_000, "GUESTPASS__LISTEN__PORT, in the environment: has to be a whole"),
        (
            "GUESTPASS__LISTEN__ACCESS_LOG",
            "yes",
            "GUESTPASS__LISTEN__ACCESS_LOG, in the environment: has to be true or",
        ),
        ("GUESTPASS__LISTEN__PROT", "1", "there is no such setting; did you mean GUESTPASS__LISTEN__PORT?"),
        (
            "GUESTPASS__RULES__0__ROLE",
            "admin",
            "GUESTPASS__RULES__0__ROLE, in the environment: there is no such setting",
        ),
        ("GUESTPASS__RULES", "x", "GUESTPASS__RULES, in the environment: there is no such setting"),
        ("GUESTPASS__SIGNED_TOKENS__ISSUER", "x", "GUESTPASS__SIGNED_TOKENS__ISSUER, in the environment: there is no"),
        ("GUESTPASS__SIGNED_TOKENS", "x", "GUESTPASS__SIGNED_TOKENS, in the environment: there is no such setting"),
        ("GUESTPASS__OWNERSHIP", "x", "GUESTPASS__OWNERSHIP, in the environment: there is no such setting"),
        ("GUESTPASS__STORE", "memory://", "did you mean GUESTPASS_STORE?"),
    ],
)
def test_a_variable_that_is_wrong_is_named(variable: str, value: str, says: str) -> None:
    assert says in refusal(SOUND, **{variable: value})


def test_the_example_is_sound_and_its_every_setting_is_known() -> None:
    assert read(EXAMPLE).listen.port == 9_000
    blocks = EXAMPLE.split("\n\n")
    tried = 0
    for place, block in enumerate(blocks):
        if uncommented(block) == block:
            continue
        tried += 1
        text = "\n\n".join([*blocks[:place], uncommented(block), *blocks[place + 1 :]])
        # Of the alternatives, the one that the example has in force gives way.
        if "[ownership.platforms]" in block or "register" in block:
            text = re.sub(r"^single_platform.*$", "", text, flags=re.MULTILINE)
        if "\nsocket = " in uncommented(f"\n{block}"):
            text = re.sub(r"^(host|port) = .*$", "", text, flags=re.MULTILINE).replace('["127.0.0.1"]', '["unix"]')
        read(text)
    assert tried > 10


def test_the_example_says_what_is_so_when_left_out() -> None:
    names = "realm|account_header|health|path|sockets|preflight|workers|access_log"
    in_force = read(re.sub(rf"^#(?=(?:{names}) )", "", EXAMPLE, flags=re.MULTILINE))
    left_out = read(EXAMPLE)
    assert in_force.listen == left_out.listen
    assert (in_force.forward_auth, in_force.issuing) == (left_out.forward_auth, left_out.issuing)
    assert (in_force.realm, in_force.account_header, in_force.health) == ("api", "Account-Id", "/health")
