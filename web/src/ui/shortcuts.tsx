/* The keys of the page, in one list that is both shown and listened to. */
import { useEffect } from "preact/hooks";
import { signal } from "@preact/signals";
import { current, startNew, stop } from "../state/chat";
import { go, page } from "../state/router";
import { Dialog } from "./parts";

export const shortcutsShown = signal(false);
/* The page that can focus its search or its writing field says so here. */
export const focusWish = signal<{ what: "search" | "composer"; at: number } | null>(null);

/* A wish that was made just now, so that the page that opens for it doesn't put the focus elsewhere. */
export function isFresh(what: "search" | "composer"): boolean {
  const wish = focusWish.peek();
  return wish?.what === what && Date.now() - wish.at < 1000;
}

export const SHORTCUTS: { keys: string[]; does: string }[] = [
  { keys: ["Enter"], does: "Send the message" },
  { keys: ["Shift", "Enter"], does: "New line in the message" },
  { keys: ["Esc"], does: "Stop the answer; close a dialog" },
  { keys: ["/"], does: "Go to the message field" },
  { keys: ["Alt", "N"], does: "New conversation" },
  { keys: ["Ctrl", "K"], does: "Search conversations" },
  { keys: ["Alt", "1"], does: "Chat" },
  { keys: ["Alt", "2"], does: "Models" },
  { keys: ["Alt", "3"], does: "Status" },
  { keys: ["?"], does: "Show this list" },
];

export function newConversation(): void {
  startNew();
  go("chat");
  focusWish.value = { what: "composer", at: Date.now() };
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

function handle(e: KeyboardEvent): void {
  if (e.defaultPrevented || document.querySelector("dialog[open]")) return;
  const plain = !e.ctrlKey && !e.metaKey && !e.altKey;
  const pages = { Digit1: "chat", Digit2: "models", Digit3: "status" } as const;

  if (e.altKey && !e.ctrlKey && e.code === "KeyN") newConversation();
  else if (e.altKey && !e.ctrlKey && e.code in pages) {
    const target = pages[e.code as keyof typeof pages];
    go(target, target === "chat" ? current.value.id.value ?? undefined : undefined);
  } else if ((e.ctrlKey || e.metaKey) && !e.altKey && e.key.toLowerCase() === "k") {
    go("chat", current.value.id.value ?? undefined);
    focusWish.value = { what: "search", at: Date.now() };
  } else if (e.key === "Escape" && page.value === "chat" && current.value.abort) stop(current.value);
  else if (plain && e.key === "?" && !isTyping(e.target)) shortcutsShown.value = true;
  else if (plain && e.key === "/" && !isTyping(e.target) && page.value === "chat") focusWish.value = { what: "composer", at: Date.now() };
  else return;
  e.preventDefault();
}

export function Shortcuts() {
  useEffect(() => {
    addEventListener("keydown", handle);
    return () => removeEventListener("keydown", handle);
  }, []);
  if (!shortcutsShown.value) return null;
  return (
    <Dialog title="Keyboard shortcuts" onClose={() => { shortcutsShown.value = false; }}>
      <ShortcutList />
    </Dialog>
  );
}

export function ShortcutList() {
  return (
    <dl class="shortcuts">
      {SHORTCUTS.map((s) => (
        <div key={s.does}>
          <dt>{s.keys.map((k) => <kbd key={k}>{k}</kbd>)}</dt>
          <dd>{s.does}</dd>
        </div>
      ))}
    </dl>
  );
}
