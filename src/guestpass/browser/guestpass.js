// A page's credential: in memory alone, for the API's origin alone.

export class SessionError extends Error {
  constructor(text, options) {
    // Pages look for this word.
    super(text.includes("session") ? text : `No valid session: ${text}`, options);
  }
}

// While a laptop sleeps performance.now() may stand still, and Date.now() may be wrong: the later one counts.
const clock = () => [performance.now(), Date.now()];
const since = (then) => Math.max(...clock().map((now, i) => now - then[i])) / 1000;
const delay = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
const inTime = (answer) => Promise.race([answer, delay(30).then(() => Promise.reject(Error("no answer in 30 s")))]);
const PAUSE = 30; // seconds between early renewals, and between looks

class Guestpass extends EventTarget {
  #options;
  #base;
  #held; // the credential
  #flight; // a renewal
  #tried; // when
  #failed;
  #failures = 0;
  #wait;
  #replaced = [];
  #timer;
  #channel;
  #end = new AbortController();
  WebSocket = this.#webSocket();

  constructor(options) {
    super();
    const { publishableKey, shareAs, baseUrl = location.origin } = options;
    this.#options = options;
    this.#base = new URL(baseUrl);
    if (!/^(https:|http:..(localhost|127\.0\.0\.1|\[::1\])(:|$))/.test(this.#base.origin)) throw Error("baseUrl: use https");
    if (/^sk_/.test(publishableKey)) throw Error("a secret key in a page: revoke it");
    if (shareAs && navigator.locks) {
      this.#channel = new BroadcastChannel(`guestpass ${this.#base} ${publishableKey} ${shareAs}`);
      this.#channel.onmessage = ({ data }) => this.#take({ ...data, expires_in: (data.until - Date.now()) / 1000 });
    }
    globalThis.addEventListener?.("visibilitychange", () => this.#look(), this.#end);
  }

  get expiresIn() {
    const held = this.#held;
    return held && !held.refused ? Math.max(0, held.lasts - since(held.received)) : 0;
  }

  fetch = async (input, init) => {
    // Older browsers take the credential along.
    const url = input instanceof Request ? input : new URL(input, this.#base);
    const request = new Request(url, { ...init, redirect: "error" });
    this.#address(request.url);
    const send = () => {
      this.#end.signal.throwIfAborted();
      request.headers.set("Authorization", `Bearer ${this.#held.credential}`);
      return fetch(request.clone());
    };
    const { signal } = request;
    signal.throwIfAborted();
    await Promise.race([this.ready(), new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)))]);
    const held = this.#held;
    const response = await send();
    if (response.status !== 401 || !this.#refuse(held)) return response;
    return this.ready().then(send, () => response);
  };

  async ready() {
    this.#end.signal.throwIfAborted();
    const rests = !this.#flight && this.#failed && since(this.#tried) < this.#wait;
    if (!this.expiresIn) {
      if (rests) throw this.#failed;
      await this.renew();
    } else if (this.#held.doubted) await (rests || this.renew().catch(() => {}));
    else if (this.#due() <= 0 && !(since(this.#tried) < PAUSE)) this.renew().catch(() => {});
  }

  renew() {
    return (this.#flight ??= this.#renew().finally(() => {
      this.#flight = null;
      this.#look();
    }));
  }

  close() {
    this.#end.abort(new SessionError("The page has closed the session"));
    this.#channel?.close();
    this.#held = null;
    clearTimeout(this.#timer);
  }

  #address(to) {
    const url = new URL(to, this.#base);
    if (url.origin.replace(/^ws/, "http") !== this.#base.origin) throw Error(`${url.origin} is not the API's origin`);
    return url;
  }

  /** Whether to replace it: not on and on, if all are refused. */
  #refuse(held, how = "refused") {
    if (held.refused || held[how] || held !== this.#held) return true;
    this.#replaced = this.#replaced.filter((then) => since(then) < PAUSE);
    return (held[how] = this.#replaced.length < 3 && this.#replaced.push(clock()));
  }

  /** Seconds until the next renewal. */
  #due() {
    const { lasts } = this.#held ?? {};
    if (!this.expiresIn) return lasts || this.#failed ? 0 : Infinity;
    return this.expiresIn - (lasts < 1500 ? lasts / 5 : 300);
  }

  /** Often: timers stand still in a laptop's sleep. */
  #look() {
    clearTimeout(this.#timer);
    const due = this.#due();
    if (due === Infinity || this.#end.signal.aborted) return;
    if (due <= 0) this.ready().catch(() => {});
    this.#timer = setTimeout(() => this.#look(), Math.min(Math.max(due, 1), PAUSE) * 1000);
  }

  async #renew() {
    this.#tried = clock();
    try {
      this.#end.signal.throwIfAborted();
      await inTime(this.#channel ? this.#together() : this.#mint());
      this.#failures = 0;
      this.#failed = null;
    } catch (cause) {
      this.#failed = new SessionError(`The page's backend gave no session: ${cause?.message}`, { cause });
      this.#tried = clock();
      // Or all pages come back at once.
      this.#wait = Math.random() * Math.min(60, 2 ** this.#failures++);
      this.dispatchEvent(new Event("failed"));
      throw this.#failed;
    }
  }

  #together() {
    const before = this.#held;
    const asked = clock();
    return navigator.locks.request(this.#channel.name, async () => {
      // Another tab's message may come after its lock.
      if (since(asked) > 0.02 && this.#held === before) await delay(0.2);
      if (this.#held === before) await this.#mint();
    });
  }

  async #mint() {
    // Nor may a tab keep the lock.
    this.#take(await inTime(this.#options.fetchClientSecret(this.#held?.who)));
    const { credential, protocol, who, lasts } = this.#held;
    // A tab that sleeps gets it late.
    this.#channel?.postMessage({ token: credential, protocol, id: who, until: Date.now() + lasts * 1000 });
  }

  #take(answer) {
    this.#end.signal.throwIfAborted();
    if (typeof answer === "string") answer = { token: answer };
    const { client_secret, token = client_secret, account, id, expires_at, expiresAt = expires_at } = answer;
    if (!/^[\w.~+/=-]+$/.test(token ?? "")) throw Error("no client_secret");
    if (/^[sp]k_/.test(token)) throw Error("an API key in a page");
    const ends = expiresAt > 0 ? expiresAt : Date.parse(expiresAt) / 1000;
    const jwt = /^eyJ.*\./.test(token) && atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"));
    // By its issuer's clock.
    const { exp = ends, iat = Date.now() / 1000, sub } = jwt ? JSON.parse(jwt) : {};
    // In another tab somebody else may have signed in.
    const who = client_secret ? account : (id ?? sub);
    if (this.#held?.who && who !== this.#held.who) throw Error("it is somebody else's");
    const { expires_in = exp - iat, protocol = jwt ? "jwt" : "client_secret" } = answer;
    // Or with a wrong clock each request would renew.
    const lasts = expires_in < Infinity ? Math.max(expires_in, PAUSE) : Infinity;
    this.#held = { credential: token, protocol, who, lasts, received: clock() };
    this.dispatchEvent(new Event("renewed"));
    this.#look();
  }

  #webSocket() {
    const pass = this;
    return class extends WebSocket {
      constructor(to, protocols = []) {
        let held = pass.#held;
        if (!pass.expiresIn) throw new SessionError("No session yet: await ready()");
        super(pass.#address(to).href.replace(/^http/, "ws"), [...[].concat(protocols), held.protocol, held.credential]);
        const { renewSockets } = pass.#options;
        const over = new AbortController();
        let opened;
        const present = () => {
          if (!renewSockets || !opened || held === pass.#held) return;
          held = pass.#held;
          this.send(JSON.stringify({ guestpass: { credential: held.credential } }));
        };
        pass.addEventListener("renewed", present, over);
        pass.#end.signal.addEventListener("abort", () => this.close(), over);
        this.addEventListener("open", () => {
          opened = true;
          present();
        });
        this.addEventListener("message", (event) => {
          if (renewSockets && /^{"guestpass"/.test(event.data)) event.stopImmediatePropagation();
        });
        this.addEventListener("close", ({ code }) => {
          over.abort();
          // No script is told why it failed.
          if (!opened) pass.#refuse(held, "doubted");
          if (code === 3000) pass.#refuse(held);
        });
      }
    };
  }
}

export const initialize = (options) => new Guestpass(options);

const { HTMLElement = class {}, customElements } = globalThis;
const PROVIDER = "guestpass-provider";
const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

class Provider extends HTMLElement {
  #pass;

  get guestpass() {
    return this.#pass;
  }

  set guestpass(pass) {
    this.#pass = pass;
    this.dispatchEvent(new Event("change"));
  }
}

customElements?.get(PROVIDER) ?? customElements?.define(PROVIDER, Provider);

export class GuestpassElement extends HTMLElement {
  loadingText = "Loading…";
  retryText = "Try again";
  #left;
  #turn = 0;

  connectedCallback() {
    this.#left = new AbortController();
    let inside = this;
    while (inside && !(this.provider = inside.closest(PROVIDER))) inside = inside.getRootNode().host;
    if (!this.provider) {
      const error = Error(`Could not find guestpass context; You need to wrap <${this.localName}> in a <${PROVIDER}>.`);
      this.#fail(error);
      throw error;
    }
    const begin = () => {
      const again = () => this.dataset.state === "failed" && this.load();
      this.provider.guestpass?.addEventListener("renewed", again, this.#left);
      this.load();
    };
    this.provider.addEventListener("change", begin, this.#left);
    begin();
  }

  disconnectedCallback() {
    this.#left.abort();
  }

  async load() {
    const turn = ++this.#turn;
    this.#show("loading", make("p", { role: "status", textContent: this.loadingText }));
    try {
      const pass = this.provider.guestpass;
      const nodes = pass && [].concat(this.render(await this.request(pass)));
      if (pass && turn === this.#turn) this.#show("ready", ...nodes);
    } catch (error) {
      if (turn === this.#turn) this.#fail(error);
    }
  }

  async request(pass) {
    const response = await pass.fetch(this.path);
    if (response.ok) return response.json();
    const { status } = response;
    const { code, detail = `The API answered ${status}.` } = await response.json().catch(() => ({}));
    throw Object.assign(status === 401 ? new SessionError(detail) : Error(detail), { status, code });
  }

  #show(state, ...nodes) {
    this.dataset.state = state;
    this.ariaBusy = state === "loading";
    this.replaceChildren(...nodes);
  }

  #fail(error) {
    const { message, code, status } = error;
    const said = make("p", { role: "alert", textContent: message });
    const onclick = () => {
      // The button takes the focus with it.
      this.tabIndex = -1;
      this.focus();
      if (error instanceof SessionError) this.provider.guestpass.renew().catch(() => {});
      this.load();
    };
    if (status === 403 || !this.provider) this.#show("refused", said);
    else this.#show("failed", said, make("button", { type: "button", textContent: this.retryText, onclick }));
    this.dispatchEvent(Object.assign(new Event("loaderror", { bubbles: true, composed: true }), { error: message, code }));
  }
}
