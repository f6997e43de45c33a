// The browser module, in Node: real HTTP, a clock that is moved.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { Api, Backend, Clock, module, quiet } from "./stage.mjs";

const { SessionError, initialize } = module;

let api, other, backend, clock, pass;

const open = (options = {}) =>
  (pass = initialize({
    publishableKey: "pk_live_1",
    baseUrl: api.url,
    fetchClientSecret: backend.fetchClientSecret,
    ...options,
  }));
const lasting = (seconds, options) => {
  backend.lasts = seconds;
  return open(options);
};
const sent = () => api.requests.map(({ credential }) => credential);

before(async () => {
  api = await new Api().start();
  other = await new Api().start();
});
after(() => {
  api.stop();
  other.stop();
});
beforeEach(() => {
  for (const one of [api, other]) Object.assign(one, { requests: [], good: new Set(), status: 200, elsewhere: other.url });
  backend = new Backend(api);
  clock = new Clock();
  clock.install();
  Math.random = () => 0.5;
});
afterEach(() => pass?.close());

test("nothing is asked for until something is needed, and fifty requests ask once", async () => {
  open();
  await quiet();
  assert.equal(backend.minted, 0);
  assert.equal(pass.expiresIn, 0);
  const answers = await Promise.all(Array.from({ length: 50 }, () => pass.fetch("/v1/call_logs")));
  assert.ok(answers.every(({ ok }) => ok));
  assert.equal(backend.minted, 1);
  assert.deepEqual(new Set(sent()), new Set(["cs_live_1"]));
  assert.equal(pass.expiresIn, 3600);
});

test("fetch needs no this, keeps the request's own headers, and is relative to the API", async () => {
  const { fetch } = open({ baseUrl: `${api.url}/v1/` });
  await fetch("call_logs?page=2", { method: "POST", body: "{}", headers: { "Content-Type": "application/json" } });
  const [{ url, method, body, headers }] = api.requests;
  assert.deepEqual([url, method, body, headers["content-type"]], ["/v1/call_logs?page=2", "POST", "{}", "application/json"]);
});

for (const [lasts, due] of [
  [3600, 3300],
  [1500, 1200],
  [1499, 1199],
  [600, 480],
  [60, 48],
]) {
  test(`a credential of ${lasts} s is renewed after ${due} s, not before`, async () => {
    lasting(lasts);
    await pass.ready();
    await clock.pass(due - 1);
    assert.equal(backend.minted, 1);
    await clock.pass(1.5);
    assert.equal(backend.minted, 2);
    await pass.fetch("/");
    assert.deepEqual(sent(), ["cs_live_2"]);
  });
}

test("it goes on being renewed, with nobody using it", async () => {
  lasting(60);
  await pass.ready();
  await clock.pass(480);
  assert.equal(backend.minted, 11);
});

test("near its end a request goes with the old one and does not wait", async () => {
  lasting(3600);
  await pass.ready();
  backend.hangs = true;
  clock.sleep(3400);
  assert.equal((await pass.fetch("/")).status, 200);
  assert.deepEqual(sent(), ["cs_live_1"]);
  assert.equal(backend.asked.length, 2);
});

test("fifty requests at its end cause one renewal", async () => {
  open();
  await pass.ready();
  clock.sleep(3600);
  await Promise.all(Array.from({ length: 50 }, () => pass.fetch("/")));
  assert.equal(backend.minted, 2);
  assert.deepEqual(new Set(sent()), new Set(["cs_live_2"]));
});

test("after a sleep that only the wall clock saw, it is renewed at the next look", async () => {
  open();
  await pass.ready();
  clock.sleep(8 * 3600);
  await clock.pass(30);
  assert.equal(backend.minted, 2);
});

test("after a sleep, waking is a look", async () => {
  const listeners = [];
  globalThis.addEventListener = (name, listener) => listeners.push([name, listener]);
  try {
    open();
  } finally {
    delete globalThis.addEventListener;
  }
  await pass.ready();
  clock.sleep(3400);
  const [[name, look]] = listeners;
  assert.equal(name, "visibilitychange");
  look();
  await quiet();
  assert.equal(backend.minted, 2);
});

