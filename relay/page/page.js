/* The status page: asks the relay that served it, and shows what it says. Everything that comes from there is put into text
 * nodes: keys, payloads and errors may hold anything. */
"use strict";

const LOOK_MS = 1000;
const LOOK_HIDDEN_MS = 15000;
const PATIENCE_MS = 8000;
const SAMPLES = 300; /* of the charts, about one a second */
const SVG = "http://www.w3.org/2000/svg";
const KINDS = { postgres: "PostgreSQL", mysql: "MariaDB / MySQL" };

const $ = (id) => document.getElementById(id);

/* ---- texts ------------------------------------------------------------------------------------------------ */

function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "on") node.addEventListener("click", value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

function rateText(rate) {
  return rate === null ? "–" : rate > 0 && rate < 10 ? rate.toFixed(1) : whole.format(rate);
}

function countText(count, exact) {
  if (count === null || count === undefined) return "–";
  return exact === false ? "> 1,000,000" : whole.format(count);
}

function age(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min";
  if (s < 172800) return Math.floor(s / 3600) + " h";
  return Math.floor(s / 86400) + " d";
}

function bytes(count) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) {
    count /= 1024;
    unit++;
  }
  return (unit === 0 ? count : count.toFixed(1)) + " " + units[unit];
}

function milliseconds(us) {
  const ms = us / 1000;
  if (ms < 10) return ms.toFixed(1) + " ms";
  if (ms < 1000) return Math.round(ms) + " ms";
  return ms < 10000 ? (ms / 1000).toFixed(1) + " s" : age(ms / 1000);
}

const plural = (count, word) => whole.format(count) + " " + word + (count === 1 ? "" : "s");

const clockTime = (iso) => new Date(iso).toLocaleTimeString("en-GB");

/* Seconds since a time of the relay's or the database's clock. */
let ahead = 0; /* how far the relay's clock is before this one's, in ms */
const since = (iso) => (Date.now() + ahead - Date.parse(iso)) / 1000;

/* ---- asking ----------------------------------------------------------------------------------------------- */

class Refused extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

async function ask(path, options) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), PATIENCE_MS * (options ? 4 : 1));
  try {
    const answer = await fetch(path, { cache: "no-store", signal: stop.signal, ...options });
    const body = await answer.text();
    let json = null;
    try {
      json = JSON.parse(body);
    } catch {
      if (answer.ok) throw new Refused(0, "the relay's answer cannot be read");
    }
    if (!answer.ok) throw new Refused(answer.status, (json && json.error) || body.trim() || answer.statusText);
    return json;
  } finally {
    clearTimeout(timer);
  }
}

/* Calls `work` again and again, one at a time; less often while nobody can see the page. */
function repeat(work, everyMs) {
  let timer = 0;
  let busy = false;
  let again = false;
  const turn = async () => {
    clearTimeout(timer);
    again = busy;
    if (busy) return;
    busy = true;
    await work();
    busy = false;
    timer = setTimeout(turn, again ? 0 : document.hidden ? LOOK_HIDDEN_MS : everyMs);
  };
  document.addEventListener("visibilitychange", () => document.hidden || turn());
  turn();
  return turn;
}

/* ---- charts ----------------------------------------------------------------------------------------------- */

