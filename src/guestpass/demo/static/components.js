// The platform's two components. Each says what it loads and how it looks; loading, refusals and trying again come with
// the base class.

import { GuestpassElement } from "/guestpass.js";
import { at, element } from "./saying.js";

const spoken = (text) => (text ? `“${text}”` : "–");

function table(caption, heads, rows) {
  const head = element("tr", "", ...heads.map((text) => Object.assign(element("th", "", text), { scope: "col" })));
  const body = rows.map((cells) => element("tr", "", ...cells.map((text) => element("td", "", text))));
  return element(
    "table",
    "",
    element("caption", "visually-hidden", caption),
    element("thead", "", head),
    element("tbody", "", ...body),
  );
}

class CallLogs extends GuestpassElement {
  path = "/v1/call_logs";
  loadingText = "Loading calls…";

  render({ call_logs: calls }) {
    const row = (call) => [
      at(call.started_at),
      call.direction === "inbound" ? `from ${call.from}` : `to ${call.to}`,
      call.answered ? `${Math.floor(call.duration_seconds / 60)} min ${call.duration_seconds % 60} s` : "missed",
      spoken(call.transcript),
    ];
    return table("Calls, newest first", ["When", "Who", "Length", "Said"], calls.map(row));
  }
}

class Voicemails extends GuestpassElement {
  path = "/v1/voicemails";
  loadingText = "Loading voicemails…";

  render({ voicemails }) {
    const row = (message) => [at(message.received_at), message.from, `${message.duration_seconds} s`, spoken(message.text)];
    return table("Messages, newest first", ["When", "Who", "Length", "Said"], voicemails.map(row));
  }
}

customElements.define("guestpass-call-logs", CallLogs);
customElements.define("guestpass-voicemails", Voicemails);