test("a wall clock that is set back, or is wrong all along, changes nothing", async () => {
  clock.wall = 0;
  open();
  await pass.ready();
  clock.sleep(-8 * 3600);
  await clock.pass(3299);
  assert.equal(backend.minted, 1);
  await clock.pass(2);
  assert.equal(backend.minted, 2);
});

test("a wall clock that jumps ahead makes for one renewal, not for a storm", async () => {
  open();
  await pass.ready();
  clock.sleep(400 * 86_400);
  for (let i = 0; i < 5; i++) await pass.fetch("/");
  await clock.pass(60);
  assert.equal(backend.minted, 2);
});

test("early it is tried at most once in 30 s", async () => {
  lasting(3600);
  await pass.ready();
  await clock.pass(3299);
  backend.down = true;
  for (let i = 0; i < 40; i++) {
    await clock.pass(1);
    assert.equal((await pass.fetch("/")).status, 200);
  }
  assert.equal(backend.asked.length, 3);
});

test("refused with 401, it renews once and asks once more, with the body", async () => {
  open();
  await pass.ready();
  api.good.clear();
  const answer = await pass.fetch("/v1/notes", { method: "POST", body: "hello" });
  assert.deepEqual(await answer.json(), { body: "hello" });
  assert.deepEqual(sent(), ["cs_live_1", "cs_live_2"]);
  api.good.clear();
  const request = new Request(`${api.url}/v1/notes`, { method: "PUT", body: "again", headers: { "X-Own": "1" } });
  assert.deepEqual(await (await pass.fetch(request)).json(), { body: "again" });
  assert.equal(api.requests.at(-1).headers["x-own"], "1");
  assert.deepEqual(backend.asked, [undefined, "acct_1", "acct_1"]);
});

test("fifty requests that meet 401 cause one renewal", async () => {
  open();
  await pass.ready();
  api.good.clear();
  const answers = await Promise.all(Array.from({ length: 50 }, () => pass.fetch("/")));
  assert.ok(answers.every(({ ok }) => ok));
  assert.equal(backend.minted, 2);
});

test("a second 401 is the answer, and an API that refuses everything does not have the back end mint on and on", async () => {
  open();
  api.good.add = () => {};
  try {
    for (let i = 0; i < 20; i++) assert.equal((await pass.fetch("/")).status, 401);
    assert.equal(backend.minted, 4);
    await clock.pass(30);
    await pass.fetch("/");
    assert.equal(backend.minted, 5);
  } finally {
    delete api.good.add;
  }
});

test("no other refusal renews", async () => {
  open();
  for (const status of [400, 403, 404, 429, 500, 503]) {
    api.status = status;
    assert.equal((await pass.fetch("/")).status, status);
  }
  assert.equal(backend.minted, 1);
});

test("refused, and the back end down: the refusal is the answer, and the text says session", async () => {
  open();
  await pass.ready();
  api.good.clear();
  backend.down = true;
  const answer = await pass.fetch("/");
  assert.equal(answer.status, 401);
  assert.match((await answer.json()).detail, /session/);
  assert.equal(pass.expiresIn, 0);
  await assert.rejects(pass.fetch("/"), SessionError);
  assert.deepEqual(sent(), ["cs_live_1"]);
});

test("the back end down and back: later each time, and then by itself", async () => {
  const happened = [];
  open();
  for (const name of ["failed", "renewed"]) pass.addEventListener(name, () => happened.push(name));
  backend.down = true;
  await assert.rejects(pass.fetch("/"), (error) => {
    assert.ok(error instanceof SessionError);
    assert.ok(error.message.includes("session"));
    assert.equal(error.cause.message, "502");
    return true;
  });
  // Within the back-off nobody asks, however many requests there are.
  await Promise.allSettled(Array.from({ length: 50 }, () => pass.fetch("/")));
  assert.equal(backend.asked.length, 1);
  await clock.pass(120);
  const tries = backend.asked.length;
  assert.ok(tries > 4 && tries < 12, `${tries} tries`);
  await clock.pass(600);
  assert.ok(backend.asked.length - tries < 25, `${backend.asked.length - tries} tries in 10 minutes`);
  backend.down = false;
  await clock.pass(61);
  assert.deepEqual([happened[0], happened.at(-1)], ["failed", "renewed"]);
  assert.equal((await pass.fetch("/")).status, 200);
  assert.equal(api.requests.length, 1);
});

