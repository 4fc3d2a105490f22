/* What can happen to a conversation's messages. Pure. */
import type { Conversation, Message, Settings } from "./types";

export const TITLE_MAX = 60;

export function titleFrom(text: string): string {
  const line = text.replace(/[#*_`>~]+/g, "").replace(/\s+/g, " ").trim();

  if (line.length <= TITLE_MAX) return line || "New conversation";
  const cut = line.slice(0, TITLE_MAX);
  const space = cut.lastIndexOf(" ");
  return `${cut.slice(0, space > 20 ? space : TITLE_MAX)}…`;
}

/* What the model gets: the system prompt first, then all that has content. */
export function requestMessages(conversation: Conversation): { role: string; content: string }[] {
  const system = conversation.system.trim();
  const list: { role: string; content: string }[] = system ? [{ role: "system", content: system }] : [];

  for (const m of conversation.messages) {
    if (m.content !== "") list.push({ role: m.role, content: m.content });
  }
  return list;
}

/* Everything from message `index` on is replaced by the new text. */
export function editAt(messages: readonly Message[], index: number, text: string): Message[] {
  return [...messages.slice(0, index), { role: "user", content: text }];
}

/* Drops the answer at `index` and what follows it, so that its question is asked again. */
export function dropAnswer(messages: readonly Message[], index: number): Message[] {
  return messages.slice(0, index);
}

export interface SettingsText {
  temperature: string;
  top_p: string;
  max_tokens: string;
  seed: string;
}

interface Range {
  min: number;
  max: number;
  whole: boolean;
  label: string;
}

export const RANGES: Record<keyof SettingsText, Range> = {
  temperature: { min: 0, max: 2, whole: false, label: "Temperature" },
  top_p: { min: 0, max: 1, whole: false, label: "Top-p" },
  max_tokens: { min: 1, max: 32768, whole: true, label: "Longest answer" },
  seed: { min: 0, max: 2147483647, whole: true, label: "Seed" },
};

export function settingsText(settings: Settings): SettingsText {
  const text = (n: number | undefined | null) => (n === undefined || n === null ? "" : String(n));
  return { temperature: text(settings.temperature), top_p: text(settings.top_p), max_tokens: text(settings.max_tokens), seed: text(settings.seed) };
}

/* Empty fields stay unset. The message names the first field that is wrong and what it may be. */
export function parseSettings(text: SettingsText): { settings: Settings; wrong: null } | { settings: null; wrong: { field: keyof SettingsText; message: string } } {
  const settings: Settings = {};

  for (const field of Object.keys(RANGES) as (keyof SettingsText)[]) {
    const raw = text[field].trim().replace(",", ".");
    const range = RANGES[field];
    if (raw === "") continue;
    const value = /^\d+(\.\d+)?$/.test(raw) ? Number(raw) : NaN;
    if (!(value >= range.min && value <= range.max) || (range.whole && !Number.isInteger(value))) {
      const kind = range.whole ? "a whole number" : "a number";
      return { settings: null, wrong: { field, message: `${range.label} is ${kind} from ${range.min} to ${range.max}. Leave it empty for the model’s own.` } };
    }
    settings[field] = value;
  }
  return { settings, wrong: null };
}

/* Whole sentences that a screen reader has not been told yet; the rest waits for its end. */
export function speakable(content: string, spoken: number, finished: boolean): { text: string; spoken: number } {
  const rest = content.slice(spoken);
  if (finished) return { text: rest.trim(), spoken: content.length };
  const ends = [...rest.matchAll(/[.!?:]["')\]]?\s|\n/g)];
  const last = ends[ends.length - 1];

  if (!last || (last.index ?? 0) < 30) return { text: "", spoken };
  const end = (last.index ?? 0) + last[0].length;
  return { text: rest.slice(0, end).trim(), spoken: spoken + end };
}
