"use strict";
const PERIOD_MS = 2000, QUIET_MS = 10000, SHOWN = 20;
const at = id => document.getElementById(id);
let before = new Map(); // job id -> CPU seconds, when they were counted, their rate

function cell(row, content, kind) {
  const td = row.insertCell();
  if (kind) td.className = kind;
  td.append(content);
  if (kind === "job" || kind === "command") td.title = td.textContent;
}

function link(text, href) {
  const a = document.createElement("a");
  a.textContent = text;
  a.href = href;
  return a;
}

function fill(id, columns, items, nothing, write) {
  const body = at(id);
  body.replaceChildren();
  for (const item of items) write(body.insertRow(), item);
  if (items.length) return;
  const td = body.insertRow().insertCell();
  td.colSpan = columns;
  td.className = "nothing";
  td.textContent = nothing;
}

function duration(seconds) {
  seconds = Math.max(0, Math.round(seconds));
  if (seconds < 120) return seconds + " s";
  if (seconds < 7200) return Math.round(seconds / 60) + " min";
  if (seconds < 172800) return Math.round(seconds / 3600) + " h";
  return Math.round(seconds / 86400) + " days";
}

function whole(number) {
  return number.toLocaleString("en").replaceAll(",", "\u202f");
}

function sum(job) {
  return job.counters.reduce((all, one) => all + one.ctype.Counter.value, 0);
}

function isSum(job) {
  return job.desc.jobid === "main" || job.desc.jobid.startsWith("Node: ");
}

// Mean of a gauge of the whole node; "–" where the node does not tell it.
function percent(job) {
  const gauge = job.counters[0]?.ctype.Gauge;
  return gauge ? (gauge.total / gauge.hits).toFixed(0) + " %" : "–";
}

// From the proxy's own times: a reply may come any time between two of its samples.
function cpus(id, job, status) {
  const counted = Math.max(0, ...job.counters.map(one => one.ctype.Counter.ts ?? 0)) / 1e6;
  const last = before.get(id), now = {counted, seconds: sum(job), quiet: 0, rate: last?.rate};
  if (last && counted > last.counted)
    now.rate = (now.seconds - last.seconds) / (counted - last.counted);
  else if (last) now.quiet = last.quiet + PERIOD_MS;
  if (now.quiet > QUIET_MS + 2 * status.period) now.rate = 0;
  return now;
}

function showJobs(jobs, started, status) {
  const now = status.now, seen = new Map();
  const processes = new Map(started.map(job => [job.desc.jobid, sum(job)]));
  fill("jobs", 7, jobs, "No job is running. Start one: proxy_run -- COMMAND", (row, job) => {
    const id = job.desc.jobid, query = encodeURIComponent(id);
    seen.set(id, cpus(id, job, status));
    cell(row, link(id, "/job?job=" + query), "job");
    cell(row, job.desc.command, "command");
    cell(row, job.desc.size, "number wide");
    cell(row, processes.get(id) ?? "", "number wide");
    cell(row, seen.get(id).rate?.toFixed(2) ?? "", "number");
    cell(row, duration(now - job.desc.start_time), "number");
    cell(row, link("metrics", "/metrics?job=" + query), "number wide");
  });
  before = seen;
  at("running").textContent = whole(jobs.length);
}

function showProfiles(profiles, now) {
  profiles.sort((a, b) => b.end_time - a.end_time);
  fill("profiles", 5, profiles.slice(0, SHOWN), "No job has ended yet.", (row, desc) => {
    cell(row, link(desc.jobid, "/profiles/get?jobid=" + encodeURIComponent(desc.jobid)), "job");
    cell(row, desc.command, "command");
    cell(row, desc.size, "number wide");
    cell(row, duration(now - desc.end_time) + " ago", "number");
    cell(row, duration(desc.end_time - desc.start_time), "number wide");
  });
  at("more").hidden = profiles.length <= SHOWN;
  at("more").textContent = `and ${whole(profiles.length - SHOWN)} older ones`;
  at("stored").textContent = whole(profiles.length);
}

function showStatus(status) {
  document.title = status.host + " – mproxy";
  at("host").textContent = status.host;
  at("who").textContent = `mproxy ${status.version} at ${status.address}, ` +
    `up for ${duration(status.uptime)}, a sample every ${status.period} ms`;
  at("series").textContent = whole(status.series);
  say(status.trouble);
}

function say(trouble) {
  at("dot").className = trouble ? "bad" : "good";
  at("trouble").hidden = !trouble;
  at("trouble").textContent = trouble;
}

async function load(path) {
  const reply = await fetch(path);
  const data = await reply.json();
  if (!reply.ok) throw new Error(data.operation);
  data.now = Date.parse(reply.headers.get("Date")) / 1000; // the proxy's clock, not ours
  return data;
}

async function refresh() {
  try {
    const [status, jobs, started, cpu, memory, profiles] = await Promise.all([
      "/api/v1/status", "/job?metric=job_process_cpu_seconds_total", "/job?metric=has_started",
      "/job?job=main&metric=proxy_cpu_load_average_percent",
      "/job?job=main&metric=proxy_memory_used_percent", "/profiles"].map(load));
    showStatus(status);
    showJobs(jobs.filter(job => !isSum(job)), started, status);
    showProfiles(profiles, status.now);
    at("cpu").textContent = percent(cpu);
    at("memory").textContent = percent(memory);
  } catch (error) {
    say(error instanceof TypeError ? "The proxy does not answer." : error.message);
  }
  setTimeout(refresh, PERIOD_MS);
}
refresh();