test("who asks for a renewal by hand need not wait for the back-off", async () => {
  open();
  backend.down = true;
  await assert.rejects(pass.renew(), SessionError);
  backend.down = false;
  await assert.rejects(pass.ready(), SessionError);
  // Nor who comes upon it while it is under way.
  pass.renew();
  await pass.ready();
  assert.equal(backend.minted, 1);
  // What failed before it is forgotten, even if the API refuses the new one at once.
  api.good.clear();
  assert.equal((await pass.fetch("/")).status, 200);
});

test("the next outage begins with the shortest wait again", async () => {
  lasting(60);
  await pass.ready();
  for (let outage = 0; outage < 2; outage++) {
    backend.down = true;
    for (let i = 0; i < 6; i++) await assert.rejects(pass.renew(), SessionError);
    backend.down = false;
    await pass.renew();
  }
  backend.down = true;
  clock.sleep(60);
  await assert.rejects(pass.ready(), SessionError);
  const asked = backend.asked.length;
  await clock.pass(1);
  assert.equal(backend.asked.length, asked + 1);
});

test("a refusal of a credential that has been replaced meanwhile is no reason to replace the next", async () => {
  open();
  let release;
  api.gate = new Promise((done) => (release = done));
  const answers = [];
  for (let i = 0; i < 6; i++) {
    await pass.renew();
    answers.push(pass.fetch("/"));
  }
  api.good = new Set(["cs_live_6"]);
  release();
  api.gate = undefined;
  assert.deepEqual((await Promise.all(answers)).map(({ status }) => status), Array(6).fill(200));
  assert.equal(backend.minted, 6);
});

test("a back end that says nothing has failed after 30 s", async () => {
  open();
  backend.hangs = true;
  const waiting = assert.rejects(pass.fetch("/"), /session.*30 s/);
  await clock.pass(29);
  assert.equal(backend.asked.length, 1);
  await clock.pass(1);
  await waiting;
  backend.hangs = false;
  await clock.pass(60);
  assert.equal((await pass.fetch("/")).status, 200);
});

test("after 30 s of silence it rests as after any failure", async () => {
  Math.random = () => 1;
  open();
  backend.hangs = true;
  const waiting = assert.rejects(pass.fetch("/"), /30 s/);
  await clock.pass(30);
  await waiting;
  await assert.rejects(pass.fetch("/"), /30 s/);
  assert.equal(backend.asked.length, 1);
  await clock.pass(1);
  assert.equal(backend.asked.length, 2);
});

test("an answer that comes after its 30 s does not replace what came meanwhile", async () => {
  const answers = [];
  api.good.add("cs_live_1").add("cs_live_2");
  open({ fetchClientSecret: () => new Promise((done) => answers.push(done)) });
  const first = assert.rejects(pass.ready(), /30 s/);
  await clock.pass(30);
  await first;
  const second = pass.renew();
  await quiet();
  answers.at(-1)({ client_secret: "cs_live_2", expires_in: 3600 });
  await second;
  answers[0]({ client_secret: "cs_live_1", expires_in: 3600 });
  await quiet();
  await pass.fetch("/");
  assert.equal(sent()[0], "cs_live_2");
});

