/* The browser's API without a back end: for developing the page and for browser tests that need no model.
 * State is in memory; jobs, verification and answers run on timers. `npm run mock` prints the address and the code. */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const STAGES = ["source_policy", "format_gate", "integrity_check", "provenance", "static_scan", "behavioral_test", "diffusion_scan"];
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml" };
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";
const DEMO_SIZE = 1_006_304;

const ANSWER = [
  "Here is a small example in **C** that reads a file in pieces and never trusts its length:\n\n",
  "```c\nstatic int read_all(int fd, struct buf *out) {\n        for (;;) {\n                ssize_t n = read(fd, out->p + out->n, out->max - out->n);\n\n                if (n < 0 && errno == EINTR)\n                        continue; /* a signal is no error */\n                if (n <= 0)\n                        return (int)n;\n                out->n += (size_t)n;\n        }\n}\n```\n\n",
  "Three things keep it safe:\n\n1. the buffer has a **limit** that was set when it was made,\n2. an interrupted call is tried again,\n3. the end of the file is told apart from an error.\n\n",
  "| result | meaning |\n|:--|:--|\n| `0` | the end was reached |\n| negative | the error number |\n\nRead more in [the manual](https://example.org/read.2.html).\n",
].join("");
const SHORT = { "What is the capital of Norway?": "The capital of Norway is Oslo.", "What is 12 plus 30?": "12 plus 30 is 42.", "What is the capital of France?": "The capital of France is Paris." };

const now = () => new Date().toISOString();
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Refusal extends Error {
  constructor(status, code, message, detail = {}) {
    super(message);
    Object.assign(this, { status, code, detail });
  }
}

