// Warns before a timeout, in the dialog marked data-session-timeout. How long a session
// has is asked of the server: another tab may have extended it, and timers of a hidden
// tab or a sleeping machine come late.

const LONGEST = 2 ** 31 - 1; // milliseconds: what a timer can wait
const RETRY = 10_000; // milliseconds, while the server can't be reached

const dialog = document.querySelector("dialog[data-session-timeout]");
const form = dialog.querySelector("form");
const heading = dialog.querySelector("h2");
const soon = heading.textContent;
const timeLeft = dialog.querySelector("[data-clock]");
const failed = dialog.querySelector("[data-failed]");
const warning = Number(dialog.dataset.seconds) * 1000;
const tabs = new BroadcastChannel("secure-sessions-timeout");

let deadline = Date.now() + Number(dialog.dataset.quietSeconds) * 1000 + warning;
let extendable;
let dismissed = false;
let timer;

const untilWarning = () => deadline - warning - Date.now();

function plan(action, delay) {
  clearTimeout(timer);
  timer = setTimeout(action, Math.min(delay, LONGEST));
}

function show(state) {
  for (const part of dialog.querySelectorAll("[data-when]"))
    part.hidden = !part.dataset.when.split(" ").includes(state);
  if (!dialog.open && !dismissed) dialog.showModal();
}

function hide() {
  dismissed = false;
  failed.hidden = true;
  dialog.close();
}

function clock(milliseconds) {
  const seconds = Math.ceil(milliseconds / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function count() {
  const left = deadline - Date.now();
  if (left <= 0) {
    plan(ask, 1000);
    return;
  }
  heading.textContent = soon;
  timeLeft.textContent = clock(left);
  show(extendable ? "idle" : "absolute");
  plan(count, 1000);
}

function learn({ remaining, idle_remaining: idle, absolute_remaining: absolute }) {
  deadline = Date.now() + remaining * 1000;
  // Activity moves the idle deadline alone.
  extendable = remaining === idle && remaining !== absolute;
  if (untilWarning() <= 0) {
    count();
  } else {
    hide();
    plan(ask, untilWarning());
  }
}

async function request(address, options) {
  const answer = await fetch(address, {
    credentials: "same-origin",
    ...options,
    headers: { Accept: "application/json", ...options?.headers },
  });
  const said = await answer.json();
  if (answer.status === 401) {
    clearTimeout(timer);
    dismissed = false;
    heading.textContent = said.detail;
    show("ended");
    return;
  }
  if (!answer.ok) throw new Error(said.detail);
  learn(said);
  tabs.postMessage(said);
}

async function ask() {
  // Until the answer is here, or if none comes.
  plan(ask, RETRY);
  try {
    await request(dialog.dataset.status);
  } catch {
    // The next try may reach the server.
  }
}

function askIfDue() {
  if (document.visibilityState === "visible" && untilWarning() <= 0) ask();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  failed.hidden = true;
  try {
    await request(form.action, {
      method: "POST",
      headers: { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value },
    });
  } catch {
    failed.hidden = false;
  }
});
dialog.querySelector("[data-close]").addEventListener("click", () => {
  dismissed = true;
  dialog.close();
});
dialog.addEventListener("cancel", () => {
  dismissed = true;
});
dialog.querySelector("[data-again]").addEventListener("click", (event) => {
  event.preventDefault();
  location.reload();
});
tabs.addEventListener("message", (message) => learn(message.data));
document.addEventListener("visibilitychange", askIfDue);
addEventListener("pageshow", askIfDue);

plan(ask, untilWarning());
