/* Conversations: the list, the open one, and answers while they stream. An answer goes on when another page is shown. */
import { computed, signal, type Signal } from "@preact/signals";
import { request, session, stream } from "../lib/api";
import { EMPTY_ANSWER, reduceAnswer, toMessage, type Answer } from "../lib/completion";
import { dropAnswer, editAt, requestMessages, speakable, titleFrom } from "../lib/conversation";
import { ApiError, explain, isAbort } from "../lib/errors";
import type { Conversation, ConversationEntry, Message } from "../lib/types";
import { keepDraft, loadDraft } from "./drafts";
import { inference, loadedModel, refreshInference, usableModels } from "./models";
import { report } from "./notices";
import { replace, route } from "./router";

export type Phase = { is: "idle" } | { is: "waiting"; since: number } | { is: "loading"; since: number } | { is: "thinking"; since: number } | { is: "answering"; since: number };

export interface Chat {
  /* null until it was saved for the first time. */
  id: Signal<string | null>;
  doc: Signal<Conversation>;
  phase: Signal<Phase>;
  draft: Signal<string>;
  error: Signal<string>;
  save: Signal<"saved" | "saving" | "unsaved">;
  abort: AbortController | null;
  saving: Promise<void> | null;
  dirty: boolean;
  /* How often saving has failed in a row. */
  failures: number;
  /* Deleted: a late save must not bring it back. */
  gone: boolean;
}

const SAVE_WHILE_STREAMING_MS = 3000;
const SAVE_AGAIN_MS = [2000, 5000, 15_000, 60_000];
const LOADING_DEADLINE_MS = 600_000;
const MODEL_KEY = "secai.model";

export const conversations = signal<ConversationEntry[] | null>(null);
export const search = signal("");
export const announcement = signal("");
export const opening = signal(false);
export const openError = signal("");

function preferredModel(): string {
  const list = usableModels.value;
  let last = "";
  try {
    last = localStorage.getItem(MODEL_KEY) ?? "";
  } catch {
    /* No storage: the loaded one or the first. */
  }
  return (list.find((m) => m.sha256 === last) ?? loadedModel.value ?? list[0])?.sha256 ?? "";
}

function newChat(): Chat {
  return {
    id: signal(null),
    doc: signal({ title: "", model: "", system: "", settings: {}, messages: [] }),
    phase: signal<Phase>({ is: "idle" }),
    draft: signal(loadDraft("new")),
    error: signal(""),
    save: signal<"saved" | "saving" | "unsaved">("saved"),
    abort: null, saving: null, dirty: false, failures: 0, gone: false,
  };
}

export const current = signal<Chat>(newChat());
/* Chats with an answer under way or something unsaved stay here when another one is opened. */
const kept = new Map<string, Chat>();
export const busyIds = signal<ReadonlySet<string>>(new Set());

/* The model that the next message goes to: the conversation's own while it is in the library. */
export const chosenModel = computed(() => {
  const list = usableModels.value;
  const own = current.value.doc.value.model;
  return list.find((m) => m.sha256 === own) ?? list.find((m) => m.sha256 === preferredModel()) ?? null;
});

export function chooseModel(sha256: string): void {
  const chat = current.value;

  chat.doc.value = { ...chat.doc.value, model: sha256 };
  try {
    localStorage.setItem(MODEL_KEY, sha256);
  } catch {
    /* Only the choice for next time is lost. */
  }
  if (chat.id.value) void save(chat);
}

export function setDraft(chat: Chat, text: string): void {
  chat.draft.value = text;
  keepDraft(chat.id.value ?? "new", text);
}

/* ---- the list ---- */

let listRequest = 0;
let nextUnsaved = 1;

export async function refreshConversations(): Promise<void> {
  const mine = ++listRequest;
  const q = search.value.trim();
  const answer = await request<{ conversations?: ConversationEntry[] }>("GET", `/api/conversations${q ? `?q=${encodeURIComponent(q)}` : ""}`);

  if (mine === listRequest) conversations.value = answer.conversations ?? [];
}

function noteInList(id: string, title: string, model: string): void {
  if (search.value.trim() !== "") return;
  const rest = (conversations.value ?? []).filter((c) => c.id !== id);
  conversations.value = [{ id, title, model, updated_at: new Date().toISOString() }, ...rest];
}