test("the credential goes to no other origin", async () => {
  open();
  await pass.ready();
  const { port } = new URL(api.url);
  for (const url of [
    other.url,
    `http://localhost:${port}/`,
    `//localhost:${port}/`,
    `\\\\localhost:${port}/`,
    `https://127.0.0.1:${port}/`,
    new Request(other.url),
    new URL(other.url),
    "data:text/plain,x",
    "blob:null/1",
  ]) {
    await assert.rejects(pass.fetch(url), /not the API's origin/);
  }
  await assert.rejects(pass.fetch(`http://user:pw@127.0.0.1:${port}/`), TypeError);
  assert.throws(() => new pass.WebSocket(other.url.replace("http", "ws")), /not the API's origin/);
  assert.deepEqual([api.requests, other.requests], [[], []]);
  // Nor by a redirect, whatever the caller asks for.
  await assert.rejects(pass.fetch("/moved", { redirect: "follow" }), TypeError);
  assert.equal(api.requests.length, 1);
  assert.deepEqual(other.requests, []);
});

test("a caller's own Authorization header is replaced", async () => {
  open();
  await pass.fetch("/", { headers: { authorization: "Bearer sk_live_1" } });
  assert.deepEqual(sent(), ["cs_live_1"]);
});

test("addresses and keys that must not be are refused at once", () => {
  for (const baseUrl of ["http://api.example", "http://localhost.example", "http://127.0.0.1.example/", "http://localhost:80@x.example", "http://localhost@x.example", "ftp://x", "nonsense"]) {
    assert.throws(() => open({ baseUrl }));
  }
  assert.throws(() => open({ publishableKey: "sk_live_1" }), /secret key/);
  for (const baseUrl of ["https://api.example", "http://localhost", "http://127.0.0.1:8000/v1", "http://[::1]:8000"]) {
    open({ baseUrl }).close();
  }
});

for (const [what, answer] of [
  ["an API key", { client_secret: "sk_live_1", expires_in: 60 }],
  ["a publishable key", "pk_live_1"],
  ["nothing", undefined],
  ["an error's body", { error: "Access denied" }],
  ["white space", { client_secret: "cs_live_1\r\nX-Own: 1" }],
  ["a number", 7],
]) {
  test(`a back end that answers ${what} gave no session`, async () => {
    open({ fetchClientSecret: async () => answer });
    await assert.rejects(pass.fetch("/"), SessionError);
    assert.deepEqual(api.requests, []);
  });
}

test("who signs in as somebody else meanwhile is not let in here", async () => {
  const answers = [
    { token: "one", id: "ada", expires_in: 60 },
    { token: "two", id: "bob", expires_in: 60 },
  ];
  open({ fetchClientSecret: async () => answers.shift() });
  await pass.ready();
  await assert.rejects(pass.renew(), /session.*somebody else/);
  api.good.add("one").add("two");
  await pass.fetch("/");
  assert.deepEqual(sent(), ["one"]);
});

test("the signed-token document's answer: the token, its end in Unix seconds, the entity's id", async () => {
  const asked = [];
  const fetchClientSecret = async (entity) => {
    asked.push(entity);
    return { token: "eyJ1.e30.x", expiresAt: clock.wall / 1000 + 600, id: "ada" };
  };
  open({ fetchClientSecret });
  await pass.ready();
  assert.equal(pass.expiresIn, 600);
  await clock.pass(481);
  assert.deepEqual(asked, [undefined, "ada"]);
});

const jwt = (claims) => `eyJhbGciOiJSUzI1NiJ9.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;

test("of a JWT the lifetime is its own, whatever clock this machine has", async () => {
  let asked = 0;
  // With a name that base64url writes with - and _, and an issuer years ahead.
  const claims = { name: "ÿÿ?>~~ÿþ", iat: 2_000_000_000, exp: 2_000_003_600 };
  assert.match(jwt(claims), /[-_]/);
  const fetchClientSecret = async () => ({ token: jwt(claims), expiresAt: claims.exp, id: "ada", n: ++asked });
  open({ fetchClientSecret });
  await pass.ready();
  assert.equal(pass.expiresIn, 3600);
  await clock.pass(3301);
  assert.equal(asked, 2);
  open({ fetchClientSecret: async () => jwt(claims) });
  await pass.ready();
  assert.equal(pass.expiresIn, 3600);
  // What its backend says goes before.
  open({ fetchClientSecret: async () => ({ token: jwt(claims), expires_in: 600 }) });
  await pass.ready();
  assert.equal(pass.expiresIn, 600);
  for (const token of [jwt({}), jwt({ exp: "soon" })]) {
    open({ fetchClientSecret: async () => token });
    await pass.ready();
    assert.equal(pass.expiresIn, Infinity);
  }
  open({ fetchClientSecret: async () => "eyJ.e.x" });
  await assert.rejects(pass.ready(), SessionError);
});

test("a JWT as a bare string says whose it is: the back end is told, and somebody else's is refused", async () => {
  const asked = [];
  let sub = "ada";
  open({ fetchClientSecret: async (entity) => asked.push(entity) && jwt({ sub, iat: 1, exp: 3601 }) });
  await pass.ready();
  await pass.renew();
  assert.deepEqual(asked, [undefined, "ada"]);
  sub = "bob";
  await assert.rejects(pass.renew(), /session.*somebody else's/);
  // The document's two addresses: the first answers with the id, the second is read for its token alone.
  sub = "ada";
  const fetchClientSecret = async (entity) => (entity ? jwt({ sub, iat: 1, exp: 3601 }) : { token: jwt({ sub }), id: sub });
  open({ fetchClientSecret });
  await pass.ready();
  await pass.renew();
  assert.equal(pass.expiresIn, 3600);
});

test("an end in ISO 8601 alone is gone by, and one that is past already does not make for a storm", async () => {
  const ends = (seconds) => new Date(clock.wall + seconds * 1000).toISOString();
  let left = 3600;
  let asked = 0;
  const fetchClientSecret = async () => ({ client_secret: `cs_live_${++asked}`, expires_at: ends(left) });
  open({ fetchClientSecret });
  await pass.ready();
  assert.equal(pass.expiresIn, 3600);
  left = -3600;
  await pass.renew();
  assert.equal(pass.expiresIn, 30);
  for (let i = 0; i < 10; i++) await pass.ready();
  assert.equal(asked, 2);
});

test("of a bare string no end is known: only a 401 renews it", async () => {
  let asked = 0;
  open({ fetchClientSecret: async () => `cs_live_${++asked}` });
  api.good.add("cs_live_1").add("cs_live_2");
  await pass.ready();
  assert.equal(pass.expiresIn, Infinity);
  await clock.pass(86_400);
  assert.equal(asked, 1);
  api.good.delete("cs_live_1");
  assert.equal((await pass.fetch("/")).status, 200);
  assert.equal(asked, 2);
});

test("closed, it has nothing and asks for nothing", async () => {
  lasting(60);
  await pass.ready();
  const renewing = pass.renew();
  pass.close();
  await assert.rejects(renewing, SessionError);
  assert.equal(pass.expiresIn, 0);
  const asked = backend.asked.length;
  await assert.rejects(pass.fetch("/"), /closed the session/);
  await assert.rejects(pass.ready(), SessionError);
  await assert.rejects(pass.renew(), /closed the session/);
  await clock.pass(3600);
  assert.equal(backend.asked.length, asked);
  assert.deepEqual(api.requests, []);
});

test("a request that is given up is not sent", async () => {
  open();
  const giving = new AbortController();
  const waiting = assert.rejects(pass.fetch("/", { signal: giving.signal }), { name: "AbortError" });
  giving.abort();
  await waiting;
  assert.deepEqual(api.requests, []);
});

test("a request that is given up does not wait for the back end", async () => {
  open();
  backend.hangs = true;
  const giving = new AbortController();
  const waiting = assert.rejects(pass.fetch("/", { signal: giving.signal }), { name: "AbortError" });
  await quiet();
  assert.equal(backend.asked.length, 1);
  giving.abort();
  await waiting;
  await assert.rejects(pass.fetch("/", { signal: giving.signal }), { name: "AbortError" });
  assert.deepEqual(api.requests, []);
});

test("a request that was just begun as the page closed is not sent, and says so", async () => {
  open();
  await pass.ready();
  const waiting = assert.rejects(pass.fetch("/"), SessionError);
  pass.close();
  await waiting;
  assert.deepEqual(api.requests, []);
});

test("the credential is nowhere to be read", async () => {
  open();
  await pass.ready();
  assert.deepEqual(Object.keys(pass).sort(), ["WebSocket", "fetch"]);
  assert.ok(!JSON.stringify(pass).includes("cs_live"));
  const { inspect } = await import("node:util");
  assert.ok(!inspect(pass, { depth: 9, showHidden: true }).includes("cs_live"));
});

test("what the types name is there, and nothing else", async () => {
  const types = await readFile(new URL("../../src/guestpass/browser/guestpass.d.ts", import.meta.url), "utf8");
  const named = [...types.matchAll(/^export declare (?:abstract )?(?:class|function) (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(Object.keys(module).sort(), named.sort());
  const members = ["ready", "renew", "close", "expiresIn"];
  assert.deepEqual(Object.getOwnPropertyNames(Object.getPrototypeOf(open())).sort(), ["constructor", ...members].sort());
  for (const name of [...members, "fetch", "WebSocket"]) assert.match(types, new RegExp(`^  (readonly )?${name}[(:]`, "m"));
});

test("without a session a socket says what to do", () => {
  open();
  assert.throws(() => new pass.WebSocket("/v1/events"), { constructor: SessionError, message: /session.*ready/ });
});
