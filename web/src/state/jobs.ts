/* Jobs and uploads, kept up to date by the event stream while the page can be seen. */
import { computed, signal } from "@preact/signals";
import { request, session, stream } from "../lib/api";
import { ApiError, explain, isAbort } from "../lib/errors";
import { Meter } from "../lib/format";
import { finishedBy, groupJobs, NO_JOBS, reduceJobs, type JobAction } from "../lib/jobs";
import { isActive } from "../lib/stages";
import type { Job } from "../lib/types";
import type { Dropped } from "../lib/folder";
import { fileParcel, folderParcel, upload, type Parcel, type UploadHandle } from "../lib/upload";
import { refreshModels } from "./models";
import { notify, report } from "./notices";
import { go, page } from "./router";

export const jobs = signal(NO_JOBS);
export const jobsKnown = signal(false);
export const incoming = signal("");
export const live = signal<"connecting" | "live" | "lost">("connecting");
/* Spoken to screen readers: each new stage and each result. */
export const announcement = signal("");
export const groups = computed(() => groupJobs(jobs.value));
export const activeCount = computed(() => [...jobs.value.byId.values()].filter(isActive).length + uploads.value.filter((u) => u.state !== "failed").length);

function tell(job: Job): void {
  const onModels = page.value === "models";

  if (job.state === "promoted") {
    announcement.value = `${job.name} passed all checks and is in your library.`;
    if (!onModels) notify("good", announcement.value, { label: "Show", run: () => go("models") });
  } else if (job.state === "rejected") {
    announcement.value = `${job.name} was turned away.`;
    if (!onModels) notify("bad", announcement.value, { label: "See why", run: () => go("models") });
  } else {
    announcement.value = `${job.name} was set aside because its check could not be finished.`;
    if (!onModels) notify("bad", announcement.value, { label: "See why", run: () => go("models") });
  }
}

export function apply(action: JobAction): void {
  const before = jobs.value;

  jobs.value = reduceJobs(before, action);
  if (action.type === "job" && action.job.state === "scanning" && before.byId.get(action.job.id)?.stage !== action.job.stage)
    announcement.value = `${action.job.name}: check ${action.job.stage} of 7.`;
  const finished = finishedBy(before, jobs.value);
  for (const job of finished) {
    tell(job);
    fetchJob(job.id).catch(() => undefined);
  }
  if (finished.some((j) => j.state === "promoted")) refreshModels().catch(report);
}

export async function refreshJobs(): Promise<void> {
  const answer = await request<{ jobs?: Job[]; incoming?: string }>("GET", "/api/jobs");
  incoming.value = answer.incoming ?? "";
  apply({ type: "all", jobs: answer.jobs ?? [] });
  jobsKnown.value = true;
}

/* The job with its whole verdict; shows what the list leaves out. */
export async function fetchJob(id: string): Promise<void> {
  apply({ type: "job", job: await request<Job>("GET", `/api/jobs/${encodeURIComponent(id)}`) });
}

export async function deleteJob(id: string): Promise<void> {
  try {
    await request("DELETE", `/api/jobs/${encodeURIComponent(id)}`);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
  }
  apply({ type: "removed", id });
}

export async function retryJob(id: string): Promise<void> {
  await request("POST", `/api/jobs/${encodeURIComponent(id)}/retry`);
  await fetchJob(id);
}

export async function importDemo(): Promise<void> {
  await takeJob(await request<{ job?: unknown }>("POST", "/api/jobs/demo"));
}

/* The answer names the job or carries it whole. */
async function takeJob(answer: unknown): Promise<void> {
  const job = (answer as { job?: unknown } | null)?.job;

  if (job && typeof job === "object" && "id" in job) apply({ type: "job", job: job as Job });
  else if (typeof job === "string") await fetchJob(job);
  else await refreshJobs();
  if (live.value !== "live") await refreshJobs();
}

/* ---- the event stream ---- */

const BACK_OFF_MS = [500, 1000, 2000, 5000, 10_000];
let connection: AbortController | null = null;
let failures = 0;
let retry: ReturnType<typeof setTimeout> | undefined;

function wanted(): boolean {
  return session.value?.state === "open" && document.visibilityState === "visible";
}