/* ---- saving ---- */

/* A running answer is saved as lost: when this page dies, half an answer must not look whole. */
function toSave(chat: Chat): Conversation {
  const doc = chat.doc.value;
  const messages = doc.messages.filter((m) => m.content !== "");
  const last = messages[messages.length - 1];

  if (chat.phase.value.is === "idle" || last?.role !== "assistant") return { ...doc, messages };
  return { ...doc, messages: [...messages.slice(0, -1), { ...last, cut: last.cut ?? "lost" }] };
}

async function put(chat: Chat): Promise<void> {
  const doc = toSave(chat);
  const id = chat.id.value;

  if (id) {
    try {
      await request("PUT", `/api/conversations/${encodeURIComponent(id)}`, { body: doc });
      noteInList(id, doc.title, doc.model);
      return;
    } catch (error) {
      /* Deleted in another tab: what is on the screen is not thrown away. */
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
  }
  const made = await request<{ id: string }>("POST", "/api/conversations", { body: doc });
  adopt(chat, made.id);
  noteInList(made.id, doc.title, doc.model);
}

function forget(chat: Chat): void {
  for (const [key, other] of kept) if (other === chat) kept.delete(key);
}

/* What is neither saved nor empty is held when another conversation is opened. */
function leave(chat: Chat): void {
  if (chat.id.value === null && chat.doc.value.messages.length > 0) kept.set(`unsaved-${nextUnsaved++}`, chat);
  settle(chat);
}

function adopt(chat: Chat, id: string): void {
  if (chat.id.value === null && current.value === chat) keepDraft("new", "");
  forget(chat);
  chat.id.value = id;
  kept.set(id, chat);
  keepDraft(id, chat.draft.value);
  if (current.value === chat && route.value.page === "chat") replace("chat", id);
}

/* Tells of the first failure only, and tries again later when that may help. */
function notSaved(chat: Chat, error: unknown): void {
  const refused = error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 401;

  chat.dirty = true;
  chat.save.value = "unsaved";
  if (chat.failures === 0 || refused) report(error);
  if (refused) return;
  const delay = SAVE_AGAIN_MS[Math.min(chat.failures++, SAVE_AGAIN_MS.length - 1)];
  setTimeout(() => {
    if (chat.save.value === "unsaved" && session.value?.state === "open") void save(chat);
  }, delay);
}

async function saveAll(chat: Chat): Promise<void> {
  try {
    while (chat.dirty && !chat.gone) {
      chat.dirty = false;
      chat.save.value = "saving";
      await put(chat);
    }
    chat.failures = 0;
    chat.save.value = "saved";
  } catch (error) {
    notSaved(chat, error);
  } finally {
    chat.saving = null;
    settle(chat);
  }
}

/* One save at a time a conversation; what changes meanwhile is saved after it. */
export function save(chat: Chat): Promise<void> {
  if (chat.gone) return Promise.resolve();
  chat.dirty = true;
  return (chat.saving ??= saveAll(chat));
}

/* After a new login, what could not be saved is saved. */
session.subscribe((s) => {
  if (s?.state !== "open") return;
  for (const chat of new Set([current.value, ...kept.values()])) if (chat.save.value === "unsaved") void save(chat);
});

function settle(chat: Chat): void {
  const busy = [...kept].filter(([, c]) => c.phase.value.is !== "idle").map(([key]) => key);

  busyIds.value = new Set(busy);
  if (chat !== current.value && chat.phase.value.is === "idle" && chat.save.value === "saved") forget(chat);
}

/* ---- opening ---- */

export function startNew(): void {
  const chat = newChat();
  chat.doc.value = { ...chat.doc.value, model: preferredModel() };
  openError.value = "";
  opening.value = false;
  const left = current.value;
  current.value = chat;
  leave(left);
}

function complete(raw: Partial<Conversation>): Conversation {
  return {
    title: raw.title ?? "", model: raw.model ?? "", system: raw.system ?? "",
    settings: Object.fromEntries(Object.entries(raw.settings ?? {}).filter(([, v]) => typeof v === "number")),
    messages: (raw.messages ?? []).filter((m) => m.role === "user" || m.role === "assistant"),
  };
}

export async function fetchConversation(id: string): Promise<Conversation> {
  return complete(await request<Partial<Conversation>>("GET", `/api/conversations/${encodeURIComponent(id)}`));
}

export async function open(id: string): Promise<void> {
  openError.value = "";
  opening.value = false;
  if (current.value.id.value === id) return;
  const running = kept.get(id);
  if (running) {
    const left = current.value;
    current.value = running;
    leave(left);
    return;
  }
  opening.value = true;
  try {
    const doc = await fetchConversation(id);
    if (route.value.id !== id) return;
    const chat = newChat();
    chat.id.value = id;
    chat.doc.value = doc;
    chat.draft.value = loadDraft(id);
    kept.set(id, chat);
    const left = current.value;
    current.value = chat;
    leave(left);
  } catch (error) {
    if (route.value.id === id) openError.value = error instanceof ApiError && error.status === 404 ? "This conversation no longer exists." : explain(error);
  } finally {
    /* Another one may have been opened meanwhile. */
    if (route.value.id === id) opening.value = false;
  }
}

export async function rename(id: string, title: string): Promise<void> {
  const chat = kept.get(id) ?? (current.value.id.value === id ? current.value : null);

  if (chat) {
    chat.doc.value = { ...chat.doc.value, title };
    await save(chat);
  } else {
    await request("PUT", `/api/conversations/${encodeURIComponent(id)}`, { body: { ...(await fetchConversation(id)), title } });
  }
  conversations.value = (conversations.value ?? []).map((c) => (c.id === id ? { ...c, title } : c));
}

export async function remove(id: string): Promise<void> {
  const chat = kept.get(id);

  if (chat) chat.gone = true;
  chat?.abort?.abort();
  await chat?.saving;
  try {
    await request("DELETE", `/api/conversations/${encodeURIComponent(id)}`);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) {
      if (chat) chat.gone = false;
      throw error;
    }
  }
  keepDraft(id, "");
  kept.delete(id);
  conversations.value = (conversations.value ?? []).filter((c) => c.id !== id);
  if (current.value.id.value === id) {
    startNew();
    replace("chat");
  }
}

