/* Light, dark, or as the system says; theme-boot.ts applies the stored choice before the first paint. */
import { signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

const KEY = "secai.theme";

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system";
  }
}

export const theme = signal<Theme>(stored());

export function setTheme(value: Theme): void {
  theme.value = value;
  if (value === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = value;
  try {
    if (value === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, value);
  } catch {
    /* A browser that keeps nothing still shows the choice until it is closed. */
  }
}
