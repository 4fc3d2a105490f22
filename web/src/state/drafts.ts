/* Text that was typed and not sent. Kept for this tab only (a reload or a new login doesn't lose it) and wiped on
 * log-out. */
const PREFIX = "secai.draft.";

export function loadDraft(key: string): string {
  try {
    return sessionStorage.getItem(PREFIX + key) ?? "";
  } catch {
    return "";
  }
}

export function keepDraft(key: string, text: string): void {
  try {
    if (text) sessionStorage.setItem(PREFIX + key, text);
    else sessionStorage.removeItem(PREFIX + key);
  } catch {
    /* Full or forbidden: the text still stands in the field. */
  }
}

export function wipeDrafts(): void {
  try {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
  } catch {
    /* Nothing was kept. */
  }
}