function take(event: { event: string; data: string }): void {
  if (event.event !== "job" && event.event !== "message") return;
  let job: unknown;
  try {
    job = JSON.parse(event.data);
  } catch {
    return;
  }
  if (job && typeof job === "object" && "id" in job && "state" in job) apply({ type: "job", job: job as Job });
}

async function connect(): Promise<void> {
  if (connection || !wanted()) return;
  const own = new AbortController();

  connection = own;
  live.value = "connecting";
  try {
    await stream("GET", "/api/jobs/events", undefined, own.signal, 15_000, () => {
      failures = 0;
      live.value = "live";
      refreshJobs().catch(report);
    }, take);
  } catch (error) {
    if (!isAbort(error)) failures++;
  }
  if (connection === own) connection = null;
  if (own.signal.aborted || !wanted()) return;
  live.value = failures > 1 ? "lost" : "connecting";
  clearTimeout(retry);
  retry = setTimeout(() => void connect(), BACK_OFF_MS[Math.min(failures, BACK_OFF_MS.length - 1)]);
}

function disconnect(): void {
  clearTimeout(retry);
  connection?.abort();
  connection = null;
}

/* Browsers allow six connections to one address: a page nobody sees gives its own back. */
export function watchJobs(): void {
  addEventListener("beforeunload", (e) => {
    if (isUploading()) e.preventDefault();
  });
  document.addEventListener("visibilitychange", () => (wanted() ? void connect() : disconnect()));
  session.subscribe(() => (wanted() ? void connect() : disconnect()));
}

export function forgetJobs(): void {
  for (const u of uploads.value) u.handle?.cancel();
  uploads.value = [];
  jobs.value = NO_JOBS;
  jobsKnown.value = false;
}

/* ---- uploads: one after the other ---- */

export interface Upload {
  key: number;
  parcel: Parcel;
  files: number; /* 1, or how many a folder has */
  loaded: number;
  meter: Meter;
  state: "queued" | "sending" | "finishing" | "failed";
  error: string;
  handle: UploadHandle | null;
}

export const uploads = signal<Upload[]>([]);

export function isUploading(): boolean {
  return uploads.value.some((u) => u.state !== "failed");
}

let nextKey = 1;
let sending = false;

function change(key: number, part: Partial<Upload>): void {
  uploads.value = uploads.value.map((u) => (u.key === key ? { ...u, ...part } : u));
}

export function removeUpload(key: number): void {
  uploads.value = uploads.value.filter((u) => u.key !== key);
}

function addParcel(parcel: Parcel, files: number, error: string): void {
  uploads.value = [...uploads.value, {
    key: nextKey++, parcel, files, loaded: 0, meter: new Meter(), handle: null,
    state: error ? "failed" : "queued", error,
  }];
}

export function addDropped(dropped: Dropped): void {
  for (const folder of dropped.folders)
    addParcel(folderParcel(folder.name, folder.files), folder.files.length, folder.files.length === 0 ? "This folder is empty. Choose another one." : "");
  for (const file of dropped.files)
    addParcel(fileParcel(file), 1, file.size === 0 ? "This file is empty. Choose another one." : "");
  void sendNext();
}

async function sendOne(item: Upload): Promise<void> {
  const handle = upload(item.parcel, (loaded) => {
    item.meter.add(loaded, performance.now());
    change(item.key, { loaded, state: loaded >= item.parcel.body.size ? "finishing" : "sending" });
  });

  change(item.key, { state: "sending", handle });
  try {
    await takeJob(await handle.done);
    removeUpload(item.key);
  } catch (error) {
    if (isAbort(error)) removeUpload(item.key);
    else change(item.key, { state: "failed", error: explain(error), handle: null });
  }
}

async function sendNext(): Promise<void> {
  if (sending) return;
  sending = true;
  for (let item = uploads.value.find((u) => u.state === "queued"); item; item = uploads.value.find((u) => u.state === "queued")) await sendOne(item);
  sending = false;
}

export function retryUpload(key: number): void {
  const item = uploads.value.find((u) => u.key === key);
  if (!item) return;
  removeUpload(key);
  addParcel(item.parcel, item.files, "");
  void sendNext();
}

export function cancelUpload(key: number): void {
  const item = uploads.value.find((u) => u.key === key);
  if (item?.handle) item.handle.cancel();
  else removeUpload(key);
}
