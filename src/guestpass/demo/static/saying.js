// The small things that every part of the page says and shows with.

export const $ = (id) => document.getElementById(id);

export function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** What came back: the answer's status, the request, and in one sentence what it means. */
export function say(id, { state, answer, request }, sentence) {
  const outcome = element("p", "outcome", element("span", "answer", answer), element("code", "request", request), sentence);
  outcome.dataset.state = state;
  $(id).replaceChildren(outcome);
}

/** A line at the end of a log, of which the last 30 are kept. */
export function note(log, text, when = new Date(), kind = "") {
  const list = log.firstElementChild;
  const time = element("time", "", at(when, { hour: "2-digit", minute: "2-digit", second: "2-digit" }));
  const item = element("li", kind, element("span", "", text), time);
  list.append(item);
  while (list.children.length > 30) list.firstElementChild.remove();
  log.scrollTop = log.scrollHeight;
}

export function at(instant, parts = { hour: "2-digit", minute: "2-digit" }) {
  const when = new Date(instant);
  const today = when.toDateString() === new Date().toDateString();
  const time = when.toLocaleTimeString([], parts);
  return today ? time : `${when.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
}

/** Keep a button from starting the same thing twice; it stays focusable, so that nobody's focus is lost. */
export function onClick(id, work) {
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
