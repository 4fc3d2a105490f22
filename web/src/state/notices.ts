/* Short notices in the corner. Errors stay until they are closed; the rest goes by itself. */
import { signal } from "@preact/signals";
import { explain, isAbort } from "../lib/errors";

export interface Notice {
  id: number;
  kind: "info" | "good" | "bad";
  text: string;
  action?: { label: string; run: () => void };
}

const KEPT = 4;
const SHOWN_MS = 6000;
let next = 1;

export const notices = signal<Notice[]>([]);

export function dismiss(id: number): void {
  notices.value = notices.value.filter((n) => n.id !== id);
}

export function notify(kind: Notice["kind"], text: string, action?: Notice["action"]): void {
  const notice: Notice = { id: next++, kind, text, ...(action ? { action } : {}) };
  const others = notices.value.filter((n) => n.text !== text);

  notices.value = [...others, notice].slice(-KEPT);
  if (kind !== "bad") setTimeout(() => dismiss(notice.id), action ? SHOWN_MS * 2 : SHOWN_MS);
}

/* For every promise whose failure the owner should hear of. A lost session has its own page. */
export function report(error: unknown): void {
  if (isAbort(error)) return;
  if (error instanceof Error && "code" in error && (error as { code: unknown }).code === "login_required") return;
  notify("bad", explain(error));
}
