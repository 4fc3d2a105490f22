import assert from "node:assert/strict";
import { test } from "node:test";
import { finishedBy, groupJobs, NO_JOBS, reduceJobs } from "../src/lib/jobs";
import { advice, findings, inSight, place, sentence, stageRows, STAGES, statusWord, summary, untestedReason } from "../src/lib/stages";
import type { Job, Stage } from "../src/lib/types";

function job(over: Partial<Job>): Job {
  return { id: "j1", name: "a.gguf", size: 10, source: "upload", state: "waiting", stage: 0, stages: [], created_at: "2030-01-01T00:00:00Z", updated_at: "2030-01-01T00:00:00Z", ...over };
}

const stage = (n: number, status: Stage["status"], over: Partial<Stage> = {}): Stage => ({ stage: n, name: STAGES[n - 1]!.name, status, ...over });

test("a running job shows seven rows: settled, running, waiting", () => {
  const rows = stageRows(job({ state: "scanning", stage: 6, stages: [stage(1, "not_applicable"), stage(2, "pass"), stage(3, "pass"), stage(4, "not_applicable"), stage(5, "pass")] }));
  assert.deepEqual(rows.map((r) => r.view), ["not_applicable", "pass", "pass", "not_applicable", "pass", "running", "pending"]);
});

test("while the file is read, the four checks of that pass run together, and no result is made up", () => {
  const rows = stageRows(job({ state: "scanning", stage: 2, stages: STAGES.map((_, i) => stage(i + 1, "not_run")) }));
  assert.deepEqual(rows.map((r) => r.view), ["done", "running", "running", "running", "running", "pending", "pending"]);
  assert.deepEqual(new Set(stageRows(job({ state: "waiting", stages: rows.map((r) => r.stage!) })).map((r) => r.view)), new Set(["pending"]));
});

test("a finished job shows what the verdict says, and missing stages as not run", () => {
  const rejected = job({ state: "rejected", stage: 2, stages: [stage(1, "pass"), stage(2, "fail")] });
  assert.deepEqual(stageRows(rejected).map((r) => r.view), ["pass", "fail", "not_run", "not_run", "not_run", "not_run", "not_run"]);
  assert.match(untestedReason(stageRows(rejected)[4]!, rejected), /already turned/);
  assert.equal(summary(rejected), "Turned away at check 2: Format");
});

test("the job's own verdict wins over the short list", () => {
  const rows = stageRows(job({ state: "promoted", stages: [], verdict: { stages: [stage(1, "pass")] } }));
  assert.equal(rows[0]!.view, "pass");
});

test("findings come worst first and say where they are", () => {
  const list = findings(job({ state: "rejected", stages: [
    stage(2, "pass", { findings: [{ rule: "A", severity: "info", message: "i" }] }),
    stage(5, "fail", { findings: [{ rule: "B", severity: "warning", message: "w" }, { rule: "C", severity: "reject", message: "r", at: 4096, tensor: "blk.0" }] }),
  ] }));
  assert.deepEqual(list.map((f) => f.rule), ["C", "B", "A"]);
  assert.equal(place(list[0]!), "tensor blk.0, byte 4,096");
  assert.equal(place(list[2]!), "");
  assert.equal(inSight(list), 1, "reasons first");
  assert.equal(inSight(list.slice(1)), 2);
  assert.equal(place({ ...list[2]!, at: 0 }), "byte 0");
});

test("a file without a signature is not said to have passed the signature check", () => {
  const row = stageRows(job({ state: "promoted", stages: [stage(4, "pass", { findings: [{ rule: "PROVENANCE-002", severity: "info", message: "no signature" }] })] }))[3]!;
  assert.equal(statusWord(row), "Not signed");
  assert.equal(statusWord(stageRows(job({ state: "promoted", stages: [stage(4, "pass")] }))[3]!), "Passed");
});

test("fragments become sentences, names stay as they are", () => {
  assert.equal(sentence("helps with harmful requests"), "Helps with harmful requests");
  assert.equal(sentence("child-safety-01 helped"), "child-safety-01 helped");
  assert.equal(sentence("general.name is 5"), "general.name is 5");
  assert.equal(sentence(""), "");
});

test("advice fits what became of the file", () => {
  const f = { rule: "X", severity: "warning" as const, message: "m", stage: 6 };
  assert.match(advice(f, "promoted"), /Nothing has to be done/);
  assert.equal(advice(f, "rejected"), "");
  assert.match(advice({ ...f, severity: "reject" }, "rejected"), /trained to refuse/);
  assert.match(advice({ ...f, rule: "BEHAVIOUR-005", severity: "reject" }, "rejected"), /damaged/);
});

test("changes that arrive late or twice don't turn the list back", () => {
  let s = reduceJobs(NO_JOBS, { type: "job", job: job({ state: "scanning", stage: 3, updated_at: "2030-01-01T00:00:03Z" }) });
  s = reduceJobs(s, { type: "job", job: job({ state: "scanning", stage: 2, updated_at: "2030-01-01T00:00:02Z" }) });
  assert.equal(s.byId.get("j1")?.stage, 3);
});

test("a deleted job stays deleted when a late event names it", () => {
  let s = reduceJobs(NO_JOBS, { type: "job", job: job({ state: "rejected" }) });
  s = reduceJobs(s, { type: "removed", id: "j1" });
  s = reduceJobs(s, { type: "job", job: job({ state: "rejected" }) });
  s = reduceJobs(s, { type: "all", jobs: [job({ state: "rejected" })] });
  assert.equal(s.byId.size, 0);
});

test("the whole list replaces what is no longer there", () => {
  let s = reduceJobs(NO_JOBS, { type: "job", job: job({ id: "old" }) });
  s = reduceJobs(s, { type: "all", jobs: [job({ id: "new" })] });
  assert.deepEqual([...s.byId.keys()], ["new"]);
});

test("a job watched while it ran stays in sight when it ends, until it is dismissed", () => {
  let s = reduceJobs(NO_JOBS, { type: "all", jobs: [job({ state: "scanning", stage: 1 }), job({ id: "past", state: "promoted" }), job({ id: "bad", state: "rejected" }), job({ id: "set", state: "parked" })] });
  const before = s;
  s = reduceJobs(s, { type: "job", job: job({ state: "promoted", stage: 7 }) });
  assert.deepEqual(finishedBy(before, s).map((j) => j.id), ["j1"]);
  assert.deepEqual(groupJobs(s).current.map((j) => j.id), ["j1"]);
  assert.deepEqual(groupJobs(s).earlier.map((j) => j.id), ["past"]);
  assert.deepEqual(groupJobs(s).refused.map((j) => j.id).sort(), ["bad", "set"]);
  s = reduceJobs(s, { type: "dismissed", id: "j1" });
  assert.deepEqual(groupJobs(s).current, []);
});

test("a retried job forgets the verdict of its last try", () => {
  let s = reduceJobs(NO_JOBS, { type: "job", job: job({ state: "parked", verdict: { stages: [stage(6, "not_run")] } }) });
  s = reduceJobs(s, { type: "job", job: job({ state: "waiting", updated_at: "2030-01-02T00:00:00Z" }) });
  assert.equal(s.byId.get("j1")?.verdict ?? null, null);
});
