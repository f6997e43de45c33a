// The page's script: it gets a session from its back end, calls the API with it, and says what came back.
// The client secret lives in one variable: it is never stored, shown in full or put into an address.

const { account, accountName, otherAccount, otherAccountName, user } = document.body.dataset;
const $ = (id) => document.getElementById(id);
const rows = ["call_logs", "voicemails"];
const JSON_TYPE = { "Content-Type": "application/json" };

/** The session: its secret, and the instant (of a clock that nobody can set back) at which it ends. */
let session = null;
let socket = null;

/** One request; never throws. `status` is 0 where no answer came. */
async function call(method, path, { headers = {}, body, secret } = {}) {
  const request = `${method} ${path}`;
  try {
    const response = await fetch(path, {
      method,
      headers: secret ? { ...headers, Authorization: `Bearer ${secret}` } : headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
    });
    const data = await response.json().catch(() => ({}));
    return { request, ok: response.ok, status: response.status, code: data.code ?? data.error ?? "", data };
  } catch {
    return { request, ok: false, status: 0, code: "no answer", data: { detail: "Does the demo still run?" } };
  }
}

/** The API with the session; without one, what to do about it. */
function callApi(method, path, options = {}) {
  if (session === null) {
    const data = { detail: "The page has no session yet." };
    return { request: `${method} ${path}`, ok: false, status: 0, code: "not sent", data };
  }
  return call(method, path, { ...options, secret: session.secret });
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

/** Say what came back, and in one sentence what it means. */
function say(id, answer, sentence) {
  const outcome = element("p", "outcome", "");
  outcome.dataset.state = answer.ok ? "ok" : answer.status ? "refused" : "failed";
  const status = [answer.status || "", answer.code || (answer.ok ? "OK" : "")].join(" ").trim();
  outcome.append(element("span", "answer", status), element("code", "request", answer.request), sentence);
  $(id).replaceChildren(outcome);
}

/** `expected` where the answer is the one that this part of the page is about, else the API's own words. */
const means = (answer, code, expected) => (answer.code === code ? expected : (answer.data.detail ?? answer.code));

/** Keep a button from starting the same thing twice; it stays focusable, so that nobody's focus is lost. */
function onClick(id, work) {
  const button = $(id);
  button.addEventListener("click", async () => {
    if (button.ariaDisabled === "true") return;
    button.ariaDisabled = "true";
    try {
      await work();
    } finally {
      button.ariaDisabled = "false";
    }
  });
}

async function start() {
  const answer = await call("POST", "/api/create-session", { headers: JSON_TYPE, body: { accountId: account } });
  if (!answer.ok) {
    say("mint-outcome", answer, answer.data.detail ?? "The back end gave no session.");
    return;
  }
  const { client_secret: secret, expires_in: seconds, components } = answer.data;
  session = { secret, seconds, endsAt: performance.now() + seconds * 1000 };
  $("secret").textContent = `${secret.slice(0, 8)}••••${secret.slice(-4)}`;
  for (const component of rows) {
    const open = components[component]?.enabled === true;
    $(`opens-${component}`).dataset.open = open ? "yes" : "no";
    $(`opens-${component}`).textContent = open ? "✓ open" : "✕ closed";
  }
  showRemaining();
  say("mint-outcome", answer, "The back end checked who is signed in, then minted this pass with the key that only it holds.");
  await Promise.all([loadCalls(), loadVoicemails()]);
}

function showRemaining() {
  if (session === null) return;
  const left = Math.max(0, Math.ceil((session.endsAt - performance.now()) / 1000));
  const [hours, minutes, seconds] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  const pad = (number) => String(number).padStart(2, "0");
  $("remaining").textContent = left ? `${hours ? `${hours}:` : ""}${pad(minutes)}:${pad(seconds)}` : "ended";
  $("remaining-bar").value = left / session.seconds;
}

async function loadCalls() {
  const answer = await callApi("GET", "/v1/call_logs");
  const calls = answer.data.call_logs ?? [];
  $("calls-scroll").hidden = !answer.ok;
  $("calls").replaceChildren(...calls.map(callRow));
  const loaded = `${calls.length} calls of ${accountName}: the session names the account, so the request need not.`;
  say("calls-outcome", answer, answer.ok ? loaded : answer.data.detail);
}

function callRow(call) {
  const inbound = call.direction === "inbound";
  const row = document.createElement("tr");
  const length = `${Math.floor(call.duration_seconds / 60)} min ${call.duration_seconds % 60} s`;
  row.append(
    element("td", "", at(call.started_at)),
    element("td", "", inbound ? `from ${call.from}` : `to ${call.to}`),
    element("td", "", call.answered ? length : "missed"),
    element("td", "", call.transcript ? `“${call.transcript}”` : "–"),
  );
  return row;
}

function at(instant) {
  const when = new Date(instant);
  const today = when.toDateString() === new Date().toDateString();
  const time = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return today ? time : `${when.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
}

async function loadVoicemails() {
  const answer = await callApi("GET", "/v1/voicemails");
  const refused = "The session is valid, but this component is not enabled in it, so its messages stay closed.";
  say("voicemails-outcome", answer, means(answer, "component_disabled", refused));
}

async function tryToMint() {
  const answer = await callApi("POST", "/v1/account_sessions", { headers: JSON_TYPE, body: { account } });
  const refused = "A guest cannot sign in guests: only a secret key mints, and this page never had one.";
  say("try-mint-outcome", answer, means(answer, "escalation_denied", refused));
}

async function tryOtherAccount() {
  const answer = await callApi("GET", `/v1/accounts/${otherAccount}/call_logs`);
  const refused = `The session is for ${accountName} alone; the request names ${otherAccountName}.`;
  say("try-account-outcome", answer, means(answer, "account_mismatch", refused));
}

async function tryBackend() {
  const body = { accountId: otherAccount };
  const answer = await call("POST", "/api/create-session", { headers: JSON_TYPE, body });
  const refused = `${user}, who is signed in here, does not work for ${otherAccountName}: no session was asked for.`;
  say("try-backend-outcome", answer, means(answer, "Access denied", refused));
}

function listen() {
  if (socket !== null) {
    socket.close(1000);
    return;
  }
  const request = "WebSocket /v1/events";
  if (session === null) {
    say("events-outcome", { request, ok: false, status: 0, code: "not sent" }, "The page has no session yet.");
    return;
  }
  const address = new URL("/v1/events", location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  const opening = new WebSocket(address, ["client_secret", session.secret]);
  let opened = false;
  socket = opening;
  opening.addEventListener("open", () => {
    opened = true;
    showListening(true);
    const answer = { request, ok: true, status: 101, code: "Switching Protocols" };
    say("events-outcome", answer, `The server took up the subprotocol “${opening.protocol}” and told no secret back.`);
  });
  opening.addEventListener("message", (message) => showEvent(JSON.parse(message.data)));
  opening.addEventListener("close", (event) => {
    socket = null;
    showListening(false);
    const ok = event.code === 1000 || event.code === 1005;
    const why = opened ? "The socket is closed." : "The handshake was refused; browsers do not tell a script why.";
    say("events-outcome", { request, ok, status: event.code, code: event.reason || "closed" }, why);
  });
}

function showListening(listening) {
  $("listen").textContent = listening ? "Stop listening" : "Listen";
  if (listening) {
    $("events").replaceChildren();
    $("events").hidden = false;
  }
}

function showEvent(event) {
  const text = event.type === "hello" ? `hello, ${event.kind} of ${event.account}` : `${event.type} from ${event.from}`;
  const item = element("li", "", "");
  item.append(element("span", "", text), element("time", "", at(event.at ?? new Date())));
  const events = $("events");
  events.append(item);
  while (events.children.length > 30) events.firstElementChild.remove();
  events.scrollTop = events.scrollHeight;
}

onClick("mint", start);
onClick("try-mint", tryToMint);
onClick("try-account", tryOtherAccount);
onClick("try-backend", tryBackend);
onClick("listen", listen);
setInterval(showRemaining, 1000);
start();
