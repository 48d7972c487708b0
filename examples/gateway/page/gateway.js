// The page: orders a sweep, follows it by server-sent events, draws what arrives.

import { Plot } from "./plot.js";

const byId = (id) => document.getElementById(id);
const plot = new Plot(byId("plot"));
let sweep = null; // the one that is shown
let columns = new Map(); // the outcomes of its tasks, by column
let arrivals = []; // times of the last arrivals, in milliseconds
let begun = Infinity; // time of the first arrival
let busy = false; // whether a sweep is running
let live = false; // whether the stream is connected

function showProgress() {
  const done = columns.size;
  const failed = [...columns.values()].filter((each) => each.error).length;
  byId("bar").max = sweep?.columns ?? 1;
  byId("bar").value = done;
  byId("done").textContent = done;
  byId("total").textContent = sweep?.columns ?? 0;
  byId("failed").textContent = failed;
  byId("failed").toggleAttribute("data-some", failed > 0);
  byId("start").disabled = busy;
  byId("start").textContent = busy ? "Running…" : "Start the sweep";
  byId("hint").hidden = sweep !== null;
  document.title = busy ? `${done} of ${sweep.columns} · Parameter sweep` : "Parameter sweep";
}

function showTime() {
  const now = Date.now();
  arrivals = arrivals.filter((time) => time > now - 5000);
  const rate = arrivals.length / Math.min(5, Math.max(0.5, (now - begun) / 1000));
  const known = busy && live && rate > 0;
  byId("rate").textContent = known ? rate.toFixed(1) : "–";
  byId("clock-name").textContent = busy ? "Left, about" : "Elapsed";
  const left = known ? (sweep.columns - columns.size) / rate : null;
  const elapsed = sweep?.ended ? sweep.ended - sweep.ordered : null;
  byId("clock").textContent = inWords(busy ? left : elapsed);
}

function inWords(seconds) {
  if (seconds === null) return "–";
  const whole = Math.max(1, Math.round(seconds));
  return whole < 90 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

function light(id, words, state) {
  byId(id).textContent = words;
  byId(id).dataset.state = state;
}

// The browser reconnects by itself and sends the id of the last event.

const source = new EventSource("events");
source.onopen = () => showStream(true);
source.onerror = () => showStream(false);

function showStream(open) {
  live = open;
  light("stream", open ? "live" : "reconnecting", open ? "good" : "bad");
  showTime();
}

source.addEventListener("sweep", (event) => {
  sweep = JSON.parse(event.data);
  columns = new Map();
  arrivals = [];
  begun = Infinity;
  showWhy("");
  plot.begin(sweep);
  showProgress();
});

source.addEventListener("column", (event) => {
  const outcome = JSON.parse(event.data);
  columns.set(outcome.column, outcome);
  const arrived = Math.min(Date.now(), 1000 * outcome.at);
  arrivals.push(arrived);
  begun = Math.min(begun, arrived);
  if (outcome.error) showWhy(outcome.error);
  if (columns.size === sweep.columns) sweep.ended = outcome.at;
  plot.add(outcome);
  showProgress();
});

source.addEventListener("state", (event) => {
  const state = JSON.parse(event.data);
  busy = state.busy;
  byId("message").textContent = state.trouble;
  showProgress();
  showTime();
});

function showWhy(error) {
  byId("why").textContent = error;
  byId("why").hidden = error === "";
}

// Starting a sweep.

byId("order").addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(event.target));
  const order = Object.fromEntries(Object.entries(fields).map(([name, text]) => [name, Number(text)]));
  try {
    const answer = await fetch("sweeps", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(order),
    });
    const document = await answer.json();
    byId("message").textContent = answer.ok ? "" : String(document.detail?.[0]?.msg ?? document.detail);
  } catch {
    byId("message").textContent = "The gateway does not respond. Is it running?";
  }
});

// Health.

async function showHealth() {
  try {
    const told = await (await fetch("readyz")).json();
    light("service", `funcX service ${told.service}`, told.service === "reachable" ? "good" : "bad");
    light("endpoint", `endpoint ${told.endpoint}`, told.endpoint === "online" ? "good" : "bad");
    const state = { connected: "good", idle: "away", polling: "away" }[told.results] ?? "bad";
    light("results", `results ${told.results}`, state);
    byId("detail").textContent = told.detail ?? "";
  } catch {
    for (const id of ["service", "endpoint", "results"]) light(id, `${id} unknown`, "away");
  }
}

showHealth();
showProgress();
setInterval(showHealth, 5000);
setInterval(showTime, 500);
