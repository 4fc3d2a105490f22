/* Calls to the ui service. Every failure is an ApiError; a lost session is reported once, here. */
import { signal } from "@preact/signals";
import { ApiError, errorFrom, isAbort } from "./errors";
import { readEvents, type SseEvent } from "./sse";
import type { Session } from "./types";

const DEADLINE_MS = 30_000;

/* null until the first answer. */
export const session = signal<Session | null>(null);
/* Shown on the login page: why it is there. */
export const sessionNotice = signal("");

export interface RequestOptions {
  body?: unknown;
  signal?: AbortSignal;
  deadlineMs?: number;
}

export function sessionLost(): void {
  if (session.value?.state !== "open") return;
  sessionNotice.value = "You were logged out, for example after a while without use. What you typed is kept.";
  session.value = { ...session.value, state: "login", csrf: "" };
}

function headers(method: string, hasBody: boolean): Record<string, string> {
  const out: Record<string, string> = { Accept: "application/json" };
  const csrf = session.value?.csrf;

  if (hasBody) out["Content-Type"] = "application/json";
  if (method !== "GET") {
    if (csrf) out["X-CSRF-Token"] = csrf;
    else out["X-Requested-With"] = "secai";
  }
  return out;
}

/* Ends with the deadline or with the caller's own signal, whichever is first. */
interface Limit {
  signal: AbortSignal;
  timedOut: () => boolean;
  headArrived: () => void;
  release: () => void;
}

function limited(options: RequestOptions): Limit {
  const controller = new AbortController();
  let late = false;
  const stop = () => controller.abort();
  const timer = setTimeout(() => {
    late = true;
    stop();
  }, options.deadlineMs ?? DEADLINE_MS);

  if (options.signal?.aborted) stop();
  options.signal?.addEventListener("abort", stop, { once: true });
  return {
    signal: controller.signal,
    timedOut: () => late,
    headArrived: () => clearTimeout(timer),
    release: () => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", stop);
    },
  };
}

async function send(method: string, path: string, options: RequestOptions, signal: AbortSignal): Promise<Response> {
  const hasBody = options.body !== undefined;

  return fetch(path, {
    method, signal,
    headers: headers(method, hasBody),
    credentials: "same-origin",
    cache: "no-store",
    redirect: "error",
    ...(hasBody ? { body: JSON.stringify(options.body) } : {}),
  });
}

async function failure(response: Response): Promise<ApiError> {
  const error = errorFrom(response.status, await response.json().catch(() => null));
  if (response.status === 401 && session.value?.state === "open") sessionLost();
  return error;
}

export async function request<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
  const limit = limited(options);

  try {
    const response = await send(method, path, options, limit.signal);
    if (!response.ok) throw await failure(response);
    if (response.status === 204) return undefined as T;
    const text = await response.text();
    if (text === "") return undefined as T;
    try {
      return JSON.parse(text) as T;
    } catch {
      throw new ApiError(502, "bad_answer", "");
    }
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (limit.timedOut()) throw new ApiError(504, "timeout", "");
    if (isAbort(error)) throw error;
    throw new ApiError(0, "unreachable", "");
  } finally {
    limit.release();
  }
}

/* Opens an event stream and returns when it ends. The deadline holds until the answer's head is there, the caller's
 * signal to the end. */
export async function stream(method: string, path: string, body: unknown, signal: AbortSignal, deadlineMs: number,
                             onOpen: () => void, emit: (event: SseEvent) => void): Promise<void> {
  const limit = limited({ signal, deadlineMs });

  try {
    const response = await send(method, path, body === undefined ? {} : { body }, limit.signal);
    limit.headArrived();
    if (!response.ok) throw await failure(response);
    if (!response.body) throw new ApiError(502, "bad_answer", "");
    onOpen();
    await readEvents(response.body, emit);
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (limit.timedOut()) throw new ApiError(504, "timeout", "");
    if (isAbort(error)) throw error;
    throw new ApiError(0, "unreachable", "");
  } finally {
    limit.release();
  }
}

export async function loadSession(): Promise<void> {
  session.value = await request<Session>("GET", "/api/session");
}
