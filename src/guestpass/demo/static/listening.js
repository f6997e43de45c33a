// The socket: events of the account, and a chat on the same line.

import { $, note, onClick, say } from "./saying.js";

/** `passes` has one to listen with for each choice of the form. */
export function setUpListening(passes) {
  const request = "WebSocket /v1/events";
  let socket = null;

  async function listen() {
    if (socket) {
      socket.close(1000);
      return;
    }
    const pass = passes[document.querySelector("input[name=with]:checked").value];
    try {
      await pass.ready();
      socket = new pass.WebSocket("/v1/events");
    } catch (error) {
      say("events-outcome", { request, state: "failed", answer: "not opened" }, error.message);
      return;
    }
    const opening = socket;
    let opened = false;
    const renewed = () => note($("events"), "The credential was renewed, and the socket stays.", new Date(), "own");
    opening.onopen = () => {
      opened = true;
      pass.addEventListener("renewed", renewed);
      show(true);
      const answer = { request, state: "ok", answer: "101 Switching Protocols" };
      say("events-outcome", answer, `The server took up the subprotocol “${opening.protocol}” and told no secret back.`);
    };
    opening.onmessage = (message) => hear(JSON.parse(message.data));
    opening.onclose = ({ code, reason }) => {
      socket = null;
      pass.removeEventListener("renewed", renewed);
      show(false);
      const state = code === 1000 || code === 1005 ? "ok" : "refused";
      const why = opened ? "The socket is closed." : "The handshake was refused; browsers do not tell a script why.";
      say("events-outcome", { request, state, answer: `${code} ${reason || "closed"}` }, why);
    };
  }

  function show(listening) {
    $("listen").textContent = listening ? "Stop listening" : "Listen";
    $("with").disabled = listening;
    $("chat").hidden = !listening;
    if (listening) {
      $("events").firstElementChild.replaceChildren();
      $("events").hidden = false;
    }
  }

  function hear(event) {
    const texts = {
      hello: () => `hello, ${event.kind} of ${event.account}`,
      heard: () => `Front desk: heard ${event.messages === 1 ? "your message" : `${event.messages} messages`}`,
    };
    note($("events"), texts[event.type]?.() ?? `${event.type} from ${event.from}`, event.at ?? new Date());
  }

  onClick("listen", listen);
  $("chat").addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    const said = $("message").value;
    if (!said.trim() || socket?.readyState !== WebSocket.OPEN) return;
    socket.send(said);
    note($("events"), `You: ${said}`, new Date(), "own");
    $("message").value = "";
  });
}