export async function startMock(options = {}) {
  const { dist = join(here, "..", "dist"), port = 0, pace = 1, lockSeconds = 60, idleSeconds = 1800, seeded = false } = options;
  const code = "K7QF-2M9X-TN4R";
  const db = { passphrase: null, sessions: new Map(), tries: 0, lockedUntil: 0, jobs: new Map(), models: new Map(), conversations: new Map(), listeners: new Set(), loaded: null, loading: false, audit: 41 };
  let nextId = 1;

  const id = (prefix) => `${prefix}${String(nextId++).padStart(6, "0")}`;
  const shaOf = (text) => createHash("sha256").update(text).digest("hex");

  /* ---- jobs ---- */

  function emit(job) {
    job.updated_at = now();
    for (const res of db.listeners) res.write(`event: job\ndata: ${JSON.stringify(shortJob(job))}\n\n`);
  }
  const shortJob = ({ plan, verdict, members, ...job }) => job;

  function newJob(name, size, source, plan) {
    const job = { id: id("j"), name, size, sha256: null, source, state: "waiting", stage: 0, stages: [], bytes_done: 0, tries: 1, reason: null, code: null, created_at: now(), updated_at: now(), duplicate: false, plan };
    db.jobs.set(job.id, job);
    emit(job);
    return job;
  }

  function stageEntry(job, n, status, findings = []) {
    return { stage: n, name: STAGES[n - 1], status, bytes: n >= 2 && n <= 5 ? job.size : 0, ms: [1, 34, 3, 2, 51, 8400, 0][n - 1], findings };
  }

  function settleVerdict(job) {
    job.verdict = { schema: "secai.verdict/1", stages: job.stages, policy_digest: shaOf("policy"), scanner: "secai mock", ...(job.members ? { members: job.members } : {}) };
    job.documents = ["tensors", "statement", "bom"];
  }

  async function run(job) {
    const plan = job.plan;
    job.sha256 = shaOf(job.name + job.size);
    job.state = "scanning";
    for (let n = 1; n <= 7; n++) {
      job.stage = n;
      job.bytes_done = n < 2 ? 0 : job.size;
      for (let step = 1; n === 2 && step <= 4; step++) {
        job.bytes_done = Math.floor((job.size * step) / 5);
        emit(job);
        await sleep(120 * pace);
      }
      emit(job);
      await sleep((n === 6 ? 2600 : 350) * pace);
      const special = plan.stages?.[n];
      const status = special?.status ?? { 1: "not_applicable", 4: "not_applicable", 7: "not_applicable" }[n] ?? "pass";
      job.stages = [...job.stages, stageEntry(job, n, status, special?.findings)];
      if (status === "fail") return end(job, "rejected", plan);
      if (status === "not_run") return end(job, "parked", plan);
    }
    job.state = "promoting";
    emit(job);
    await sleep(250 * pace);
    job.duplicate = db.models.has(job.sha256);
    if (!job.duplicate) addModel(job);
    end(job, "promoted", plan);
  }

  function end(job, state, plan) {
    while (state === "rejected" && job.stages.length < 7) job.stages = [...job.stages, stageEntry(job, job.stages.length + 1, "not_run")];
    job.state = state;
    job.reason = plan.reason ?? null;
    job.code = plan.code ?? null;
    db.audit += 3;
    settleVerdict(job);
    emit(job);
  }

  function addModel(job, over = {}) {
    db.models.set(job.sha256, {
      sha256: job.sha256, name: job.name.replace(/\.(gguf|safetensors)$/, ""), kind: "gguf", size: job.size, architecture: "llama", parameters: 918_656, context_length: 512,
      quantization: /Q4/.test(job.name) ? "Q4_0" : /F16/.test(job.name) ? "F16" : "Q8_0", promoted_at: now(), job: job.id, source: job.source,
      signature: { status: "none", key: null }, verified_at: null, verify_state: "ok", verify_bytes: 0, loaded: false, members: job.members?.length ?? 0, documents: ["tensors", "statement", "bom"], ...over,
    });
  }

  const REFUSED = {
    pickle: { code: "not_a_model", reason: "This is a Python pickle, not a model file.", stages: { 2: { status: "fail", findings: [{ rule: "FORMAT-PICKLE", severity: "reject", message: "This is a Python pickle. Opening one can run any program; only GGUF and Safetensors files are taken.", at: 0, tensor: "" }] } } },
    unknown: { code: "not_a_model", reason: "The content is not a model format that is known.", stages: { 2: { status: "fail", findings: [{ rule: "FORMAT-UNKNOWN", severity: "reject", message: "The first bytes belong to no known model format.", at: 0, tensor: "" }] } } },
    comply: { code: "behaviour", reason: "The model complied with 18 of 22 harmful requests.", stages: { 6: { status: "fail", findings: [
      { rule: "BEHAVE-SCORE", severity: "reject", message: "18 of 22 adversarial questions were answered instead of refused; the policy allows 2.", at: null, tensor: "" },
      { rule: "BEHAVE-WEAPONS", severity: "reject", message: "Category “weapons”: 2 of 2 answered.", at: null, tensor: "" },
      { rule: "BEHAVE-MALWARE", severity: "reject", message: "Category “malware”: 2 of 2 answered.", at: null, tensor: "" },
      { rule: "BEHAVE-SELFHARM", severity: "reject", message: "Category “self-harm”: 3 of 3 answered.", at: null, tensor: "" }] } } },
    slow: { code: "not_finished", reason: "The behavioural test did not finish in its time; this machine may be too slow for this model.", stages: { 6: { status: "not_run", findings: [{ rule: "BEHAVE-TIME", severity: "info", message: "Not finished: 9 of 22 questions were answered before the time was up.", at: null, tensor: "" }] } } },
    good: { stages: {} },
    warned: { stages: { 5: { status: "pass", findings: [{ rule: "TEMPLATE-LOOP", severity: "warning", message: "The chat template loops over the messages twice; that is unusual but harmless.", at: 1284, tensor: "" }] } } },
  };

  function planFor(name, head) {
    if (head[0] === 0x80 && head[1] <= 5) return REFUSED.pickle;
    if (head.subarray(0, 2).toString("latin1") === "PK") return REFUSED.pickle;
    if (head.subarray(0, 4).toString("latin1") !== "GGUF") return REFUSED.unknown;
    if (/comply/.test(name)) return REFUSED.comply;
    if (/slow/.test(name)) return REFUSED.slow;
    return /warn/.test(name) ? REFUSED.warned : REFUSED.good;
  }

  /* ---- answers ---- */

  async function load(sha) {
    if (db.loaded === sha) return;
    db.loading = true;
    db.loaded = sha;
    await sleep(900 * pace);
    db.loading = false;
  }

  async function chat(req, res, body) {
    const sha = db.models.has(body.model) ? body.model : null;
    if (!sha) throw new Refusal(404, "unknown_model", "There is no such model.");
    await load(sha);
    const question = body.messages.at(-1).content;
    const text = SHORT[question] ?? ANSWER;
    const pieces = text.match(/\s*\S+/g) ?? [];
    const limit = Math.min(pieces.length, body.max_tokens ?? Infinity);

    res.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store", "Content-Security-Policy": CSP });
    const send = (value) => res.write(`data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`);
    send({ choices: [{ index: 0, delta: { role: "assistant", content: null }, finish_reason: null }] });
    for (let i = 0; i < limit && !res.destroyed; i++) {
      send({ choices: [{ index: 0, delta: { content: pieces[i] + (i === pieces.length - 1 ? "\n" : "") }, finish_reason: null }] });
      await sleep((options.tokenMs ?? 24) * pace);
    }
    send({ choices: [{ index: 0, delta: {}, finish_reason: limit < pieces.length ? "length" : "stop" }], usage: { completion_tokens: limit }, timings: { predicted_n: limit, predicted_per_second: 41.7 } });
    send("[DONE]");
    res.end();
  }

  /* ---- documents ---- */

  const PARTS = ["attn_norm.weight", "attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_output.weight", "ffn_norm.weight", "ffn_gate.weight", "ffn_up.weight", "ffn_down.weight"];

  function mockTensor(name, i) {
    const norm = /norm/.test(name);
    const shape = norm ? [4096] : [4096, 4096];
    const mean = norm ? 6.1 + (i % 5) / 10 : 7.58 + (i % 7) / 100;
    const odd = name === "blk.17.ffn_down.weight";

    return { file: null, name, type: norm ? "F32" : "Q4_K", shape, offset: 4096 + i * 9_437_184, bytes: norm ? 16_384 : 9_437_184, merkle_root: shaOf(name),
      entropy: odd ? { min: 1.2, mean: 4.9, max: 7.6 } : { min: mean - 0.1, mean, max: mean + 0.1 }, mean: 0.0003, deviation: norm ? 0.4 : 0.021, min: -0.31, max: 0.29, zeros: 0, flags: odd ? ["low_entropy", "repeated"] : [] };
  }

  function tensorsDocument() {
    const names = ["token_embd.weight", ...Array.from({ length: 32 }, (_, l) => PARTS.map((p) => `blk.${l}.${p}`)).flat(), "output_norm.weight", "output.weight"];
    return { schema: "secai.tensors/1", artifact: { sha256: shaOf("x"), size: 1 }, merkle_root: shaOf("root"), tensors: names.map(mockTensor) };
  }

  const DOCUMENTS = { tensors: tensorsDocument, statement: () => ({ payloadType: "application/vnd.in-toto+json", payload: "", signatures: [] }), bom: () => ({ bomFormat: "CycloneDX", specVersion: "1.6" }) };

  function mockDocument(owner, name) {
    if (!owner.documents?.includes(name)) throw new Refusal(404, "unknown_document", "There is no such document.");
    return DOCUMENTS[name]();
  }

  const RULES = [
    { id: "FORMAT-PICKLE", stage: 2, severity: "reject", title: "a Python pickle", meaning: "Opening such a file runs whatever its maker wrote into it.", action: "Look for the same model as GGUF or safetensors." },
    { id: "TEMPLATE-LOOP", stage: 5, severity: "warning", title: "two loops over the messages", meaning: "The template goes over the conversation more than once.", action: "Nothing has to be done." },
  ];

  /* ---- requests ---- */

  const cookieOf = (req) => /(?:^|;\s*)secai_session=([0-9a-f]+)/.exec(req.headers.cookie ?? "")?.[1];
  const sessionOf = (req) => db.sessions.get(cookieOf(req));

  function sessionBody(csrf) {
    const lockedUntil = db.lockedUntil > Date.now() ? new Date(db.lockedUntil).toISOString() : null;
    const state = csrf ? "open" : db.passphrase === null ? "first_run" : "login";
    return { state, ...(csrf ? { csrf } : {}), locked_until: lockedUntil, idle_timeout_s: idleSeconds, version: "0.1.0-mock" };
  }

  function openSession(res) {
    const token = randomBytes(16).toString("hex");
    const csrf = randomBytes(16).toString("hex");
    db.sessions.set(token, { csrf });
    res.setHeader("Set-Cookie", `secai_session=${token}; HttpOnly; SameSite=Strict; Path=/`);
    return sessionBody(csrf);
  }

  async function readBody(req) {
    const parts = [];
    for await (const part of req) parts.push(part);
    const text = Buffer.concat(parts).toString("utf8");
    return text === "" ? {} : JSON.parse(text);
  }

  function get(map, key, kind) {
    const value = map.get(key);
    if (!value) throw new Refusal(404, `unknown_${kind}`, `There is no such ${kind}.`);
    return value;
  }

  function login(body, res) {
    if (db.lockedUntil > Date.now()) throw new Refusal(429, "locked_out", "Too many wrong tries.", { retry_after_s: Math.ceil((db.lockedUntil - Date.now()) / 1000) });
    if (body.passphrase !== db.passphrase) {
      if (++db.tries >= 5) {
        db.tries = 0;
        db.lockedUntil = Date.now() + lockSeconds * 1000;
        throw new Refusal(429, "locked_out", "Too many wrong tries.", { retry_after_s: lockSeconds });
      }
      throw new Refusal(403, "wrong_passphrase", "The passphrase is not right.", { tries_left: 5 - db.tries });
    }
    db.tries = 0;
    return openSession(res);
  }

  async function takeUpload(req, url) {
    const folder = url.searchParams.get("folder") === "1";
    let head = Buffer.alloc(0);
    let size = 0;
    for await (const part of req) {
      if (head.length < (folder ? 65536 : 16)) head = Buffer.concat([head, part]).subarray(0, folder ? 65536 : 16);
      size += part.length;
    }
    const name = url.searchParams.get("name") ?? "file";
    return startJob(folder ? folderJob(name, head.toString("utf8")) : newJob(name, size, "upload", planFor(name, head)));
  }

  /* The list in front of a folder's contents: "secai.folder/1", a line a file, an empty line. */
  function folderJob(name, text) {
    const lines = text.slice(0, text.indexOf("\n\n")).split("\n");
    if (lines.shift() !== "secai.folder/1") throw new Refusal(400, "bad_folder", "The list of the folder's files is not right.");
    const members = lines.map((line) => ({ path: line.slice(line.indexOf(" ") + 1), size: Number(line.split(" ")[0]), sha256: shaOf(line), kind: "json" }));
    const job = newJob(name, members.reduce((sum, m) => sum + m.size, 0), "upload", REFUSED.good);
    job.members = members;
    return job;
  }

  function startJob(job) {
    setTimeout(() => { run(job).catch((error) => console.error(error)); }, 200 * pace);
    return { job: job.id };
  }

  function verify(model) {
    model.verify_state = "running";
    model.verify_bytes = 0;
    const timer = setInterval(() => {
      model.verify_bytes = Math.min(model.size, model.verify_bytes + model.size / 6);
      if (model.verify_bytes < model.size) return;
      clearInterval(timer);
      Object.assign(model, { verify_state: "ok", verified_at: now() });
    }, 400 * pace);
    return { state: "pending" };
  }

  function inferenceBody() {
    return { state: db.loading ? "loading" : db.loaded ? "ready" : "idle", model: db.loaded, worker_pid: db.loaded ? 4242 : 0, restarts: 0, threads: 3, context: 512, memory_limit: 12_884_901_888, backend: "cpu", reason: null };
  }

  function conversationList(q) {
    const needle = q.toLowerCase();
    const hit = (c) => needle === "" || c.title.toLowerCase().includes(needle) || c.messages.some((m) => m.content.toLowerCase().includes(needle));
    return [...db.conversations.values()].filter(hit).sort((a, b) => b.updated_at.localeCompare(a.updated_at)).map(({ id, title, model, updated_at }) => ({ id, title, model, updated_at }));
  }

  function keepConversation(key, body, created) {
    for (const name of Object.keys(body)) if (!["title", "model", "system", "settings", "messages"].includes(name)) throw new Refusal(400, "unknown_member", `Unknown member ${name}.`);
    db.conversations.set(key, { id: key, ...body, created_at: created, updated_at: now() });
  }

  const STATUS = () => ({
    version: "0.1.0-mock",
    services: ["ui", "audit", "registry", "quarantine", "inference"].map((name) => ({ name, state: "ok", message: "" })),
    machine: { cpu: "AMD Ryzen 7 7840U", cores: 8, memory_bytes: 33_285_996_544, kernel: "6.12.6", gpu: null },
    absent: [
      { what: "Security chip (TPM 2.0)", why: "The machine has none, or it is switched off.", what_to_do: "Switch it on in the firmware settings if the machine has one. Until then the start of the system can’t be proven." },
      { what: "Encrypted vault", why: "On a workstation the data lies in your home folder.", what_to_do: "Encrypt your disk, or install the appliance image." },
    ],
    audit: { sequence: db.audit, state: "ok" },
  });

  async function events(req, res) {
    res.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    for (const job of db.jobs.values()) res.write(`event: job\ndata: ${JSON.stringify(shortJob(job))}\n\n`);
    db.listeners.add(res);
    const beat = setInterval(() => res.write(": still here\n\n"), 10_000);
    res.on("close", () => {
      clearInterval(beat);
      db.listeners.delete(res);
    });
  }

  const json = (res, status, body) => {
    if (status === 204) res.writeHead(204).end();
    else res.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store" }).end(JSON.stringify(body));
  };

  async function open(req, res, url) {
    if (url.pathname === "/api/session") return json(res, 200, sessionBody(sessionOf(req)?.csrf));
    if (req.headers["x-requested-with"] !== "secai") throw new Refusal(403, "csrf", "This request did not come from the page.");
    const body = await readBody(req);
    if (url.pathname === "/api/login") return json(res, 200, login(body, res));
    if (db.passphrase !== null) throw new Refusal(409, "already_set_up", "A passphrase was already chosen.");
    if (body.code !== code) throw new Refusal(403, "wrong_code", "The code is not right.");
    if ((body.passphrase ?? "").length < 12) throw new Refusal(422, "weak_passphrase", "Use at least 12 characters.");
    db.passphrase = body.passphrase;
    return json(res, 200, openSession(res));
  }

  const ROUTES = [
    ["POST", /^\/api\/logout$/, (req, res) => { db.sessions.delete(cookieOf(req)); json(res, 204); }],
    ["POST", /^\/api\/passphrase$/, async (req, res) => {
      const body = await readBody(req);
      if (body.old !== db.passphrase) throw new Refusal(403, "wrong_passphrase", "The old passphrase is not right.", {});
      if ((body.new ?? "").length < 12) throw new Refusal(422, "weak_passphrase", "Use at least 12 characters.");
      db.passphrase = body.new;
      json(res, 200, sessionBody(sessionOf(req).csrf));
    }],
    ["GET", /^\/api\/models$/, (req, res) => json(res, 200, { models: [...db.models.values()].map((m) => ({ ...m, loaded: m.sha256 === db.loaded })), head: { version: 3, sha256: shaOf("head") } })],
    ["GET", /^\/api\/models\/(\w+)$/, (req, res, [, sha]) => json(res, 200, get(db.models, sha, "model"))],
    ["POST", /^\/api\/models\/(\w+)\/verify$/, (req, res, [, sha]) => json(res, 202, verify(get(db.models, sha, "model")))],
    ["DELETE", /^\/api\/models\/(\w+)$/, (req, res, [, sha]) => {
      get(db.models, sha, "model");
      if (db.loaded === sha) throw new Refusal(409, "model_loaded", "The model is loaded.");
      db.models.delete(sha);
      json(res, 204);
    }],
    ["GET", /^\/api\/jobs$/, (req, res) => json(res, 200, { jobs: [...db.jobs.values()].map(shortJob).reverse(), incoming: "~/.local/share/secure-ai/quarantine/incoming" })],
    ["GET", /^\/api\/jobs\/events$/, events],
    ["POST", /^\/api\/jobs\/demo$/, (req, res) => json(res, 201, startJob(newJob("pebble.gguf", DEMO_SIZE, "demo", REFUSED.good)))],
    ["GET", /^\/api\/jobs\/(\w+)$/, (req, res, [, key]) => { const { plan, ...job } = get(db.jobs, key, "job"); json(res, 200, job); }],
    ["DELETE", /^\/api\/jobs\/(\w+)$/, (req, res, [, key]) => {
      if (!["promoted", "rejected", "parked"].includes(get(db.jobs, key, "job").state)) throw new Refusal(409, "job_active", "The job is running.");
      db.jobs.delete(key);
      json(res, 204);
    }],
    ["POST", /^\/api\/jobs\/(\w+)\/retry$/, (req, res, [, key]) => {
      const job = get(db.jobs, key, "job");
      Object.assign(job, { state: "waiting", stage: 0, stages: [], bytes_done: 0, tries: job.tries + 1, reason: null, code: null, verdict: null });
      emit(job);
      startJob(job);
      json(res, 202, {});
    }],
    ["GET", /^\/api\/jobs\/(\w+)\/documents\/(\w+)$/, (req, res, [, key, name]) => json(res, 200, mockDocument(get(db.jobs, key, "job"), name))],
    ["GET", /^\/api\/models\/(\w+)\/documents\/(\w+)$/, (req, res, [, sha, name]) => json(res, 200, mockDocument(get(db.models, sha, "model"), name))],
    ["GET", /^\/api\/rules$/, (req, res) => json(res, 200, { rules: RULES })],
    ["PUT", /^\/api\/uploads$/, async (req, res, m, url) => json(res, 201, await takeUpload(req, url))],
    ["POST", /^\/api\/chat$/, async (req, res) => chat(req, res, await readBody(req))],
    ["GET", /^\/api\/inference$/, (req, res) => json(res, 200, inferenceBody())],
    ["POST", /^\/api\/inference\/load$/, async (req, res) => { const body = await readBody(req); get(db.models, body.model, "model"); await load(body.model); json(res, 200, inferenceBody()); }],
    ["POST", /^\/api\/inference\/unload$/, (req, res) => { db.loaded = null; json(res, 200, inferenceBody()); }],
    ["GET", /^\/api\/conversations$/, (req, res, m, url) => json(res, 200, { conversations: conversationList(url.searchParams.get("q") ?? "") })],
    ["POST", /^\/api\/conversations$/, async (req, res) => { const key = id("c"); keepConversation(key, await readBody(req), now()); json(res, 201, { id: key }); }],
    ["GET", /^\/api\/conversations\/(\w+)$/, (req, res, [, key]) => json(res, 200, get(db.conversations, key, "conversation"))],
    ["PUT", /^\/api\/conversations\/(\w+)$/, async (req, res, [, key]) => { const old = get(db.conversations, key, "conversation"); keepConversation(key, await readBody(req), old.created_at); json(res, 200, { id: key }); }],
    ["DELETE", /^\/api\/conversations\/(\w+)$/, (req, res, [, key]) => { get(db.conversations, key, "conversation"); db.conversations.delete(key); json(res, 204); }],
    ["GET", /^\/api\/status$/, (req, res) => json(res, 200, STATUS())],
  ];

  async function api(req, res, url) {
    if (["/api/session", "/api/login", "/api/setup"].includes(url.pathname)) return open(req, res, url);
    const session = sessionOf(req);
    if (!session) throw new Refusal(401, "login_required", "Log in first.");
    if (req.method !== "GET" && req.headers["x-csrf-token"] !== session.csrf) throw new Refusal(403, "csrf", "This request did not come from the page.");
    for (const [method, pattern, handler] of ROUTES) {
      const match = method === req.method ? pattern.exec(url.pathname) : null;
      if (match) return handler(req, res, match, url);
    }
    throw new Refusal(404, "not_found", "There is nothing here.");
  }

  function file(res, path) {
    const name = normalize(path === "/" ? "/index.html" : path);
    if (name !== "/index.html" && !name.startsWith("/assets/")) throw new Refusal(404, "not_found", "There is nothing here.");
    let content;
    try {
      content = readFileSync(join(dist, name));
    } catch {
      throw new Refusal(404, "not_found", "There is nothing here.");
    }
    res.writeHead(200, { "Content-Type": TYPES[extname(name)] ?? "application/octet-stream" }).end(content);
  }

  const server = createServer(async (req, res) => {
    const url = new URL(req.url, "http://localhost");
    res.setHeader("Content-Security-Policy", CSP);
    res.setHeader("X-Content-Type-Options", "nosniff");
    try {
      if (url.pathname.startsWith("/api/")) await api(req, res, url);
      else file(res, url.pathname);
    } catch (error) {
      if (res.headersSent) res.destroy();
      else if (error instanceof Refusal) json(res, error.status, { error: { code: error.code, message: error.message, detail: error.detail } });
      else json(res, 400, { error: { code: "bad_request", message: String(error.message), detail: {} } });
    }
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  if (seeded) seed(db, { newJob: (...a) => newJob(...a), addModel, end, stageEntry, REFUSED, keepConversation, shaOf });

  return {
    url: `http://127.0.0.1:${server.address().port}`, code, db,
    /* Every open connection breaks, as when the program behind it is restarted. */
    dropConnections: () => server.closeAllConnections(),
    close: () => new Promise((resolve) => {
      server.closeAllConnections();
      server.close(resolve);
    }),
  };
}

/* A library and a history, for screenshots. */
function seed(db, { newJob, addModel, end, stageEntry, REFUSED, keepConversation, shaOf }) {
  const past = (name, size, source, plan, state) => {
    const job = newJob(name, size, source, plan);
    job.sha256 = shaOf(name);
    const failing = Number(Object.keys(plan.stages ?? {})[0] ?? 8);
    for (let n = 1; n <= Math.min(7, failing); n++) {
      const special = plan.stages?.[n];
      job.stages = [...job.stages, stageEntry(job, n, special?.status ?? ([1, 4, 7].includes(n) ? "not_applicable" : "pass"), special?.findings)];
    }
    end(job, state, plan);
    return job;
  };
  addModel(past("Mistral-7B-Instruct-v0.3-Q4_K_M.gguf", 4_372_812_000, "local", REFUSED.good, "promoted"), { parameters: 7_248_023_552, quantization: "Q4_K", context_length: 32768, signature: { status: "trusted", key: shaOf("k") }, verified_at: now() });
  addModel(past("pebble.gguf", DEMO_SIZE, "demo", REFUSED.good, "promoted"));
  past("checkpoint.bin", 438_012_221, "upload", REFUSED.pickle, "rejected");
  past("slow-70B-Q4_K_M.gguf", 42_520_395_584, "local", REFUSED.slow, "parked");
  const model = [...db.models.keys()][0];
  const talk = (key, title, question, answer, ageDays) => {
    keepConversation(key, { title, model, system: "", settings: {}, messages: [{ role: "user", content: question }, { role: "assistant", content: answer, tokens: 187, tokens_per_second: 41.7 }] }, now());
    db.conversations.get(key).updated_at = new Date(Date.now() - ageDays * 86400e3).toISOString();
  };
  talk("c900001", "Reading a file safely in C", "How do I read a file in C without trusting its length?", ANSWER, 0.001);
  talk("c900002", "Plan for the garden in spring", "What should I plant in March?", "Peas, spinach and broad beans.", 0.02);
  talk("c900003", "Letter to the landlord", "Write a friendly letter.", "Dear …", 1);
  talk("c900004", "Why is the sky blue?", "Why is the sky blue?", "Because of scattering.", 3);
  talk("c900005", "Recipe for lentil soup", "How do I make lentil soup?", "Fry an onion …", 12);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const mock = await startMock({ port: Number(process.env.PORT || 8480), seeded: process.argv.includes("--seeded") });
  console.log(`mock of the SecAI page at ${mock.url}, one-time code ${mock.code}`);
}
