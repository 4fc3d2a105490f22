/* From an error code to a sentence that says what to do. Codes that are not listed fall back to the server's message. */
import { clock } from "./format";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly detail: Record<string, unknown> = {},
  ) {
    super(message);
    this.name = "ApiError";
  }
}

type Sentence = string | ((detail: Record<string, unknown>) => string);

const SENTENCES: Record<string, Sentence> = {
  unreachable: "SecAI on this machine does not answer. Check that it is still running (the window where you typed “make run”), then try again.",
  bad_answer: "The answer could not be read. Reload the page; if it happens again, look at the Status page.",
  login_required: "You were logged out. Log in again to go on; what you typed is kept.",
  wrong_code: "That code is not right. It was printed where you started SecAI and works only once.",
  already_set_up: "A passphrase was already chosen. Reload the page to log in.",
  wrong_passphrase: (d) => {
    const left = Number(d["tries_left"]);
    if (!Number.isFinite(left)) return "That passphrase is not right.";
    if (left <= 0) return "That passphrase is not right.";
    return `That passphrase is not right. ${left === 1 ? "One more try" : `${left} more tries`} before a pause.`;
  },
  locked_out: (d) => {
    const after = Number(d["retry_after_s"]);
    return Number.isFinite(after) ? `Too many wrong tries. Try again in ${clock(after)} minutes.` : "Too many wrong tries. Wait a little and try again.";
  },
  unknown_model: "This model is no longer in your library. Choose another one.",
  unknown_job: "This entry is already gone.",
  unknown_conversation: "This conversation no longer exists.",
  not_set_up: "No passphrase was chosen yet. Reload the page.",
  too_many_chats: "Too many answers are under way. Wait until one has ended.",
  too_many_uploads: "Too many uploads are under way. Wait until one has ended.",
  model_loaded: "This model is in use. Free its memory first (on the Models page: “Unload”), then try again.",
  model_busy: "The model is answering someone else. Try again in a moment.",
  model_loading: "The model is still being loaded. This can take a minute for big models.",
  no_worker_root: "The sealed room that models run in is missing on this machine. Run “make setup”, then start SecAI again.",
  model_too_large: "This model needs more memory than the machine can give it. Close other programs or choose a smaller model or quantisation.",
  disk_full: "The disk is full. Nothing was lost; free some space and try again.",
  job_active: "This file is still being checked. Wait until the check is over.",
  too_large: "This is larger than the service accepts.",
  payload_too_large: "This is larger than the service accepts.",
  bad_gateway: "One of the services does not answer. The Status page shows which.",
  service_down: "One of the services is not running. The Status page shows which.",
  service_unavailable: "One of the services is not running. The Status page shows which.",
  deadline: "That took too long and was given up. Try again; if it stays so, look at the Status page.",
  timeout: "That took too long and was given up. Try again; if it stays so, look at the Status page.",
  aborted: "Cancelled.",
  csrf: "This page is out of date. Reload it, then try again; what you typed is kept.",
  upload_broken: "The upload broke off. The part that had arrived was thrown away; please try again.",
  empty_file: "This file is empty. Choose another one.",
};

export function explain(error: unknown): string {
  if (error instanceof ApiError) {
    const sentence = SENTENCES[error.code];

    if (typeof sentence === "function") return sentence(error.detail);
    if (sentence) return sentence;
    if (error.message) return error.message;
    return `The service refused this (${error.status}).`;
  }
  if (error instanceof DOMException && error.name === "AbortError") return "Cancelled.";
  return error instanceof Error && error.message ? error.message : "Something went wrong. Reload the page and try again.";
}

export function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}

/* Reads an error body; anything unexpected becomes a code of its own rather than a surprise. */
export function errorFrom(status: number, body: unknown): ApiError {
  const error = (body as { error?: { code?: unknown; message?: unknown; detail?: unknown } } | null)?.error;
  const code = typeof error?.code === "string" ? error.code : "";
  const message = typeof error?.message === "string" ? error.message : "";
  const detail = error?.detail && typeof error.detail === "object" ? (error.detail as Record<string, unknown>) : {};

  if (code === "" && message === "" && (status === 502 || status === 503 || status === 504)) return new ApiError(status, "bad_gateway", "");
  return new ApiError(status, code || `http_${status}`, message, detail);
}
