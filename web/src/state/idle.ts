/* Locks the page when nobody has used it for the session's idle time. The service has its own clock; this one also
 * holds while the page itself keeps asking (status, events), and it counts the time that the machine slept. */
import { request, session, sessionLost } from "../lib/api";
import { activeCount } from "./jobs";
import { busyIds } from "./chat";

const KEY = "secai.active";
const NOTED_EVERY_MS = 5000;
const CHECKED_EVERY_MS = 15_000;
let last = Date.now();

/* Other tabs of the same session see the use of this one. */
function note(): void {
  const now = Date.now();

  if (now - last < NOTED_EVERY_MS) return;
  last = now;
  try {
    localStorage.setItem(KEY, String(now));
  } catch {
    /* Then each tab counts for itself. */
  }
}

function lastUse(): number {
  try {
    return Math.max(last, Number(localStorage.getItem(KEY)) || 0);
  } catch {
    return last;
  }
}

function check(): void {
  const limit = session.value?.idle_timeout_s;

  if (session.value?.state !== "open" || !limit) return;
  if (activeCount.value > 0 || busyIds.value.size > 0) {
    note();
    return;
  }
  if (Date.now() - lastUse() < limit * 1000) return;
  request("POST", "/api/logout").catch(() => undefined).finally(sessionLost);
}

export function watchIdle(): void {
  for (const name of ["pointerdown", "keydown", "wheel", "touchstart"]) addEventListener(name, note, { passive: true, capture: true });
  session.subscribe((s) => {
    if (s?.state === "open") {
      last = 0;
      note();
    }
  });
  setInterval(check, CHECKED_EVERY_MS);
}