function shape(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/* "2.7 / 7.4 ms": a unit that both have is written once. */
function joined(words) {
  const units = words.map((word) => word.split(" ")[1]);
  if (words.length === 2 && units[0] === units[1]) words = [words[0].split(" ")[0], words[1]];
  return words[0] === words[1] ? words[0] : words.join(" / ");
}

/* Curves of the last minutes. Each sample is [ms, value, …], a value null where there was none. */
class Chart {
  constructor(title, curves, format, names) {
    this.title = title;
    this.curves = curves;
    this.format = format;
    this.names = names;
    this.samples = [];
    this.at = null;
    this.now = make("b", {}, "–");
    this.top = make("span", {}, "");
    this.left = make("span", {}, "");
    this.svg = shape("svg", { viewBox: "0 0 300 56", preserveAspectRatio: "none", role: "img" });
    this.svg.append(shape("path", { class: "axis", d: "M0 55.5H300" }));
    this.areas = curves.map((name, i) => (i === 0 ? this.path("area " + name) : null));
    this.lines = curves.map((name) => this.path("curve " + name));
    this.mark = this.path("mark");
    this.svg.addEventListener("pointermove", (event) => this.look(event));
    this.svg.addEventListener("pointerleave", () => this.look(null));
    this.node = make("div", { class: "chart" },
      make("div", { class: "chart-head" }, make("span", {}, title), this.now),
      this.svg,
      make("div", { class: "chart-foot" }, this.left,
        names ? make("span", { class: "keys" }, ...names.map((name, i) => make("span", { class: "mark-of " + curves[i] }, name))) : null,
        this.top));
  }

  path(name) {
    const node = shape("path", { class: name });
    this.svg.append(node);
    return node;
  }

  look(event) {
    this.at = null;
    if (event && this.samples.length > 1) {
      const box = this.svg.getBoundingClientRect();
      const first = this.samples[0][0];
      const wanted = first + ((event.clientX - box.left) / box.width) * (this.last() - first);
      this.at = this.samples.reduce((best, sample) => (Math.abs(sample[0] - wanted) < Math.abs(best[0] - wanted) ? sample : best));
    }
    this.draw();
  }

  last() {
    return this.samples[this.samples.length - 1][0];
  }

  add(sample) {
    this.samples.push(sample);
    if (this.samples.length > SAMPLES) this.samples.shift();
    if (!document.hidden) this.draw();
  }

  draw() {
    if (this.samples.length === 0) return;
    const first = this.samples[0][0];
    const span = Math.max(this.last() - first, 1);
    const values = this.samples.flatMap((sample) => sample.slice(1)).filter((value) => value !== null);
    const max = Math.max(...values, 0);
    const x = (ms) => (((ms - first) / span) * 300).toFixed(1);
    const y = (value) => (55 - (max > 0 ? value / max : 0) * 52).toFixed(1);
    this.curves.forEach((_, i) => this.curve(i + 1, x, y));
    this.mark.setAttribute("d", this.at ? "M" + x(this.at[0]) + " 0V56" : "");
    this.label(this.at || this.samples[this.samples.length - 1], max, span);
  }

  curve(column, x, y) {
    let line = "";
    let area = "";
    let run = [];
    const end = () => {
      if (run.length > 0) {
        const points = run.map(([ms, value]) => x(ms) + " " + y(value)).join("L");
        line += "M" + points + (run.length === 1 ? "h1" : "");
        area += "M" + x(run[0][0]) + " 55L" + points + "L" + x(run[run.length - 1][0]) + " 55Z";
      }
      run = [];
    };
    for (const sample of this.samples) {
      if (sample[column] === null) end();
      else run.push([sample[0], sample[column]]);
    }
    end();
    this.lines[column - 1].setAttribute("d", line);
    if (this.areas[column - 1]) this.areas[column - 1].setAttribute("d", area);
  }

  label(sample, max, span) {
    const shown = sample.slice(1).map((value) => (value === null ? "–" : this.format(value)));
    const words = joined(shown);
    text(this.now, words);
    text(this.top, max > 0 ? "max " + this.format(max) : "");
    text(this.left, this.at ? age((this.last() - this.at[0]) / 1000) + " ago" : this.names ? "" : age(span / 1000) + " ago");
    this.svg.setAttribute("aria-label", this.title + ": " + words + "; at most " + this.format(max) + " in the last " + age(span / 1000));
  }
}

/* The time below which `part` of what was counted between two histograms lies; null: nothing was counted. */
function quantile(before, after, bounds, part) {
  const counts = after.map((count, i) => count - (before[i] || 0));
  const sum = counts.reduce((a, b) => a + b, 0);
  if (sum <= 0) return null;
  let rest = sum * part;
  for (let i = 0; i < counts.length; i++) {
    if (rest <= counts[i]) {
      const low = i === 0 ? 0 : bounds[i - 1];
      const high = i < bounds.length ? bounds[i] : low;
      return low + (high - low) * (counts[i] > 0 ? rest / counts[i] : 0);
    }
    rest -= counts[i];
  }
  return bounds[bounds.length - 1];
}

/* ---- sources ---------------------------------------------------------------------------------------------- */

const PAUSES = {
  broker: "No broker", blocked: "Broker takes nothing", degraded: "Broker refuses", undeletable: "Cannot delete", held_max: "Too many held",
};

/* [class, word, why]: of the worker in this process. */
function stateOf(source) {
  const live = source.live;
  if (!live) return ["calm", "Starting", ""];
  if (live.stuck) return ["bad", "Hangs", "Its thread does not come back from its work."];
  if (live.draining) return ["calm", "Draining", ""];
  if (live.state === "standby") return ["calm", "Stands by", ""];
  if (live.state === "lost") return ["bad", "Database away", live.state_reason];
  if (live.state === "starting") return live.state_reason ? ["bad", "Database away", live.state_reason] : ["calm", "Starting", ""];
  if (live.pause !== "none") return ["bad", PAUSES[live.pause] || "Paused", live.pause_reason];
  if (live.limited) return ["calm", "Limited", live.pause_reason];
  return live.in_flight > 0 || live.rate > 0 ? ["good", "Publishing", ""] : ["good", "Idle", ""];
}

const heldSum = (held) => held.scheduled + held.retrying + held.waiting + held.dead;

class Card {
  constructor(source) {
    this.name = source.source;
    this.pill = make("span", { class: "pill" });
    this.kind = make("p", { class: "muted" });
    this.rate = make("b", {}, "–");
    this.pending = make("b", {}, "–");
    this.flight = make("b", {}, "–");
    this.held = make("b", {}, "–");
    this.problem = make("p", { class: "note bad", hidden: true });
    this.warning = make("p", { class: "note warn", hidden: true });
    this.facts = make("dl", { class: "facts" });
    this.charts = [
      new Chart("messages/s", ["rate"], rateText),
      new Chart("latency", ["middle", "slow"], milliseconds, ["p50", "p99"]),
      new Chart("pending", ["waits"], (value) => whole.format(value)),
    ];
    this.before = null;
    const title = make("h3", { id: "source-" + this.name }, this.name);
    const figure = (label, node) => make("div", {}, node, make("span", { class: "label" }, label));
    this.node = make("article", { class: "card", "data-source": this.name, "aria-label": "Source " + this.name },
      make("div", { class: "card-head" }, make("div", {}, title, this.kind), this.pill),
      make("div", { class: "figures" }, figure("messages/s", this.rate), figure("pending", this.pending),
        figure("in flight", this.flight), figure("held", this.held)),
      this.problem, this.warning,
      make("div", { class: "charts" }, ...this.charts.map((chart) => chart.node)),
      this.facts);
  }

  show(source, bounds, now) {
    const [look, word, why] = stateOf(source);
    const status = source.status;
    const live = source.live;
    this.node.setAttribute("data-state", word);
    this.pill.className = "pill " + look;
    text(this.pill, word);
    text(this.kind, (KINDS[source.kind] || source.kind) + " to broker " + source.broker);
    text(this.rate, live ? rateText(live.rate) : "–");
    text(this.flight, live ? countText(live.in_flight) : "–");
    text(this.pending, status ? countText(status.pending, status.pending_exact) : "–");
    text(this.held, status ? countText(heldSum(status.held)) : "–");
    this.held.className = status && status.held.dead > 0 ? "alarm" : "";
    this.note(this.problem, why ? why + (live && live.for_s !== null ? " (for " + age(live.for_s) + ")" : "") : "");
    this.note(this.warning, this.warnings(source));
    this.tell(source);
    this.sample(source, bounds, now);
  }

  note(node, words) {
    node.hidden = words === "";
    text(node, words);
  }

  warnings(source) {
    return source.error ? "The database does not answer: " + source.error +
      (source.status ? ". Pending, held and log are as of " + age(source.status_age_s) + " ago." : "") : "";
  }

  tell(source) {
    const rows = [];
    const status = source.status;
    const live = source.live;
    if (status) {
      rows.push(["Oldest pending", status.oldest_at ? age((Date.parse(status.now) - Date.parse(status.oldest_at)) / 1000) : "none"]);
      const held = Object.entries(status.held).filter(([, count]) => count > 0).map(([state, count]) => whole.format(count) + " " + state);
      if (held.length > 0) rows.push(["Held", held.join(", ")]);
      if (status.slot) {
        const kept = status.slot.retained_bytes;
        rows.push(["Log kept back", kept === null ? "lost: the server has removed what was needed"
          : bytes(kept) + " by " + status.slot.name + (status.slot.active ? "" : ", which nobody reads")]);
      }
      rows.push(["Owner", this.owner(status)]);
      if (status.standbys.length > 0) rows.push(["Stand-bys", String(status.standbys.length)]);
    }
    if (live) {
      rows.push(["Connected to", live.broker_hosts.map((host) => host || "none").join(", ")]);
      rows.push(["Reads", live.tailing ? "the log" : "the table" + (live.not_tailing_reason ? ": " + live.not_tailing_reason : "")]);
      rows.push(["Since the start", plural(live.confirmed, "message") + " confirmed" + (live.refused > 0 ? ", " + whole.format(live.refused) + " refused" : "")]);
    }
    const wanted = rows.flat();
    if (this.facts.children.length !== wanted.length) {
      this.facts.replaceChildren(...wanted.map((_, i) => make(i % 2 === 0 ? "dt" : "dd")));
    }
    wanted.forEach((words, i) => text(this.facts.children[i], words));
  }

  owner(status) {
    if (!status.owner) return "none: nothing is sent";
    const relay = status.relay;
    if (!relay || !relay.current) return "session " + status.owner.session;
    return "process " + relay.pid + " on " + relay.host + (relay.owned_since ? ", for " + age(since(relay.owned_since)) : "");
  }

  sample(source, bounds, now) {
    const live = source.live;
    const before = this.before;
    const pending = source.status && !source.error ? source.status.pending : null;
    this.charts[0].add([now, live ? live.rate : null]);
    if (live) {
      const part = (p) => (before ? quantile(before, live.delivery, bounds, p) : null);
      this.charts[1].add([now, part(0.5), part(0.99)]);
      this.before = live.delivery;
    }
    this.charts[2].add([now, pending]);
  }
}

const cards = new Map();

function showSources(status, now) {
  const names = new Set(status.sources.map((source) => source.source));
  for (const [name, card] of cards) {
    if (!names.has(name)) {
      card.node.remove();
      cards.delete(name);
    }
  }
  for (const source of status.sources) {
    if (!cards.has(source.source)) {
      const card = new Card(source);
      cards.set(source.source, card);
      $("cards").append(card.node);
    }
    cards.get(source.source).show(source, status.latency_bounds_us, now);
  }
  showChoices([...names]);
}

function showChoices(names) {
  const select = $("filter-source");
  const now = [...select.options].slice(1).map((option) => option.value);
  if (now.join("\n") === names.join("\n")) return;
  const chosen = select.value;
  select.replaceChildren(make("option", { value: "" }, "all"), ...names.map((name) => make("option", { value: name }, name)));
  select.value = names.includes(chosen) ? chosen : "";
}

function showTotals(sources) {
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const known = sources.filter((source) => source.status);
  const exact = known.every((source) => source.status.pending_exact) ? undefined : false;
  const good = sources.filter((source) => ["good", "calm"].includes(stateOf(source)[0])).length;
  text($("total-rate"), rateText(sum(sources.map((source) => (source.live ? source.live.rate : 0)))));
  text($("total-pending"), known.length > 0 ? countText(sum(known.map((source) => source.status.pending)), exact) : "–");
  text($("total-held"), known.length > 0 ? countText(sum(known.map((source) => heldSum(source.status.held)))) : "–");
  text($("total-good"), good + " of " + sources.length);
}

/* ---- events ----------------------------------------------------------------------------------------------- */

const LOOKS = { error: "bad", warning: "warn", info: "calm" };
let lastEvent = 0;
let process = "";

function showEvents(events) {
  for (const event of events) {
    if (event.number <= lastEvent) continue;
    lastEvent = event.number;
    const words = [event.words, event.error].filter((part) => part).join(": ");
    $("event-list").prepend(make("li", {},
      make("time", { datetime: event.at, title: event.at }, clockTime(event.at)),
      make("div", {},
        make("div", { class: "what" },
          make("span", { class: "pill " + (LOOKS[event.level] || "calm") }, event.level),
          make("span", { class: "mono" }, event.event),
          event.source ? make("span", { class: "muted" }, event.source) : null),
        words ? make("p", {}, words) : null)));
  }
  while ($("event-list").children.length > 100) $("event-list").lastChild.remove();
}

/* ---- the whole status ------------------------------------------------------------------------------------- */

let heardMs = 0; /* when the relay answered last */
let heldOf = new Map(); /* of each source: how many are held, by state */
let mayChange = false;

function showProcess(status) {
  const words = status.host + ", process " + status.pid + ", version " + status.version;
  if (process !== status.host + status.pid) { /* another process counts its events anew */
    process = status.host + status.pid;
    lastEvent = 0;
    $("event-list").replaceChildren();
  }
  text($("process"), words);
  mayChange = status.may_change;
}

function showPulse() {
  const oldS = (Date.now() - heardMs) / 1000;
  const away = heardMs > 0 && oldS > (document.hidden ? 2 * LOOK_HIDDEN_MS : 4 * LOOK_MS) / 1000;
  $("pulse").dataset.state = heardMs === 0 ? "waiting" : away ? "away" : "live";
  text($("pulse-text"), heardMs === 0 ? "connecting" : away ? "no answer" : "live");
  $("stale").hidden = !away;
  document.body.classList.toggle("old", away);
  if (away) {
    text($("stale"), "The relay has not answered since " + new Date(heardMs).toLocaleTimeString("en-GB") + ", for " + age(oldS) +
      ". All figures on this page are from then.");
  }
}

async function lookAtStatus() {
  try {
    const status = await ask("api/status?after=" + lastEvent);
    heardMs = Date.now();
    ahead = Date.parse(status.now) - heardMs;
    showProcess(status);
    showSources(status, heardMs);
    showTotals(status.sources);
    heldOf = new Map(status.sources.filter((source) => source.status).map((source) => [source.source, source.status.held]));
    showEvents(status.events);
  } catch {
    /* said by showPulse */
  }
  showPulse();
}

/* ---- held messages ---------------------------------------------------------------------------------------- */

const PAGE = 50;
const rows = new Map(); /* of "source\nid": the row that shows it, and the message */
const chosen = new Set();
let matching = []; /* of each source: how many match, in all */
let wanted = PAGE;

const place = (message) => message.source + "\n" + message.id;
const countOf = (part) => (part.matching ? heldSum(part.matching) : 0);

function filterNow() {
  const filter = {};
  for (const name of ["state", "key", "reason"]) {
    const value = $("filter-" + name).value;
    if (value !== "") filter[name] = value;
  }
  return filter;
}

function heldQuery() {
  const query = new URLSearchParams(filterNow());
  if ($("filter-source").value !== "") query.set("source", $("filter-source").value);
  query.set("limit", Math.min(wanted, 500));
  if (Object.keys(filterNow()).length > 0) query.set("count", "true"); /* else the status has it */
  return "api/held?" + query;
}

const STATES = { retrying: "warn", dead: "bad", waiting: "calm", scheduled: "calm" };

function statePill(message) {
  return make("span", { class: "pill " + (STATES[message.state] || "calm") }, message.state + (message.skipped ? ", skipped" : ""));
}

function nextText(message) {
  if (message.state === "waiting" || message.state === "dead") return "–";
  if (!message.next_attempt_at) return "never";
  const left = -since(message.next_attempt_at);
  return left <= 0 ? "now" : "in " + age(Math.ceil(left));
}

function newRow(message) {
  const box = make("input", { type: "checkbox", "aria-label": "Select message " + message.id });
  const row = { message, box, state: make("td"), tried: make("td", { class: "number" }), next: make("td", { class: "next" }), reason: make("td", { class: "reason" }) };
  box.addEventListener("change", () => {
    if (box.checked) chosen.add(place(message));
    else chosen.delete(place(message));
    showActions();
  });
  row.node = make("tr", { "data-id": String(message.id) },
    make("td", { class: "check" }, box),
    make("td", {}, make("button", { type: "button", class: "open", on: () => openMessage(row.message) }, String(message.id)),
      make("span", { class: "of" }, message.source + (message.type ? " · " + message.type : ""))),
    row.state, make("td", { class: "key" }, message.key === null ? "–" : message.key), row.tried, row.next, row.reason);
  return row;
}

function showRow(row, message) {
  row.message = message;
  const state = message.state + message.skipped;
  if (row.shown !== state) {
    row.shown = state;
    row.state.replaceChildren(statePill(message));
  }
  text(row.tried, String(message.attempts));
  text(row.next, nextText(message));
  text(row.reason, message.last_error || (message.state === "waiting" ? "behind another message of its key" : "–"));
  row.box.checked = chosen.has(place(message));
}

function showHeld(answer) {
  const listed = new Set(answer.messages.map(place));
  for (const [name, row] of rows) {
    if (!listed.has(name)) {
      row.node.remove();
      rows.delete(name);
      chosen.delete(name);
    }
  }
  let after = null; /* rows stay where they are, so that focus and selection do */
  for (const message of answer.messages) {
    const name = place(message);
    if (!rows.has(name)) rows.set(name, newRow(message));
    const row = rows.get(name);
    showRow(row, message);
    const right = after === null ? $("rows").firstChild : after.nextSibling;
    if (right !== row.node) $("rows").insertBefore(row.node, right);
    after = row.node;
  }
  matching = answer.sources.map((part) => ({ source: part.source, matching: part.matching || heldOf.get(part.source) }));
  const failed = answer.sources.filter((part) => part.error);
  $("held-problem").hidden = failed.length === 0;
  text($("held-problem"), failed.map((part) => "Source " + part.source + " could not be asked: " + part.error).join(" "));
  $("held-table").hidden = answer.messages.length === 0;
  $("held-none").hidden = answer.messages.length > 0 || failed.length > 0;
  text($("held-none"), Object.keys(filterNow()).length > 0 ? "No held message matches." : "Nothing is held.");
  $("more").hidden = !answer.sources.some((part) => part.more) || wanted >= 500;
  showActions();
}

function showActions() {
  const all = matching.reduce((sum, part) => sum + countOf(part), 0);
  const what = chosen.size > 0 ? whole.format(chosen.size) + " selected" : all > 1 ? "all " + whole.format(all) : "";
  for (const name of ["retry", "discard"]) {
    $(name).disabled = chosen.size === 0 && all === 0;
    text($(name), (name === "retry" ? "Retry" : "Discard") + (what ? " " + what : ""));
  }
  $("check-all").checked = rows.size > 0 && chosen.size === rows.size;
  $("check-all").indeterminate = chosen.size > 0 && chosen.size < rows.size;
}

async function lookAtHeld() {
  const query = heldQuery();
  try {
    const answer = await ask(query);
    if (query === heldQuery()) showHeld(answer);
  } catch (error) {
    if (error instanceof Refused && error.status >= 400 && error.status < 500) {
      $("held-problem").hidden = false;
      text($("held-problem"), error.message);
    }
  }
}

/* ---- one message ------------------------------------------------------------------------------------------ */

let opened = null;

function fact(name, value) {
  return value === null || value === undefined ? [] : [make("dt", {}, name), make("dd", {}, value)];
}

const timeText = (iso) => (iso ? new Date(iso).toLocaleString("sv-SE") + " (" + (since(iso) < 0 ? "in " + age(-since(iso)) : age(since(iso)) + " ago") + ")" : null);

function payloadText(message) {
  if (message.payload !== undefined) return message.payload === "" ? "(empty)" : message.payload;
  return message.payload_base64;
}

function payloadTitle(message) {
  const words = "Payload, " + plural(message.payload_bytes, "byte") + (message.payload === undefined ? ", not text: in base64" : "");
  return message.payload_cut ? words + "; only the beginning is shown" : words;
}

function wholeMessage(message) {
  const behind = message.waits_behind;
  const facts = make("dl", { class: "facts" },
    ...fact("Source", message.source), ...fact("State", statePill(message)), ...fact("Last answer", message.last_error),
    ...fact("Waits behind", behind ? "id " + behind.id + ", which is " + behind.state + (behind.last_error ? ": " + behind.last_error : "") : null),
    ...fact("Behind it", message.waiting_behind > 0 ? plural(message.waiting_behind, "message") + " of its key" : null),
    ...fact("Tried", plural(message.attempts, "time")), ...fact("Next attempt", timeText(message.next_attempt_at)),
    ...fact("Key", message.key), ...fact("Type", message.type), ...fact("Exchange", message.exchange === "" ? "(the broker's default)" : message.exchange),
    ...fact("Routing key", message.routing_key), ...fact("Content type", message.content_type), ...fact("Message id", message.message_id),
    ...fact("Held since", timeText(message.held_at)), ...fact("Written", timeText(message.created_at)),
    ...message.acts.flatMap((act) => fact("Act", act.what + " by " + act.who + ", " + timeText(act.at))));
  return [facts,
    ...(message.headers ? [make("h3", {}, "Headers"), make("pre", { tabindex: "0" }, typeof message.headers === "string" ? message.headers : JSON.stringify(message.headers, null, 2))] : []),
    make("h3", {}, payloadTitle(message)), make("pre", { tabindex: "0", id: "payload" }, payloadText(message))];
}

async function openMessage(message) {
  opened = message;
  text($("message-title"), "Message " + message.id);
  $("message-body").replaceChildren(make("p", { class: "muted" }, "asking the database"));
  if (!$("message").open) $("message").showModal();
  try {
    const found = await ask("api/held/" + message.id + "?source=" + encodeURIComponent(message.source));
    $("message-body").replaceChildren(...found.flatMap(wholeMessage));
  } catch (error) {
    $("message-body").replaceChildren(make("p", { class: "problem" }, error.message));
  }
}

/* ---- acts ------------------------------------------------------------------------------------------------- */

function toast(words, look) {
  const node = make("div", { class: "toast " + look }, words);
  $("toasts").append(node);
  setTimeout(() => node.remove(), look === "bad" ? 15000 : 8000);
}

/* A name of its own for each act: if it reaches the relay twice, it is done once. */
function newName() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function closed(dialog) {
  return new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
}

async function askForToken(words) {
  text($("token-text"), words);
  $("token-value").value = "";
  $("token-name").value = sessionStorage.getItem("name") || "";
  $("token").returnValue = "";
  $("token").showModal();
  $("token-value").focus();
  await closed($("token"));
  if ($("token").returnValue !== "go") return false;
  sessionStorage.setItem("token", $("token-value").value);
  sessionStorage.setItem("name", $("token-name").value);
  return true;
}

const TOKEN_WORDS = "To change something the relay needs the token of its token_file. It is kept until this tab is closed.";

async function send(what, body) {
  let words = TOKEN_WORDS;
  for (;;) {
    if (!sessionStorage.getItem("token") && !(await askForToken(words))) return null;
    const headers = { "Content-Type": "application/json", Authorization: "Bearer " + sessionStorage.getItem("token") };
    const name = sessionStorage.getItem("name");
    if (name) headers["Outbox-Who"] = encodeURIComponent(name);
    try {
      return await ask("api/held/" + what, { method: "POST", headers, body: JSON.stringify(body) });
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 401) throw error;
      sessionStorage.removeItem("token");
      words = "The relay does not know this token. " + TOKEN_WORDS;
    }
  }
}

