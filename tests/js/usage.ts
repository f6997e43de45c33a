// What TypeScript makes of a page that uses the module: this has to pass `tsc --strict`, and each line that is marked has
// to be an error.

import { GuestpassElement, SessionError, initialize } from "../../src/guestpass/browser/guestpass.js";
import type { ClientSecret, Guestpass } from "../../src/guestpass/browser/guestpass.js";

const asked = async (): Promise<ClientSecret> => (await fetch("/api/create-session", { method: "POST" })).json();

const pass: Guestpass = initialize({ publishableKey: "pk_live_YOUR_KEY", fetchClientSecret: asked });

// The account-session document's answer, the signed-token document's, and a bare secret.
initialize({ fetchClientSecret: async () => ({ client_secret: "", expires_at: "", expires_in: 3600, account: "acct_1" }) });
initialize({ fetchClientSecret: async (entityId) => ({ token: "", expiresAt: 1_700_000_000, id: entityId ?? "" }) });
initialize({ fetchClientSecret: async () => "", baseUrl: new URL("https://api.example"), shareAs: "acct_1 ada" });

// @ts-expect-error it cannot do without
initialize({ publishableKey: "pk_live_YOUR_KEY" });
// @ts-expect-error a secret, not a number
initialize({ fetchClientSecret: async () => 7 });
// @ts-expect-error no such option
initialize({ fetchClientSecret: asked, apiKey: "sk_live_1" });
// @ts-expect-error it is held, not handed out
pass.clientSecret;
// @ts-expect-error nor is it the page's to replace
pass.fetch = fetch;

interface Call {
  id: string;
  from: string;
}

class CallLogs extends GuestpassElement<{ call_logs: Call[] }> {
  path = "/v1/call_logs";

  override render({ call_logs: calls }: { call_logs: Call[] }): Node[] {
    return calls.map(({ from }) => document.createTextNode(from));
  }
}

// @ts-expect-error it does not say what to load and how to show it
class Nothing extends GuestpassElement {}

customElements.define("guestpass-call-logs", CallLogs);
const provider = document.querySelector("guestpass-provider");
if (provider) provider.guestpass = pass;

const logs = new CallLogs();
logs.addEventListener("loaderror", (event) => {
  if (event.error.includes("session")) void logs.load();
});

export async function listen(): Promise<WebSocket> {
  pass.addEventListener("renewed", () => console.log(pass.expiresIn.toFixed()));
  try {
    await pass.ready();
  } catch (error) {
    if (error instanceof SessionError) console.log(error.message, error.cause);
  }
  const answer: Response = await pass.fetch("/v1/call_logs", { method: "GET" });
  const socket = new pass.WebSocket("/v1/events", ["graphql-transport-ws"]);
  socket.onmessage = ({ data }: MessageEvent<string>) => console.log(answer.status, data);
  return socket;
}

export { Nothing };
