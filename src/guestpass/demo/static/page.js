// The page's script: it tells the browser module where its back end is, and shows what comes of it.
// The module holds the client secret; the page itself keeps no more of it than the few characters that it shows.

import { initialize } from "/guestpass.js";
import "./components.js";
import { setUpListening } from "./listening.js";
import { $, element, note, onClick, say } from "./saying.js";

const { account, accountName, otherAccount, otherAccountName, user } = document.body.dataset;

/** The page's own back end: whoever is signed in there is known by a cookie, so nothing here says who. */
async function ask(path, body) {
  if ($("down").checked) throw new Error("it does not answer");
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    cache: "no-store",
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw Object.assign(new Error(answer.error ?? "no answer"), { status: response.status });
  return answer;
}

let lasts = 1;
let expected = "";

async function fetchClientSecret() {
  const answer = await ask("/demo/create-session", { accountId: account });
  const { client_secret: secret, expires_in: seconds, components } = answer;
  lasts = seconds;
  $("secret").textContent = `${secret.slice(0, 8)}••••${secret.slice(-4)}`;
  for (const name of ["call_logs", "voicemails"]) {
    const open = components[name]?.enabled === true;
    $(`opens-${name}`).dataset.open = open ? "yes" : "no";
    $(`opens-${name}`).textContent = open ? "✓ open" : "✕ closed";
  }
  return answer;
}

const tell = (text, kind) => note($("diary"), text, new Date(), kind);

const { publishable_key: publishableKey } = await (await fetch("/page.json")).json();
const session = initialize({ publishableKey, fetchClientSecret, renewSockets: true });
const token = initialize({
  publishableKey,
  fetchClientSecret: (entityId) => (entityId ? ask("/api/refresh-sdk-token", { entityId }) : ask("/api/sdk-token", {})),
  renewSockets: true,
});

let passes = 0;
session.addEventListener("renewed", () => {
  passes += 1;
  const why = expected || (passes === 1 ? "The back end gave a pass" : "Renewed ahead of its end");
  tell(`${why}: pass ${passes}, for ${lasts} s.`);
  expected = "";
  showRemaining();
});
session.addEventListener("failed", () => tell("The back end gave no new pass. Another try follows, later each time.", "bad"));

function showRemaining() {
  const left = Math.ceil(session.expiresIn);
  $("remaining").textContent = left ? `${left} s` : "ended";
  $("remaining-bar").value = left / lasts;
}

async function renew() {
  expected = "Renewed at your wish";
  // Said in the diary, whichever way it goes.
  await session.renew().catch(() => (expected = ""));
}

async function revoke() {
  try {
    await ask("/demo/end-sessions", {});
  } catch (error) {
    tell(`Not revoked: ${error.message}.`, "bad");
    return;
  }
  tell("The back end revoked the pass. The next request meets 401.", "bad");
  expected = "After that 401, a new one, and the request was sent again";
  await document.querySelector("guestpass-call-logs").load();
}

/** One request with the session, and what it means; `expected` where it is refused with `code`. */
async function attempt(id, method, path, code, meaning, body) {
  const request = `${method} ${path}`;
  try {
    const response = await session.fetch(path, { method, body, headers: body ? { "Content-Type": "application/json" } : {} });
    const answer = await response.json().catch(() => ({}));
    const state = response.ok ? "ok" : "refused";
    const sentence = answer.code === code ? meaning : (answer.detail ?? "That was not refused.");
    say(id, { request, state, answer: `${response.status} ${answer.code ?? "OK"}` }, sentence);
  } catch (error) {
    say(id, { request, state: "failed", answer: "not sent" }, error.message);
  }
}

const tryToMint = () =>
  attempt(
    "try-mint-outcome",
    "POST",
    "/v1/account_sessions",
    "escalation_denied",
    "A guest cannot sign in guests: only a secret key mints, and this page never had one.",
    JSON.stringify({ account }),
  );

const tryOtherAccount = () =>
  attempt(
    "try-account-outcome",
    "GET",
    `/v1/accounts/${otherAccount}/call_logs`,
    "account_mismatch",
    `The session is for ${accountName} alone; the request names ${otherAccountName}.`,
  );

async function tryBackend() {
  const request = "POST /demo/create-session";
  try {
    await ask("/demo/create-session", { accountId: otherAccount });
    say("try-backend-outcome", { request, state: "ok", answer: "200 OK" }, "That was not refused.");
  } catch ({ status, message }) {
    const refused = status === 403;
    const meaning = `${user}, who is signed in here, does not work for ${otherAccountName}: no session was asked for.`;
    const answer = { request, state: refused ? "refused" : "failed", answer: `${status ?? "no answer"} ${message}` };
    say("try-backend-outcome", answer, refused ? meaning : "Does the demo still run?");
  }
}

function tryOutside() {
  // The browser hands what the component throws to the window; the component shows it as well.
  const lost = element("guestpass-call-logs");
  addEventListener("error", (event) => event.preventDefault(), { once: true });
  lost.addEventListener("loaderror", ({ error }) => {
    const answer = { request: "<guestpass-call-logs>", state: "failed", answer: "Error" };
    queueMicrotask(() => say("try-outside-outcome", answer, error));
  });
  $("try-outside-outcome").replaceChildren(lost);
}

onClick("renew", renew);
onClick("revoke", revoke);
onClick("try-mint", tryToMint);
onClick("try-account", tryOtherAccount);
onClick("try-backend", tryBackend);
onClick("try-outside", tryOutside);
$("down").addEventListener("change", ({ target }) => tell(target.checked ? "The back end is down." : "The back end is back."));
setUpListening({ session, token });
setInterval(showRemaining, 250);
$("provider").guestpass = session;
