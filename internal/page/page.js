"use strict";

const interval = 1000; // ms between updates
const rows = 200; // services or real servers that are shown at first
const cards = 24; // virtual routers that are shown at first
const maxEvents = 100;
const alarming = ["bad", "down", "refused", "seen", "out of service"]; // what an event has changed to

const $ = (id) => document.getElementById(id);
let overview = null;
let limit = rows;
let cardLimit = cards;
const open = new Map(); // name of a service -> {state, limit}

// element returns an element with text and children. Text never becomes HTML.
function element(tag, properties, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name === "class") e.className = value;
    else if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else e.setAttribute(name, value);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
  return e;
}

// update makes the children of parent those in wanted. It keeps elements whose content is the same, and parts of the element
// with the focus, so that focus and selection stay.
function update(parent, wanted) {
  wanted.forEach((e, i) => {
    const old = parent.children[i];
    if (!old) parent.append(e);
    else if (!old.isEqualNode(e)) {
      if (e.dataset.key && old.dataset.key === e.dataset.key && old.contains(document.activeElement)) {
        old.className = e.className;
        update(old, [...e.children]);
      } else old.replaceWith(e);
    }
  });
  while (parent.children.length > wanted.length) parent.lastElementChild.remove();
}

function ago(time, now) {
  if (!time) return "";
  let s = Math.max(0, (new Date(now) - new Date(time)) / 1000);
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["m", 60]]) {
    if (s >= 2 * length) return Math.floor(s / length) + " " + unit;
  }
  return Math.floor(s) + " s";
}

function amount(n, unit = "") {
  for (const [prefix, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (n >= size) return (n / size).toFixed(n >= 10 * size ? 0 : 1) + " " + prefix + unit;
  }
  return n + (unit && " " + unit);
}

async function get(path) {
  const response = await fetch(path, { cache: "no-store" });
  const body = await response.json();
  if (!response.ok) throw new Error(body.error || response.statusText);
  return body;
}

async function post(path, body) {
  const response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error || response.statusText);
  return answer;
}

function notice(text, good = false) {
  $("notice").textContent = text;
  $("notice").className = good ? "good" : "";
  $("notice").hidden = !text;
  clearTimeout(notice.timer);
  notice.timer = setTimeout(() => { $("notice").hidden = true; }, 8000);
}

// ask asks the operator, and returns the reason, or null if the answer is no.
function ask(question, withReason) {
  $("question").textContent = question;
  $("why").hidden = !withReason;
  $("reason").value = "";
  $("ask").returnValue = "no";
  $("ask").showModal();
  $(withReason ? "reason" : "yes").focus();
  return new Promise((done) => {
    $("ask").addEventListener("close", () => done($("ask").returnValue === "yes" ? $("reason").value : null), { once: true });
  });
}

async function order(question, act, withReason = false) {
  const reason = await ask(question, withReason);
  if (reason === null) return;
  try {
    notice(await act(reason), true);
    await refresh();
  } catch (e) {
    notice(e.message);
  }
}

function failover(name) {
  return order(`Hand ${name} over to the other director?`, async () => {
    const { instances } = await post("/v1/failover", { instances: [name] });
    return instances.map((i) => `${i.name}: ${i.outcome}`).join(", ");
  });
}

function undo(name) {
  return order(`End the failover of ${name}?`, async () => {
    const { instances } = await post("/v1/failover", { instances: [name], undo: true });
    return instances.map((i) => `${i.name}: ${i.outcome}`).join(", ");
  });
}

function override(action, service, server, words) {
  return order(`${words} ${server} of ${service}?`, async (reason) => {
    await post("/v1/override", { action, servers: [`${service}/${server}`], reason });
    return `${service}/${server}: ${action}`;
  }, true);
}

function showHead(o) {
  const grave = o.troubles.some((t) => t.grave);
  const count = o.troubles.length + (o.more_troubles || 0);
  $("node").textContent = o.node;
  $("verdict").textContent = count ? `${count} problem${count > 1 ? "s" : ""}` : "OK";
  $("verdict").className = "badge " + (count ? (grave ? "bad" : "warn") : "good");
  document.title = (count ? "! " : "") + o.node + " – lvs-ha";
  $("about").textContent = `lvs-ha ${o.version}, up ${ago(o.started, o.now)}; ${o.config.path} loaded ${ago(o.config.loaded, o.now)} ago` +
    (o.foreign_services ? `; ${o.foreign_services} foreign services in the kernel` : "");
}

