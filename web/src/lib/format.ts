/* Numbers, sizes and times for people. Pure; `now` is passed in where it matters. */

function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1).replace(/\.0$/, "") : value.toFixed(2).replace(/\.?0+$/, "");
}

/* Decimal units, as file managers and download pages show them. */
export function bytes(n: number | null | undefined): string {
  const units = ["bytes", "KB", "MB", "GB", "TB", "PB"];
  let value = n ?? NaN;
  let unit = 0;

  if (!Number.isFinite(value) || value < 0) return "unknown size";
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  if (unit === 0) return value === 1 ? "1 byte" : `${Math.round(value)} bytes`;
  return `${digits(value)} ${units[unit]}`;
}

export function rate(bytesPerSecond: number): string {
  return Number.isFinite(bytesPerSecond) && bytesPerSecond > 0 ? `${bytes(bytesPerSecond)}/s` : "";
}

/* 919 K, 7.24 B: how model makers count parameters. */
export function parameters(n: number | null | undefined): string {
  if (!n || !Number.isFinite(n) || n < 0) return "";
  if (n >= 999.5e6) return `${digits(n / 1e9)} B parameters`;
  if (n >= 999.5e3) return `${digits(n / 1e6)} M parameters`;
  if (n >= 1000) return `${digits(n / 1e3)} K parameters`;
  return n === 1 ? "1 parameter" : `${n} parameters`;
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

/* "40 seconds", "3 minutes", "1 h 05 min": rounded so that it doesn't jitter. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "";
  const s = Math.round(seconds);

  if (s < 60) return s === 1 ? "1 second" : `${s} seconds`;
  if (s < 3600) {
    const m = Math.round(s / 60);
    return m === 1 ? "1 minute" : `${m} minutes`;
  }
  const minutes = Math.round(s / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/* 4:07, for countdowns. */
export function clock(seconds: number): string {
  const s = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}

export function milliseconds(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms) || ms < 0) return "";
  if (ms < 1) return "under 1 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 10000 ? `${(ms / 1000).toFixed(1)} s` : duration(ms / 1000);
}

export function ago(when: string | null | undefined, now: number): string {
  const t = when ? Date.parse(when) : NaN;
  if (Number.isNaN(t)) return "";
  const s = Math.max(0, (now - t) / 1000);

  if (s < 45) return "just now";
  if (s < 3600) return `${Math.max(1, Math.round(s / 60))} min ago`;
  if (s < 86400) return `${Math.round(s / 3600)} h ago`;
  return date(when);
}

export function date(when: string | null | undefined): string {
  const t = when ? new Date(when) : null;
  if (!t || Number.isNaN(t.getTime())) return "";
  return t.toLocaleDateString("en", { day: "numeric", month: "short", year: "numeric" });
}

export function dateTime(when: string | null | undefined): string {
  const t = when ? new Date(when) : null;
  if (!t || Number.isNaN(t.getTime())) return "";
  return t.toLocaleString("en", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hour12: false });
}

export function shortHash(sha256: string): string {
  return sha256.length > 12 ? `${sha256.slice(0, 8)}…${sha256.slice(-4)}` : sha256;
}

export function speed(tokensPerSecond: number): string {
  return `${digits(tokensPerSecond)} tokens/s`;
}

/* Which heading a conversation stands under in the list. */
export function dayGroup(when: string | undefined, now: Date): "Today" | "Yesterday" | "Last 7 days" | "Earlier" {
  const t = when ? new Date(when) : null;
  if (!t || Number.isNaN(t.getTime())) return "Earlier";
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();

  if (t.getTime() >= midnight) return "Today";
  if (t.getTime() >= midnight - 86400e3) return "Yesterday";
  if (t.getTime() >= midnight - 7 * 86400e3) return "Last 7 days";
  return "Earlier";
}

/* Smoothed speed of a transfer, and what is left of it. */
export class Meter {
  private last = -1;
  private lastBytes = 0;
  private smoothed = 0;

  add(done: number, nowMs: number): void {
    if (this.last < 0) {
      this.last = nowMs;
      this.lastBytes = done;
      return;
    }
    const dt = (nowMs - this.last) / 1000;
    if (dt < 0.25) return;
    const current = Math.max(0, done - this.lastBytes) / dt;
    const weight = Math.min(1, dt / 3);

    this.smoothed = this.smoothed === 0 ? current : this.smoothed + (current - this.smoothed) * weight;
    this.last = nowMs;
    this.lastBytes = done;
  }

  get bytesPerSecond(): number {
    return this.smoothed;
  }

  secondsLeft(done: number, total: number): number {
    return this.smoothed > 0 ? Math.max(0, total - done) / this.smoothed : NaN;
  }
}
