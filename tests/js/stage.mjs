// An API and a back end over real HTTP, and the module on a clock that the tests move.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { once } from "node:events";

/** `monotonic` and `wall` in milliseconds; `sleep` moves the wall clock alone, as a laptop's sleep may. */
export class Clock {
  monotonic = 1_000;
  wall = 1_700_000_000_000;
  #timers = new Map();
  #next = 1;

  /** It counts for the module from now on. */
  install() {
    globalThis.movedClock = {
      performance: { now: () => this.monotonic },
      Date: { now: () => this.wall, parse: Date.parse },
      setTimeout: (call, ms) => {
        this.#timers.set(this.#next, { call, at: this.monotonic + ms });
        return this.#next++;
      },
      clearTimeout: (id) => this.#timers.delete(id),
    };
  }

  sleep(seconds) {
    this.wall += seconds * 1000;
  }

  /** Let time pass, timer by timer, with what each sets off brought to its end. */
  async pass(seconds) {
    const end = this.monotonic + seconds * 1000;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      const [id, { call, at }] = due;
      this.#timers.delete(id);
      this.#move(at);
      call();
      await quiet();
    }
    this.#move(end);
    await quiet();
  }

  #move(to) {
    this.wall += Math.max(0, to - this.monotonic);
    this.monotonic = Math.max(to, this.monotonic);
  }
}

// The module as it is, but for the names of the clock: Node's own HTTP client uses the global ones, and has to go on.
const source = await readFile(new URL("../../src/guestpass/browser/guestpass.js", import.meta.url), "utf8");
const onTheClock = `
const performance = { now: () => movedClock.performance.now() };
const Date = { now: () => movedClock.Date.now(), parse: (text) => movedClock.Date.parse(text) };
const setTimeout = (...all) => movedClock.setTimeout(...all);
const clearTimeout = (id) => movedClock.clearTimeout(id);
`;
export const module = await import(`data:text/javascript,${encodeURIComponent(onTheClock + source)}`);

let underWay = 0;

/** Once nothing is on its way any more: neither a request nor what its answer sets off. */
export async function quiet() {
  do {
    await new Promise((done) => setTimeout(done, 1));
    await new Promise((done) => setImmediate(done));
  } while (underWay);
}

/** The API: lets in what `good` has; `requests` has all that came. */
export class Api {
  good = new Set();
  requests = [];
  status = 200;

  async start() {
    this.server = createServer(async (request, response) => {
      underWay += 1;
      let body = "";
      for await (const chunk of request) body += chunk;
      await this.gate;
      const credential = request.headers.authorization?.replace("Bearer ", "");
      this.requests.push({ method: request.method, url: request.url, headers: request.headers, credential, body });
      const welcome = this.good.has(credential);
      const status = request.url === "/moved" ? 302 : welcome ? this.status : 401;
      response.writeHead(status, { "Content-Type": "application/json", Location: this.elsewhere ?? "/" });
      response.end(JSON.stringify(welcome ? { body } : { detail: "This session has been revoked." }));
      underWay -= 1;
    });
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** What the page's back end answers: sessions of `lasts` seconds that `api` lets in, unless it is `down`. */
export class Backend {
  minted = 0;
  asked = [];
  down = false;
  hangs = false;

  constructor(api, lasts = 3600) {
    this.api = api;
    this.lasts = lasts;
  }

  fetchClientSecret = async (entity) => {
    this.asked.push(entity);
    await new Promise((done) => setImmediate(done));
    if (this.hangs) return new Promise(() => {});
    if (this.down) throw new Error("502");
    const secret = `cs_live_${++this.minted}`;
    this.api.good.add(secret);
    return { client_secret: secret, expires_in: this.lasts, expires_at: "1999-12-31T23:59:59Z", account: "acct_1" };
  };
}