export function forgetChats(): void {
  for (const chat of new Set([current.value, ...kept.values()])) {
    chat.gone = true;
    chat.abort?.abort();
  }
  kept.clear();
  conversations.value = null;
  search.value = "";
  busyIds.value = new Set();
  current.value = newChat();
}

/* ---- answers ---- */

function setLast(chat: Chat, message: Message): void {
  const messages = chat.doc.value.messages.slice(0, -1);
  chat.doc.value = { ...chat.doc.value, messages: [...messages, message] };
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("stopped", "AbortError"));
    }, { once: true });
  });
}

/* While nothing has come yet, tells whether the model is still on its way into memory. */
function watchLoading(chat: Chat, since: number): () => void {
  const timer = setInterval(() => {
    refreshInference().then(() => {
      const phase = chat.phase.value.is;
      if (phase !== "waiting" && phase !== "loading") return;
      chat.phase.value = { is: inference.value?.state === "loading" ? "loading" : "waiting", since };
    }, () => undefined);
  }, 700);
  return () => clearInterval(timer);
}

/* Draws at most once a frame, however fast tokens come; a page that nobody sees draws by a timer. */
function framed(draw: () => void): { request: () => void; flush: () => void } {
  let pending = false;
  const run = () => {
    if (!pending) return;
    pending = false;
    draw();
  };
  return {
    request: () => {
      if (pending) return;
      pending = true;
      if (document.visibilityState === "visible") requestAnimationFrame(run);
      else setTimeout(run, 250);
    },
    flush: run,
  };
}

async function streamAnswer(chat: Chat, model: string, signal: AbortSignal, since: number, take: (data: string) => void): Promise<void> {
  const { settings } = chat.doc.value;
  const body = { model, messages: requestMessages(chat.doc.value), ...settings, stream: true };

  for (;;) {
    try {
      await stream("POST", "/api/chat", body, signal, LOADING_DEADLINE_MS, () => undefined, (e) => take(e.data));
      return;
    } catch (error) {
      const loading = error instanceof ApiError && error.code === "model_loading";
      if (!loading || performance.now() - since > LOADING_DEADLINE_MS) throw error;
      chat.phase.value = { is: "loading", since };
      await wait(1000, signal);
    }
  }
}