function showTroubles(o) {
  $("troubles").hidden = o.troubles.length === 0;
  const list = o.troubles.map((t) => element("li", { class: t.grave ? "grave" : "" },
    element("strong", {}, t.what), ": " + t.text, t.since ? element("span", { class: "faint" }, ` for ${ago(t.since, o.now)}`) : ""));
  if (o.more_troubles) list.push(element("li", {}, `and ${o.more_troubles} more`));
  update($("troubles").querySelector("ul"), list);
}

// stories are the explanations that are shown, by instance.
const stories = new Map();

async function why(name) {
  if (!stories.delete(name)) {
    try {
      stories.set(name, await get(`/v1/explain?instance=${encodeURIComponent(name)}`));
    } catch (e) {
      notice(e.message);
    }
  }
  show();
}

// story is a transition as a time line.
function story(s) {
  const facts = [...s.seen, { time: s.time, text: `${s.from} → ${s.to}: ${s.rule}`, turn: true }, ...s.done];
  return element("div", { class: "story" },
    element("p", {}, element("strong", {}, s.cause), ": " + s.text),
    s.next ? element("p", {}, "next: " + s.next) : "",
    element("ol", {}, ...facts.map((f) => element("li", { class: f.turn ? "" : "faint" },
      element("time", { datetime: f.time }, new Date(f.time).toLocaleTimeString(undefined, { hour12: false, hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 })), element("span", {}, f.text)))));
}

function card(v, o) {
  const state = v.state.toLowerCase();
  const mood = { 2: "ill", 3: "grave" }[urgency(v)] || state;
  const tracks = (v.tracks || []).map((t) => element("p", { class: t.failed || t.effect ? "warn" : "faint" },
    `${t.kind === t.name ? t.kind : `${t.kind} ${t.name}`}: ${t.effect ? (t.effect === "offset" ? `priority ${t.offset > 0 ? "+" : ""}${t.offset}` : t.effect) : t.failed ? "failed" : "ok"}` +
    (t.reason ? ` (${t.reason})` : "")));
  const away = (v.tracks || []).some((t) => t.kind === "failover");
  const button = !o.may_write ? "" : away
    ? element("button", { type: "button", onclick: () => undo(v.name) }, "Undo failover")
    : v.state === "MASTER" ? element("button", { type: "button", onclick: () => failover(v.name) }, "Fail over") : "";
  return element("div", { class: `card ${mood}` + (stories.has(v.name) ? " open" : ""), "data-key": v.name },
    element("h3", {}, v.name, element("span", { class: "badge " + state }, v.state)),
    element("p", {}, `for ${ago(v.since, o.now)}: ${v.reason}`),
    element("p", {}, (v.addresses || []).join(", ")),
    element("p", { class: "faint" }, `${v.interface}, router ${v.virtual_router_id}, priority ${v.effective_priority}` +
      (v.effective_priority !== v.priority ? ` (of ${v.priority})` : "") + `, adverts every ${v.advertise_interval}` + (v.group ? `, group ${v.group}` : "")),
    v.state !== "MASTER" && v.master_address ? element("p", { class: "faint" }, `master: ${v.master_address}, priority ${v.master_priority}`) : "",
    ...tracks,
    ...(v.conflicts || []).map((c) => element("p", { class: "bad" }, `conflict: ${c.kind} ${c.address || c.router || ""} ${c.hardware || ""}`)),
    element("p", {}, button, button && " ", element("button", { type: "button", class: "why", "aria-expanded": String(stories.has(v.name)), onclick: () => why(v.name) }, "Why?")),
    stories.has(v.name) ? story(stories.get(v.name)) : "");
}

// urgency is higher for a virtual router that needs attention, and for a master.
function urgency(v) {
  if (v.state === "INITIALIZE" || (v.conflicts || []).length) return 3;
  if ((v.tracks || []).some((t) => t.failed || t.effect)) return 2;
  return v.state === "BACKUP" ? 0 : 1;
}

function showRouters(o) {
  const list = matching("routerfilter", o.vrrp, (v) => `${v.name} ${(v.addresses || []).join(" ")}`);
  list.sort((a, b) => urgency(b) - urgency(a));
  $("vrrp").hidden = o.vrrp.length === 0;
  const masters = o.vrrp.filter((v) => v.state === "MASTER").length;
  $("routers").hidden = o.vrrp.length <= cards;
  $("masters").textContent = `${masters} of ${o.vrrp.length} master`;
  update($("vrrp").querySelector(".cards"), list.slice(0, cardLimit).map((v) => card(v, o)));
  $("morerouters").hidden = list.length <= cardLimit;
  $("morerouters").textContent = `Show more of ${list.length - cardLimit}`;
}

