/* The seven checks in plain words, and what to do about a finding. Pure. */
import type { Finding, Job, Rule, Stage, StageStatus } from "./types";

export interface StageText {
  name: string;
  label: string;
  question: string;
  does: string;
  notApplicable: string;
  icon: "globe" | "file" | "fingerprint" | "seal" | "search" | "talk" | "image";
}

export const STAGES: readonly StageText[] = [
  { name: "source_policy", label: "Source", icon: "globe", question: "Does it come from a permitted place?",
    does: "Compares where the file came from with the list of permitted sources.",
    notApplicable: "You gave the file yourself, so there is no web address to compare." },
  { name: "format_gate", label: "Format", icon: "file", question: "Is it really a model file?",
    does: "Reads the whole structure of the file by its content, never by its name. Only strict GGUF and Safetensors files pass.",
    notApplicable: "There was no structure to read." },
  { name: "integrity_check", label: "Identity", icon: "fingerprint", question: "Is it a known good or known bad file?",
    does: "Computes the fingerprint (SHA-256) and compares it with pinned and blocked files.",
    notApplicable: "There is no entry to compare this file with." },
  { name: "provenance", label: "Signature", icon: "seal", question: "Who vouches for it?",
    does: "Checks the signature that came with the file against the keys you trust.",
    notApplicable: "No signature came with this file, and your policy does not demand one." },
  { name: "static_scan", label: "Contents", icon: "search", question: "Is anything hidden inside?",
    does: "Searches every byte for programs, archives, dangerous templates and broken weights.",
    notApplicable: "There was nothing of this kind to search." },
  { name: "behavioral_test", label: "Behaviour", icon: "talk", question: "How does it answer harmful requests?",
    does: "Runs the model in a sealed room without network or files, asks it adversarial questions and grades the answers.",
    notApplicable: "This kind of model does not answer questions." },
  { name: "diffusion_scan", label: "Image model", icon: "image", question: "Are its picture parts sound?",
    does: "Checks the parts of image models.",
    notApplicable: "This is not an image model." },
];

export function stageText(stage: Stage): StageText | undefined {
  return STAGES.find((s) => s.name === stage.name) ?? STAGES[stage.stage - 1];
}

export type StageView = StageStatus | "running" | "pending" | "done";

export interface StageRow {
  text: StageText;
  number: number;
  view: StageView;
  warnings: number;
  stage: Stage | undefined;
}

const STATUS_WORDS: Record<StageView, string> = {
  pass: "Passed",
  fail: "Failed",
  not_applicable: "Not applicable",
  not_run: "Not run",
  running: "Checking…",
  pending: "Waiting",
  done: "Done",
};

/* A file without a signature passes where the policy demands none; "passed" alone would promise more than was found. */
const UNSIGNED = "PROVENANCE-002";

function isUnsigned(stage: Stage | undefined): boolean {
  return (stage?.findings ?? []).some((f) => f.rule === UNSIGNED);
}

export function statusWord(row: StageRow): string {
  if (row.view === "not_applicable" && isUnsigned(row.stage)) return "Not signed";
  return row.view === "pass" && row.warnings > 0 ? "Passed, with a note" : STATUS_WORDS[row.view];
}

export function isActive(job: Job): boolean {
  return job.state === "receiving" || job.state === "waiting" || job.state === "scanning" || job.state === "promoting";
}

/* Stages 2 to 5 share one pass over the file: while it runs, all of them do. */
const PASS_FIRST = 2;
const PASS_LAST = 5;

function inPass(number: number): boolean {
  return number >= PASS_FIRST && number <= PASS_LAST;
}

/* Of a job that is being checked. The list tells results only when a group of stages has been settled, so an earlier
 * stage without one is done with, its result still to come. */
function liveView(number: number, current: number, stage: Stage | undefined): StageView {
  if (number < current && stage && stage.status !== "not_run") return stage.status;
  if (number === current || (inPass(number) && inPass(current))) return "running";
  return number < current ? "done" : "pending";
}

/* One row a stage, always seven. */
export function stageRows(job: Job): StageRow[] {
  const entries = job.verdict?.stages ?? job.stages ?? [];

  return STAGES.map((text, index) => {
    const number = index + 1;
    const stage = entries.find((s) => s.name === text.name) ?? entries.find((s) => s.stage === number && !s.name);
    const warnings = (stage?.findings ?? []).filter((f) => f.severity === "warning").length;
    let view: StageView = stage?.status ?? "not_run";

    if (job.state === "scanning") view = liveView(number, job.stage, stage);
    else if (job.state === "promoting") view = stage && stage.status !== "not_run" ? stage.status : "done";
    else if (isActive(job)) view = "pending";
    if (view === "pass" && isUnsigned(stage)) view = "not_applicable";
    return { text, number, view, warnings, stage };
  });
}

/* What was not tested is said, and why, where no finding of the stage tells it. */
export function untestedReason(row: StageRow, job: Job): string {
  if (row.view === "not_applicable") return row.text.notApplicable;
  if (row.view !== "not_run") return "";
  return job.state === "rejected" ? "Not tested: an earlier check had already turned the file away." : "Not tested: the check could not be made.";
}