/* What is sent: of each source ids, or a filter with how many it matches. */
function bodies(messages) {
  const request = newName();
  if (messages === null) {
    return matching.filter((part) => countOf(part) > 0)
      .map((part) => ({ source: part.source, filter: filterNow(), count: countOf(part), request }));
  }
  const sources = [...new Set(messages.map((message) => message.source))];
  return sources.map((source) => ({ source, ids: messages.filter((message) => message.source === source).map((message) => message.id), request }));
}

async function carryOut(what, list) {
  for (const body of list) {
    try {
      const answer = await send(what, body);
      if (answer === null) return;
      const words = answer.refused || answer.text.join(" ");
      toast((list.length > 1 ? body.source + ": " : "") + words, answer.refused ? "warn" : "good");
    } catch (error) {
      toast(body.source + ": " + (error instanceof Refused ? error.message : "the relay did not answer; nothing is known to be done. Look again."), "bad");
    }
  }
  chosen.clear();
  lookHeldNow();
}

/* messages null: all that match. */
async function act(what, messages) {
  const list = bodies(messages);
  const count = list.reduce((sum, body) => sum + (body.ids ? body.ids.length : body.count), 0);
  const named = messages || [];
  if (!mayChange) {
    toast("The relay's configuration has no token_file, so nothing can be changed over HTTP.", "warn");
    return;
  }
  const later = messages === null ? matching.reduce((sum, part) => sum + (part.matching ? part.matching.scheduled : 0), 0)
    : messages.filter((message) => message.state === "scheduled").length;
  text($("confirm-title"), (what === "retry" ? "Retry " : "Discard ") + plural(count, "message") + (what === "retry" ? " now?" : " for ever?"));
  text($("confirm-text"), what === "retry"
    ? "They are tried again at once. Those that wait behind another of their key stay, and go after it." +
      (later > 0 ? " " + plural(later, "scheduled message") + (later === 1 ? " goes" : " go") + " now, before " + (later === 1 ? "its" : "their") + " time." : "")
    : "They are deleted and never sent. Where others of a key wait behind one of them, these go next.");
  $("confirm-list").replaceChildren(...list.filter((body) => body.count).map((body) => make("li", {}, "source " + body.source + ": " + plural(body.count, "message"))),
    ...named.slice(0, 6).map((message) => make("li", {}, "id " + message.id + (message.key === null ? "" : ", key " + message.key))),
    ...(named.length > 6 ? [make("li", {}, "and " + (named.length - 6) + " more")] : []));
  text($("confirm-yes"), what === "retry" ? "Retry" : "Discard");
  $("confirm-yes").className = "button " + (what === "retry" ? "primary" : "danger sure");
  $("confirm-yes").disabled = false;
  $("confirm").returnValue = "";
  $("confirm").showModal();
  await closed($("confirm"));
  if ($("confirm").returnValue === "yes") await carryOut(what, list);
}