// matching returns the elements of a list whose text contains what an input has.
function matching(input, list, text) {
  const word = $(input).value.trim().toLowerCase();
  return list.filter((e) => !word || text(e).toLowerCase().includes(word));
}

// illness is 0 for a healthy service, and higher the worse it is.
function illness(s) {
  return !s.present || s.quorum.state === "down" ? 3 : s.quorum.state !== "up" ? 2 : s.real_servers.down > 0 ? 1 : 0;
}

function serviceRow(s) {
  const c = s.real_servers;
  const state = !s.present ? "not in the kernel" : s.quorum.state === "down" ? "quorum lost" : s.quorum.state;
  const toggle = () => {
    if (open.has(s.name)) open.delete(s.name);
    else {
      open.set(s.name, { state: c.down ? "down" : "", limit: rows });
      refreshServers(s.name).then(show).catch(() => {}); // the next update may be long after
    }
    show();
  };
  return element("tr", { "data-key": s.name },
    element("td", {}, element("button", { type: "button", class: "link", "aria-expanded": String(open.has(s.name)), onclick: toggle }, s.name)),
    element("td", {}, s.address, element("span", { class: "faint" }, " " + s.scheduler)),
    element("td", { class: !s.present || s.quorum.state === "down" ? "bad" : s.quorum.state === "up" ? "good" : "warn" }, state),
    element("td", { class: "n" }, element("span", { class: c.down ? "bad" : "" }, `${c.up} of ${c.all} up`), c.overridden ? ` (${c.overridden} by order)` : ""),
    element("td", { class: "n" }, amount(c.active_connections)),
    element("td", { class: "n" }, amount(s.stats.connections_per_second)),
    element("td", { class: "n" }, amount(s.stats.in_bytes_per_second * 8, "bit/s")),
    element("td", { class: "n" }, amount(s.stats.out_bytes_per_second * 8, "bit/s")));
}

function serverRow(service, r) {
  const name = r.address.includes(":") ? `[${r.address}]:${r.port}` : `${r.address}:${r.port}`;
  const failing = (r.checks || []).filter((c) => c.state === r.state && c.detail).map((c) => `${c.kind}: ${c.detail}`);
  const o = r.override;
  const removed = r.reason === "removed";
  const why = (o ? `${o.action} by ${o.by || "an operator"}${o.reason ? `: ${o.reason}` : ""}` : r.state === "down" && failing.length ? failing.join("; ") : r.reason)
    + (r.leaving_until ? `; leaves the table at ${new Date(r.leaving_until).toLocaleTimeString()}` : "");
  const actions = !overview.may_write || removed ? "" : o
    ? element("button", { type: "button", onclick: () => override("enable", service, name, "Enable") }, "Enable")
    : element("span", {},
      element("button", { type: "button", onclick: () => override("drain", service, name, "Drain") }, "Drain"), " ",
      element("button", { type: "button", onclick: () => override("disable", service, name, "Disable, and cut all connections:") }, "Disable"));
  return element("tr", { "data-key": name },
    element("td", {}, name, r.sorry ? element("span", { class: "faint" }, " sorry") : ""),
    element("td", { class: r.state }, removed ? "leaving" : r.state),
    element("td", {}, removed ? "" : ago(r.since, overview.now)),
    element("td", { class: "n" }, r.kernel_weight === r.weight ? String(r.weight) : `${r.kernel_weight} (of ${r.weight})`),
    element("td", { class: "n" }, amount(r.active_connections)),
    element("td", { class: "n" }, amount(r.inactive_connections)),
    element("td", { class: "n" }, amount(r.stats.connections_per_second)),
    element("td", {}, why),
    element("td", { class: "actions" }, actions));
}

function serversRow(s) {
  const view = open.get(s.name);
  const choose = element("select", { "aria-label": `Real servers of ${s.name} to show`, onchange: (e) => { view.state = e.target.value; view.limit = rows; refreshServers(s.name).then(show); } },
    ...[["", "all"], ["up", "up"], ["down", "down"], ["unknown", "unknown"], ["override", "by order"]].map(([value, text]) =>
      element("option", value === view.state ? { value, selected: "" } : { value }, text)));
  const list = view.page ? [...view.page.real_servers, ...(view.page.leaving_servers || [])] : [];
  const rest = view.page ? view.page.total - view.page.real_servers.length : 0;
  return element("tr", { "data-key": s.name + " servers" }, element("td", { class: "inner", colspan: "8" },
    element("p", { class: "tools" }, choose, view.page ? `${view.page.total} real servers` : "…"),
    element("table", {}, element("thead", {}, element("tr", {},
      ...["Real server", "State", "Since"].map((t) => element("th", {}, t)),
      ...["Weight", "Active", "Inactive", "New/s"].map((t) => element("th", { class: "n" }, t)), element("th", {}, "Why"), element("th", {}))),
    element("tbody", {}, ...list.map((r) => serverRow(s.name, r)))),
    rest > 0 && view.limit < 1000 ? element("button", { type: "button", onclick: () => { view.limit = Math.min(1000, view.limit * 2); refreshServers(s.name).then(show); } }, `Show more of ${rest}`)
      : rest > 0 ? element("p", { class: "faint" }, `${rest} more: choose a state, or use lvs-ha status`) : ""));
}

