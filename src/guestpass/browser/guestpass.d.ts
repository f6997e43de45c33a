/**
 * What your backend answers when the page asks for a credential: the answer of `POST /v1/account_sessions` as it is, or
 * that of `POST /api/v1/jwt/sign` with the token called `token`.
 */
export interface ClientSecret {
  /** The credential of an account session. */
  client_secret?: string;
  /** The credential where it is a signed or an identity token. */
  token?: string;
  /** Seconds that it lasts, counted from its receipt. Best: a wrong clock on this machine does no harm then. */
  expires_in?: number;
  /** When it ends, ISO 8601 or Unix seconds. Looked at where there is no `expires_in`, nor an `exp` in a JWT. */
  expires_at?: string | number;
  /** When it ends, as the answer of a signed token says it. */
  expiresAt?: string | number;
  /** The account that a session is for. Another one later on is a failure: initialize anew for somebody else. */
  account?: string;
  /** The entity that a token is for. Another one later on is a failure: initialize anew for somebody else. */
  id?: string;
  /** How a WebSocket presents it, where that is neither `client_secret` nor (for a JWT) `jwt`. */
  protocol?: "client_secret" | "jwt" | "token";
  /** Anything else is not looked at. */
  [more: string]: unknown;
}

export interface Options {
  /**
   * Asks your backend for a credential. A bare client secret has no known end: it is renewed when the API refuses it. `entity`
   * is the account or the id of the answer before (of a bare JWT, its `sub`), for your backend to compare with whoever is
   * signed in. Fails by throwing; look at the status of your backend's answer.
   */
  fetchClientSecret: (entity?: string) => Promise<ClientSecret | string>;
  /** Names your platform. A secret key here is an error. */
  publishableKey?: string;
  /** Where the API is: https, or http on this machine. The page's own origin if left out. */
  baseUrl?: string | URL;
  /**
   * Lets the tabs of this origin that say the same renew together: one asks, all have it. Has to name who it is for,
   * such as `${account} ${user}`, or one user's tab would go on with another's credential. Left out: each for itself.
   */
  shareAs?: string;
  /** Presents each fresh credential on open sockets, where the server lets them renew (`socket_renewal`). */
  renewSockets?: boolean;
}

/** No credential could be had, or the one there was is refused. Its message contains the word "session". */
export declare class SessionError extends Error {
  constructor(text: string, options?: { cause?: unknown });
}

/**
 * One holder of one credential, for as long as the page lasts. Renewed 5 minutes before its end (at 80 % of a life under
 * 25 minutes), by whatever needs it or by itself; never twice at once, and early at most once in 30 s.
 *
 * Dispatches `renewed` when there is a fresh credential, the first included, and `failed` when none could be had.
 */
export interface Guestpass extends EventTarget {
  /**
   * `fetch` with the credential, relative to `baseUrl`. Refused with 401, it renews once and asks once more. A request to
   * another origin is an error and not sent; so is a redirect. Rejects with a `SessionError` where there is no
   * credential to be had. Needs no `this`.
   */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>;
  /**
   * The browser's own `WebSocket`, offering the credential as a pair of subprotocols, its address relative to `baseUrl`.
   * A constructor cannot wait: `await ready()` first, each time, or it may throw a `SessionError`.
   */
  readonly WebSocket: new (url: string | URL, protocols?: string | string[]) => WebSocket;
  /** Seconds that the credential lasts: 0 without one, or once it is refused; `Infinity` where no end is known. */
  readonly expiresIn: number;
  /** Resolves once there is a credential that can be sent. Rejects with a `SessionError`, at once during a back-off. */
  ready(): Promise<void>;
  /** A fresh credential now, whatever the old one is worth; joins a renewal that is under way. */
  renew(): Promise<void>;
  /** Forgets the credential and closes the sockets, for good: when the user signs out. */
  close(): void;
}

/** Begins nothing by itself: the first request, `ready()` or `renew()` asks your backend. */
export declare function initialize(options: Options): Guestpass;

/** `<guestpass-provider>`: its `guestpass` is what the components inside it use. */
export interface GuestpassProvider extends HTMLElement {
  guestpass: Guestpass | undefined;
}

/** Something could not be loaded; bubbles. `error` is the text that the component shows, `code` the API's. */
export interface LoadErrorEvent extends Event {
  readonly error: string;
  readonly code?: string;
}

/**
 * A component that shows what one address of the API answers, and until then that it loads, that it was refused, or that
 * it failed and can be tried again. Which it is stands in `data-state`: `loading`, `ready`, `refused` or `failed`.
 * Outside a `<guestpass-provider>` it says so and throws.
 *
 *     class CallLogs extends GuestpassElement {
 *       path = "/v1/call_logs";
 *       render({ call_logs }) { return call_logs.map((call) => …); }
 *     }
 *     customElements.define("guestpass-call-logs", CallLogs);
 */
export declare abstract class GuestpassElement<Data = unknown> extends HTMLElement {
  /** The API's address, relative to `baseUrl`. */
  abstract path: string;
  /** What to show, from the API's answer. Text becomes text, never HTML. */
  abstract render(data: Data): Node | string | (Node | string)[];
  /** Shown meanwhile. */
  loadingText: string;
  /** On the button. */
  retryText: string;
  /** The provider that it is in. */
  provider: GuestpassProvider | null;
  /** Load, and show it. The last of several counts. Dispatches `loaderror`, and never rejects. */
  load(): Promise<void>;
  /** What `load` waits for: one request to `path`, as JSON. To be replaced where it takes more than that. */
  request(guestpass: Guestpass): Promise<Data>;
  connectedCallback(): void;
  disconnectedCallback(): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "guestpass-provider": GuestpassProvider;
  }
  interface HTMLElementEventMap {
    loaderror: LoadErrorEvent;
  }
}
