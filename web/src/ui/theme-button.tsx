import { setTheme, theme, type Theme } from "../state/theme";
import { IconButton } from "./parts";
import type { IconName } from "./icons";

const NEXT: Record<Theme, { to: Theme; icon: IconName; is: string }> = {
  system: { to: "light", icon: "half", is: "as the system" },
  light: { to: "dark", icon: "sun", is: "light" },
  dark: { to: "system", icon: "moon", is: "dark" },
};

export function ThemeButton() {
  const now = NEXT[theme.value];
  return <IconButton icon={now.icon} label={`Colours: ${now.is}. Change`} class="theme-button" onClick={() => setTheme(NEXT[theme.peek()].to)} />;
}