function showServices(o) {
  $("services").hidden = o.services.length === 0;
  const ill = $("ill").checked;
  const list = matching("filter", o.services, (s) => `${s.name} ${s.address}`).filter((s) => !ill || illness(s));
  list.sort((a, b) => illness(b) - illness(a));
  $("shown").textContent = (list.length === o.services.length ? "" : `${list.length} of `) + `${o.services.length} service${o.services.length === 1 ? "" : "s"}`;
  const body = [];
  for (const s of list.slice(0, limit)) {
    body.push(serviceRow(s));
    if (open.has(s.name)) body.push(serversRow(s));
  }
  update($("services").querySelector("tbody"), body);
  $("more").hidden = list.length <= limit;
}

function show() {
  if (!overview) return;
  showHead(overview);
  showTroubles(overview);
  showRouters(overview);
  showServices(overview);
}

async function refreshServers(name) {
  const view = open.get(name);
  if (!view) return;
  view.page = await get(`/v1/services/${encodeURIComponent(name)}/real_servers?limit=${view.limit}&state=${view.state}`);
}

async function refresh() {
  const next = await get("/v1/overview");
  for (const name of open.keys()) {
    if (!next.services.some((s) => s.name === name)) open.delete(name);
  }
  await Promise.all([...open.keys()].map(refreshServers));
  overview = next;
  show();
}

async function keepRefreshing() {
  const began = performance.now();
  try {
    if (!document.hidden) await refresh();
  } catch (e) {
    $("verdict").textContent = "no answer";
    $("verdict").className = "badge bad";
    $("about").textContent = `${e.message}; last update: ${overview ? new Date(overview.now).toLocaleTimeString() : "never"}`;
  }
  // A slow director is asked less often: at most a tenth of the time.
  const took = performance.now() - began;
  setTimeout(keepRefreshing, Math.max(interval - took, 9 * Math.max(0, took - interval / 10), interval / 2));
}

function followEvents() {
  const list = $("events").querySelector("ol");
  const add = (message) => {
    const e = JSON.parse(message.data);
    const change = (e.from ? `${e.from} → ` : "") + (e.to || "");
    list.prepend(element("li", {}, element("time", { datetime: e.time }, new Date(e.time).toLocaleString("sv")), // 2026-01-31 23:59:59
      element("span", { class: alarming.includes(e.to) || e.to === "INITIALIZE" && e.from !== e.to && e.reason !== "resign-stop" ? "bad" : "" }, element("b", {}, `${e.kind} ${e.subject}`), `: ${change}`, e.reason ? ` (${e.reason})` : "", e.by ? ` by ${e.by}` : "")));
    while (list.children.length > maxEvents) list.lastElementChild.remove();
  };
  const source = new EventSource("/v1/events");
  for (const kind of ["vrrp", "server", "service", "override", "failover", "config", "problem", "discover", "track", "conflict", "lost"]) source.addEventListener(kind, add);
}

$("filter").addEventListener("input", () => { limit = rows; show(); });
$("routerfilter").addEventListener("input", () => { cardLimit = cards; show(); });
$("morerouters").addEventListener("click", () => { cardLimit *= 2; show(); });
$("ill").addEventListener("change", show);
$("more").addEventListener("click", () => { limit *= 2; show(); });
$("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
});
const theme = localStorage.getItem("theme");
if (theme) document.documentElement.dataset.theme = theme;
document.addEventListener("keydown", (e) => {
  if (e.key === "/" && document.activeElement.tagName !== "INPUT") {
    e.preventDefault();
    $("filter").focus();
  } else if (e.key === "Escape" && document.activeElement === $("filter")) {
    $("filter").value = "";
    $("filter").blur();
    show();
  }
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh().catch(() => {}); });
keepRefreshing();
followEvents();