const selected = () => (chosen.size > 0 ? [...chosen].map((name) => rows.get(name).message) : null);

/* ---- explain ---------------------------------------------------------------------------------------------- */

async function explain(id) {
  const box = $("story");
  box.replaceChildren(make("p", { class: "muted" }, "asking the databases"));
  try {
    const answer = await ask("api/explain?id=" + encodeURIComponent(id));
    box.replaceChildren(...answer.stories.map((story) => make("div", {},
      make("h3", {}, make("span", {}, story.id === undefined ? "Message " + id : "id " + story.id + " in " + story.source),
        make("span", { class: "pill " + (STATES[story.where] || (story.where === "sent" ? "good" : "calm")) }, story.where.replace("_", " "))),
      ...story.text.map((sentence) => make("p", {}, sentence)))),
    ...answer.errors.map((part) => make("p", { class: "problem" }, "Source " + part.source + ": " + part.error)));
  } catch (error) {
    box.replaceChildren(make("p", { class: "problem" }, error instanceof Refused ? error.message : "the relay did not answer"));
  }
}

/* ---- start ------------------------------------------------------------------------------------------------ */

for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close(""));
}
$("confirm-yes").addEventListener("click", () => {
  $("confirm-yes").disabled = true; /* a second click finds nothing to do */
  $("confirm").close("yes");
});
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  $("token").close("go");
});
$("retry").addEventListener("click", () => act("retry", selected()));
$("discard").addEventListener("click", () => act("discard", selected()));
for (const what of ["retry", "discard"]) {
  $("message-" + what).addEventListener("click", () => {
    $("message").close("");
    act(what, [opened]);
  });
}
$("check-all").addEventListener("change", () => {
  chosen.clear();
  if ($("check-all").checked) for (const name of rows.keys()) chosen.add(name);
  for (const [name, row] of rows) row.box.checked = chosen.has(name);
  showActions();
});
$("more").addEventListener("click", () => {
  wanted = Math.min(wanted + PAGE, 500);
  lookHeldNow();
});
$("filter").addEventListener("input", () => {
  wanted = PAGE;
  chosen.clear();
  lookHeldNow();
});
$("filter").addEventListener("submit", (event) => event.preventDefault());
$("explain-form").addEventListener("submit", (event) => {
  event.preventDefault();
  explain($("explain-id").value.trim());
});

repeat(lookAtStatus, LOOK_MS);
const lookHeldNow = repeat(lookAtHeld, 2 * LOOK_MS);
setInterval(showPulse, LOOK_MS);