async function answer(chat: Chat, model: string, name: string): Promise<void> {
  const abort = new AbortController();
  const since = performance.now();
  let state: Answer = EMPTY_ANSWER;
  let spoken = 0;
  let savedAt = since;

  chat.abort = abort;
  chat.error.value = "";
  chat.phase.value = { is: inference.value?.state === "ready" ? "waiting" : "loading", since };
  announcement.value = `${name} is answering.`;
  const say = (finished: boolean) => {
    const next = speakable(state.content, spoken, finished);
    spoken = next.spoken;
    if (next.text) announcement.value = next.text;
  };
  const frame = framed(() => {
    setLast(chat, { role: "assistant", content: state.content });
    say(false);
  });
  const stopWatching = watchLoading(chat, since);
  const take = (data: string) => {
    state = reduceAnswer(state, data, performance.now());
    if (state.content !== "" && chat.phase.value.is !== "answering") {
      stopWatching();
      chat.phase.value = { is: "answering", since };
    } else if (state.thoughts > 0 && (chat.phase.value.is === "waiting" || chat.phase.value.is === "loading")) {
      stopWatching();
      chat.phase.value = { is: "thinking", since };
    }
    frame.request();
    if (performance.now() - savedAt > SAVE_WHILE_STREAMING_MS) {
      savedAt = performance.now();
      frame.flush();
      void save(chat);
    }
  };

  let failed = "";
  try {
    await streamAnswer(chat, model, abort.signal, since, take);
  } catch (error) {
    if (!isAbort(error)) failed = explain(error);
  }
  stopWatching();
  frame.flush();
  finish(chat, state, abort.signal.aborted, failed);
  say(true);
  announcement.value = failed ? `The answer failed. ${failed}` : announcement.value;
  refreshInference().catch(() => undefined);
}

function finish(chat: Chat, state: Answer, stopped: boolean, failed: string): void {
  chat.abort = null;
  chat.error.value = failed;
  if (state.content === "" && (failed || stopped)) chat.doc.value = { ...chat.doc.value, messages: chat.doc.value.messages.slice(0, -1) };
  else if (state.content === "") {
    chat.doc.value = { ...chat.doc.value, messages: chat.doc.value.messages.slice(0, -1) };
    chat.error.value = state.thoughts > 0 ? "The model thought, but never came to an answer. Allow a longer answer in the settings, or put the question in other words."
      : "The model gave an empty answer. Try again, or put the question in other words.";
  } else setLast(chat, toMessage(state, stopped));
  chat.phase.value = { is: "idle" };
  void save(chat);
}

/* Asks with the messages as they stand; the last one is the owner's. */
async function ask(chat: Chat, messages: Message[]): Promise<void> {
  const model = chosenModel.value;

  if (!model || chat.phase.value.is !== "idle") return;
  const title = chat.doc.value.title || titleFrom(messages[0]?.content ?? "");
  chat.phase.value = { is: "waiting", since: performance.now() };
  chat.doc.value = { ...chat.doc.value, title, model: model.sha256, messages };
  await save(chat);
  chat.doc.value = { ...chat.doc.value, messages: [...messages, { role: "assistant", content: "" }] };
  const running = answer(chat, model.sha256, model.name);
  settle(chat);
  await running;
  settle(chat);
}

export async function sendDraft(chat: Chat): Promise<void> {
  const text = chat.draft.value.trim();

  if (text === "" || chat.phase.value.is !== "idle" || !chosenModel.value) return;
  setDraft(chat, "");
  await ask(chat, [...chat.doc.value.messages, { role: "user", content: text }]);
}

export function resendEdited(chat: Chat, index: number, text: string): Promise<void> {
  return ask(chat, editAt(chat.doc.value.messages, index, text.trim()));
}

export function regenerate(chat: Chat, index: number): Promise<void> {
  return ask(chat, dropAnswer(chat.doc.value.messages, index));
}

/* After an error the question stands there without an answer. */
export function askAgain(chat: Chat): Promise<void> {
  return ask(chat, chat.doc.value.messages);
}

export function stop(chat: Chat): void {
  chat.abort?.abort();
}