export interface PlacedFinding extends Finding {
  stage: number;
}

const ORDER = { reject: 0, warning: 1, info: 2 };

export function findings(job: Job): PlacedFinding[] {
  const entries = job.verdict?.stages ?? job.stages ?? [];
  const all = entries.flatMap((s) => (s.findings ?? []).map((f) => ({ ...f, stage: s.stage })));

  return all.sort((a, b) => ORDER[a.severity] - ORDER[b.severity] || a.stage - b.stage);
}

/* Findings come as fragments; a sentence begins with a capital, unless its first word is a name. */
export function sentence(text: string): string {
  const first = /^\S+/.exec(text)?.[0] ?? "";
  return /^[a-z][a-z']*[,:]?$/.test(first) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}

/* "" when the finding is about the file as a whole. */
export function place(finding: Finding): string {
  const parts: string[] = [];

  if (finding.file) parts.push(finding.file);
  if (finding.tensor) parts.push(`tensor ${finding.tensor}`);
  if (typeof finding.at === "number") parts.push(`byte ${finding.at.toLocaleString("en")}`);
  return parts.join(", ");
}

const ADVICE: Record<number, string> = {
  1: "Get the model from a permitted source, or let the owner of this machine add the source to the list of permitted ones.",
  2: "Download the file again in case it was cut. If it is refused again, ask its publisher for a GGUF or Safetensors version.",
  3: "This exact file is blocked, or is not the one that was pinned. Delete it and do not use it elsewhere.",
  4: "Get the publisher’s signature file together with the model, or trust the publisher’s key first.",
  5: "Delete the file and do not open it with other programs. Tell whoever gave it to you.",
  6: "The model complied where it should refuse. Choose a version that was trained to refuse harmful requests.",
  7: "Download the image model again from its publisher; a part of it is missing or not what it says.",
};

/* Where the stage's own advice would miss the point. */
const ADVICE_BY_RULE: Record<string, string> = {
  "SOURCE-001": "The owner of this machine can permit local files in sources.allowlist.yaml.",
  "SOURCE-005": "Choose a smaller model or quantisation, or let the owner raise limits.artifact_bytes in policy.yaml.",
  "FORMAT-002": "Ask the publisher for a GGUF version, or let the owner permit this format in policy.yaml.",
  "BEHAVIOUR-001": "The file makes the program that runs it fail. Download it again, or try another quantisation of the model.",
  "BEHAVIOUR-002": "The file makes the program that runs it fail. Download it again, or try another quantisation of the model.",
  "BEHAVIOUR-004": "The model answers plain questions with commands. Do not use it, here or elsewhere.",
  "BEHAVIOUR-005": "The file may be damaged, or the model was not made for chatting. Look for a version named “instruct” or “chat”.",
};

/* The programs' catalogue knows best; it may not be there (not loaded yet, or a rule of the owner's own). */
export function advice(finding: PlacedFinding, state: Job["state"], rule?: Rule): string {
  if (finding.severity === "reject") return ADVICE_BY_RULE[finding.rule] ?? rule?.action ?? ADVICE[finding.stage] ?? "Delete the file.";
  return finding.severity === "warning" && state === "promoted" ? "Nothing has to be done; know it before you rely on the model." : "";
}

/* What nobody looked at, in whole sentences: what the verdict lists itself, else the checks that were not made. */
export function notTested(job: Job): string[] {
  const told = job.verdict?.not_tested;

  if (isActive(job)) return [];
  if (told) return told.map(sentence);
  return stageRows(job).map((r) => ({ row: r, why: untestedReason(r, job) })).filter((e) => e.why !== "").map((e) => `${e.row.text.label}: ${e.why}`);
}

/* What stands in sight at first: the reasons when there are any, else the notes; never a long list. */
export function inSight(list: readonly PlacedFinding[]): number {
  const reasons = list.filter((f) => f.severity === "reject").length;
  return Math.min(reasons || list.length, 3);
}

export function summary(job: Job): string {
  const rows = stageRows(job);
  const passed = rows.filter((r) => r.view === "pass").length;
  const skipped = rows.filter((r) => r.view === "not_applicable").length;
  const current = rows.find((r) => r.view === "running");
  const failed = rows.find((r) => r.view === "fail");

  switch (job.state) {
    case "receiving": return "Arriving…";
    case "waiting": return "Waiting for its turn";
    case "scanning": return current ? `Check ${current.number} of 7: ${current.text.question}` : "Checking…";
    case "promoting": return "All checks passed. Moving it into your library…";
    case "promoted": return job.duplicate ? "Already in your library: the same file was checked before." : `Passed ${passed} ${passed === 1 ? "check" : "checks"}${skipped > 0 ? `; ${skipped} had nothing to check` : ""}. It is in your library now.`;
    case "rejected": return failed ? `Turned away at check ${failed.number}: ${failed.text.label}` : "Turned away";
    case "parked": return "Set aside: the check could not be finished";
  }
}
