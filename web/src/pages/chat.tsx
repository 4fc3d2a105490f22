import { memo } from "preact/compat";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { explain } from "../lib/errors";
import { count, dayGroup, duration, speed } from "../lib/format";
import type { ConversationEntry, Cut, Message } from "../lib/types";
import {
  askAgain, busyIds, chooseModel, chosenModel, conversations, current, open, openError, opening, refreshConversations, regenerate, remove,
  rename, resendEdited, search, sendDraft, setDraft, startNew, stop, type Chat,
} from "../state/chat";
import { importDemo } from "../state/jobs";
import { inference, isLoaded, label, models, usableModels } from "../state/models";
import { report } from "../state/notices";
import { go, link, route } from "../state/router";
import { Icon } from "../ui/icons";
import { Markdown } from "../ui/markdown";
import { Bar, Button, Chip, Confirm, CopyButton, Dialog, Field, IconButton, Note } from "../ui/parts";
import { useMedia, useNow } from "../ui/hooks";
import { focusWish, isFresh, newConversation } from "../ui/shortcuts";
import { SettingsDialog } from "./chat-settings";

/* ---- saved conversations ---- */

function RenameDialog({ entry, onClose }: { entry: ConversationEntry; onClose: () => void }) {
  const [title, setTitle] = useState(entry.title);
  const [busy, setBusy] = useState(false);
  const ref = useRef<HTMLInputElement>(null);

  useEffect(() => ref.current?.select(), []);
  const submit = (e: Event) => {
    e.preventDefault();
    if (title.trim() === "") return;
    setBusy(true);
    rename(entry.id, title.trim()).then(onClose, (error) => {
      setBusy(false);
      report(error);
    });
  };
  return (
    <Dialog title="Rename conversation" onClose={onClose}>
      <form onSubmit={submit}>
        <Field label="Name">
          {(p) => <input {...p} ref={ref} class="input" value={title} maxLength={100} onInput={(e) => setTitle(e.currentTarget.value)} />}
        </Field>
        <div class="dialog-actions inside">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" busy={busy} disabled={title.trim() === ""}>Rename</Button>
        </div>
      </form>
    </Dialog>
  );
}

function Entry({ entry, onOpen }: { entry: ConversationEntry; onOpen: () => void }) {
  const [asked, setAsked] = useState<"rename" | "delete" | null>(null);
  const here = route.value.id === entry.id;

  return (
    <li class={`entry${here ? " here" : ""}`}>
      <a href={link("chat", entry.id)} aria-current={here ? "true" : undefined} onClick={onOpen} title={entry.title}>
        <span class="entry-title">{entry.title || "Untitled"}</span>
        {busyIds.value.has(entry.id) ? <span class="dot live" role="img" aria-label="answering" /> : null}
      </a>
      <span class="entry-tools">
        <IconButton small icon="pencil" label={`Rename “${entry.title}”`} onClick={() => setAsked("rename")} />
        <IconButton small icon="trash" label={`Delete “${entry.title}”`} onClick={() => setAsked("delete")} />
      </span>
      {asked === "rename" ? <RenameDialog entry={entry} onClose={() => setAsked(null)} /> : null}
      {asked === "delete" ? (
        <Confirm title="Delete this conversation?" yes="Delete" onYes={() => remove(entry.id)} onClose={() => setAsked(null)}>
          <p>“{entry.title}” is deleted from this machine for good.</p>
        </Confirm>
      ) : null}
    </li>
  );
}

function ConversationList({ onOpen }: { onOpen: () => void }) {
  const list = conversations.value;
  const ref = useRef<HTMLInputElement>(null);
  const error = useSignal("");
  const query = search.value;

  useEffect(() => {
    const timer = setTimeout(() => {
      error.value = "";
      refreshConversations().catch((failure) => { error.value = explain(failure); });
    }, query ? 180 : 0);
    return () => clearTimeout(timer);
  }, [query]);
  useEffect(() => {
    if (isFresh("search")) ref.current?.focus();
  }, [focusWish.value]);
  const now = new Date();
  const groups = (["Today", "Yesterday", "Last 7 days", "Earlier"] as const)
    .map((name) => ({ name, entries: (list ?? []).filter((c) => dayGroup(c.updated_at, now) === name) }))
    .filter((g) => g.entries.length > 0);

  return (
    <>
      <Button look="plain" icon="plus" class="full new-chat" onClick={() => { newConversation(); onOpen(); }}>New conversation</Button>
      <div class="search">
        <Icon name="search" size={17} />
        <input ref={ref} class="input" type="search" placeholder="Search conversations" aria-label="Search conversations" value={query} maxLength={200}
          onInput={(e) => { search.value = e.currentTarget.value; }} />
      </div>
      <div class="entries" tabIndex={-1}>
        {error.value ? <Note tone="bad">{error.value}</Note> : null}
        {list === null && !error.value ? <div class="skeletons" aria-hidden="true"><i /><i /><i /></div> : null}
        {list?.length === 0 ? <p class="empty-line">{query ? `Nothing found for “${query}”.` : "Your conversations are kept here, on this machine only."}</p> : null}
        {groups.map((g) => (
          <section key={g.name} aria-label={g.name}>
            <h2 class="group">{g.name}</h2>
            <ul>{g.entries.map((c) => <Entry key={c.id} entry={c} onOpen={onOpen} />)}</ul>
          </section>
        ))}
      </div>
    </>
  );
}

/* ---- messages ---- */

const CUT_TEXT: Record<Cut, string> = {
  stopped: "You stopped this answer",
  length: "Cut at the longest answer allowed",
  lost: "Broken off before its end",
};

function AnswerFoot({ chat, message, index, last }: { chat: Chat; message: Message; index: number; last: boolean }) {
  const facts = [
    message.tokens ? count(message.tokens, "token") : "",
    message.tokens_per_second ? speed(message.tokens_per_second) : "",
  ].filter(Boolean);

  return (
    <div class="foot">
      {message.cut ? <Chip tone="warn" icon="alert">{CUT_TEXT[message.cut]}</Chip> : null}
      <CopyButton text={() => message.content} label="Copy answer" bare />
      <IconButton small icon="refresh" label={last ? "Answer again" : "Answer again from here"} disabled={chat.phase.value.is !== "idle" || !chosenModel.value} onClick={() => { regenerate(chat, index).catch(report); }} />
      {facts.length > 0 ? <span class="facts">{facts.join(" · ")}</span> : null}
    </div>
  );
}

function EditBox({ text, later, onSend, onCancel }: { text: string; later: boolean; onSend: (text: string) => void; onCancel: () => void }) {
  const [value, setValue] = useState(text);
  const ref = useRef<HTMLTextAreaElement>(null);

  useEffect(() => {
    ref.current?.focus();
    ref.current?.setSelectionRange(text.length, text.length);
  }, []);
  useLayoutEffect(() => fit(ref.current, 400), [value]);
  const keys = (e: KeyboardEvent) => {
    if (e.key === "Escape") {
      e.preventDefault();
      onCancel();
    } else if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
      e.preventDefault();
      if (value.trim()) onSend(value);
    }
  };
  return (
    <div class="edit">
      <textarea ref={ref} class="input" aria-label="Edit your message" rows={1} value={value} onInput={(e) => setValue(e.currentTarget.value)} onKeyDown={keys} />
      <div class="edit-foot">
        {later ? <span class="field-hint">What came after this message is replaced.</span> : null}
        <Button small onClick={onCancel}>Cancel</Button>
        <Button small look="primary" disabled={value.trim() === ""} onClick={() => onSend(value)}>Send again</Button>
      </div>
    </div>
  );
}

interface MessageProps {
  chat: Chat;
  message: Message;
  index: number;
  last: boolean;
}

/* Kept as they are while another message streams: a long conversation costs no more a frame than a short one. */
const UserMessage = memo(function UserMessage({ chat, message, index, last }: MessageProps) {
  const [editing, setEditing] = useState(false);
  const idle = chat.phase.value.is === "idle";
  const send = (text: string) => {
    setEditing(false);
    resendEdited(chat, index, text).catch(report);
  };

  if (editing) return <article class="message user" aria-label="You, editing"><EditBox text={message.content} later={!last} onSend={send} onCancel={() => setEditing(false)} /></article>;
  return (
    <article class="message user" aria-label="You">
      <div class="bubble">{message.content}</div>
      <div class="foot">
        <CopyButton text={() => message.content} label="Copy message" bare />
        <IconButton small icon="pencil" label="Edit and send again" disabled={!idle || !chosenModel.value} onClick={() => setEditing(true)} />
      </div>
    </article>
  );
});

function Waiting({ chat }: { chat: Chat }) {
  const phase = chat.phase.value;
  const now = useNow(1000);
  const loading = phase.is === "loading";
  const seconds = phase.is === "idle" ? 0 : (performance.now() - phase.since) / 1000;

  void now;
  return (
    <div class="waiting">
      {loading ? (
        <>
          <p>Loading {chosenModel.value?.name ?? "the model"} into memory… {seconds >= 3 ? <span class="facts">{duration(seconds)}</span> : null}</p>
          <Bar label="Loading the model" />
        </>
      ) : phase.is === "thinking" ? <p>Thinking… {seconds >= 3 ? <span class="facts">{duration(seconds)}</span> : null}</p>
        : <p class="thinking"><span class="sr-only">Waiting for the first word</span><i /><i /><i /></p>}
    </div>
  );
}

const AssistantMessage = memo(function AssistantMessage({ chat, message, index, last }: MessageProps) {
  const running = last && chat.phase.value.is !== "idle";

  return (
    <article class={`message assistant${running ? " running" : ""}`} aria-label="Answer" aria-busy={running ? "true" : undefined}>
      <span class="avatar" aria-hidden="true"><Icon name="spark" size={16} /></span>
      <div class="answer">
        {message.content === "" && running ? <Waiting chat={chat} /> : <Markdown text={message.content} />}
        {running ? null : <AnswerFoot chat={chat} message={message} index={index} last={last} />}
      </div>
    </article>
  );
});

const IDEAS = ["What is the capital of Norway?", "How much is 7 plus 4?", "What is the opposite of first?", "How can I build a bird house?"];

function Welcome({ chat }: { chat: Chat }) {
  const list = usableModels.value;
  const [busy, setBusy] = useState(false);

  if (models.value === null) return <div class="welcome"><div class="skeletons" aria-hidden="true"><i /><i /></div></div>;
  if (list.length === 0) {
    const demo = () => {
      setBusy(true);
      importDemo().then(() => go("models"), report).finally(() => setBusy(false));
    };
    return (
      <div class="welcome">
        <span class="welcome-mark"><Icon name="models" size={30} /></span>
        <h2>First, a model</h2>
        <p>A model is the file that gives the answers. Every model passes seven checks before it may run here, and then works without any network.</p>
        <div class="welcome-actions">
          <Button look="primary" icon="spark" busy={busy} onClick={demo}>Try the included demo model</Button>
          <a class="button plain" href={link("models")}><Icon name="upload" /><span>Add a model file</span></a>
        </div>
        <p class="aside">The demo model “Pebble” is tiny (1 MB): it shows how everything works, not how clever a model can be.</p>
      </div>
    );
  }
  return (
    <div class="welcome">
      <span class="welcome-mark"><Icon name="spark" size={30} /></span>
      <h2>What would you like to know?</h2>
      <p>{chosenModel.value ? <><strong>{label(chosenModel.value)}</strong> answers on this machine. Nothing you write leaves it.</> : "Choose a model below to begin."}</p>
      <ul class="ideas">
        {IDEAS.map((idea) => <li key={idea}><button type="button" onClick={() => { setDraft(chat, idea); sendDraft(chat).catch(report); }}>{idea}</button></li>)}
      </ul>
    </div>
  );
}

/* ---- the writing field ---- */

function fit(area: HTMLTextAreaElement | null, max: number): void {
  if (!area) return;
  area.style.setProperty("height", "auto");
  area.style.setProperty("height", `${Math.min(area.scrollHeight + 2, max)}px`);
}

function ModelChoice({ chat }: { chat: Chat }) {
  const list = usableModels.value;
  const chosen = chosenModel.value;
  const state = inference.value;
  const loading = state?.state === "loading";
  const loaded = chosen !== null && isLoaded(chosen);

  if (list.length === 0) return <span class="model-choice"><span class="facts">No model yet</span></span>;
  return (
    <span class="model-choice">
      <span class={`dot ${loaded ? "good" : loading ? "live" : ""}`} aria-hidden="true" />
      <select class="select" aria-label="Model" value={chosen?.sha256 ?? ""} disabled={chat.phase.value.is !== "idle"} onChange={(e) => chooseModel(e.currentTarget.value)}>
        {list.map((m) => <option key={m.sha256} value={m.sha256}>{label(m)}</option>)}
      </select>
      <span class="facts model-state">{loading ? "loading…" : loaded ? "ready" : "loads with the first message"}</span>
    </span>
  );
}

function Composer({ chat }: { chat: Chat }) {
  const ref = useRef<HTMLTextAreaElement>(null);
  const text = chat.draft.value;
  const idle = chat.phase.value.is === "idle";
  const ready = chosenModel.value !== null;
  const wide = useMedia("(min-width: 861px)");

  useLayoutEffect(() => fit(ref.current, 260), [text]);
  useEffect(() => {
    if (wide && !isFresh("search")) ref.current?.focus({ preventScroll: true });
  }, [chat]);
  useEffect(() => {
    if (isFresh("composer")) ref.current?.focus();
  }, [focusWish.value]);
  const send = () => { sendDraft(chat).catch(report); };
  const keys = (e: KeyboardEvent) => {
    if (e.key !== "Enter" || e.shiftKey || e.isComposing) return;
    e.preventDefault();
    if (idle) send();
  };
  return (
    <form class="composer" onSubmit={(e) => { e.preventDefault(); send(); }}>
      <div class="composer-box">
        <textarea ref={ref} aria-label="Message" placeholder={ready ? "Write a message…" : "Add a model first"} rows={1} value={text} maxLength={200_000}
          onInput={(e) => setDraft(chat, e.currentTarget.value)} onKeyDown={keys} />
        <div class="composer-row">
          <ModelChoice chat={chat} />
          {idle
            ? <Button type="submit" look="primary" icon="send" class="send" aria-label="Send" title="Send (Enter)" disabled={!ready || text.trim() === ""} />
            : <Button look="primary" icon="stop" class="send" aria-label="Stop the answer" title="Stop (Esc)" onClick={() => stop(chat)} />}
        </div>
      </div>
      <p class="composer-note">Models make mistakes. Check what matters.</p>
    </form>
  );
}

/* ---- the page ---- */

const NEAR_END_PX = 80;

function Log({ chat }: { chat: Chat }) {
  const ref = useRef<HTMLDivElement>(null);
  const follow = useRef(true);
  const [away, setAway] = useState(false);
  const { messages } = chat.doc.value;
  const lastText = messages[messages.length - 1]?.content;

  const toEnd = () => {
    const el = ref.current;
    if (el) el.scrollTop = el.scrollHeight;
  };
  useLayoutEffect(() => {
    follow.current = true;
    toEnd();
  }, [chat, messages.length]);
  useLayoutEffect(() => {
    if (follow.current) toEnd();
  }, [lastText, chat.phase.value]);
  const scrolled = () => {
    const el = ref.current;
    if (!el) return;
    follow.current = el.scrollHeight - el.scrollTop - el.clientHeight < NEAR_END_PX;
    setAway(!follow.current);
  };
  return (
    <div class="log-wrap">
      <div class="log" ref={ref} onScroll={scrolled} role="region" aria-label="Messages" tabIndex={0}>
        <div class="column">
          {messages.length === 0 ? <Welcome chat={chat} /> : messages.map((m, i) => {
            const last = i === messages.length - 1;
            return m.role === "user"
              ? <UserMessage key={i} chat={chat} message={m} index={i} last={last} />
              : <AssistantMessage key={i} chat={chat} message={m} index={i} last={last} />;
          })}
          {chat.error.value ? (
            <Note tone="bad" title="No answer" action={<Button small icon="refresh" disabled={!chosenModel.value} onClick={() => { askAgain(chat).catch(report); }}>Try again</Button>}>
              {chat.error.value}
            </Note>
          ) : messages.length > 0 && messages[messages.length - 1]?.role === "user" && chat.phase.value.is === "idle" ? (
            <Note tone="info" action={<Button small icon="refresh" disabled={!chosenModel.value} onClick={() => { askAgain(chat).catch(report); }}>Ask again</Button>}>This question has no answer yet.</Note>
          ) : null}
        </div>
      </div>
      {away && messages.length > 0 ? <Button small icon="chevron" class="to-end" onClick={() => { follow.current = true; toEnd(); }}>Latest</Button> : null}
    </div>
  );
}

const SAVE_TEXT = { saved: "Saved on this machine", saving: "Saving…", unsaved: "Not saved yet" };

export function ChatPage() {
  const chat = current.value;
  const narrow = useMedia("(max-width: 860px)");
  const [drawer, setDrawer] = useState(false);
  const [settings, setSettings] = useState(false);
  const id = route.value.id;
  const doc = chat.doc.value;
  const title = openError.value ? "Conversation" : doc.title || "New conversation";

  useEffect(() => {
    if (route.value.page !== "chat") return;
    if (id) open(id).catch(report);
    else if (current.value.id.value) startNew();
  }, [id]);
  useEffect(() => {
    if (narrow && isFresh("search")) setDrawer(true);
  }, [focusWish.value]);
  return (
    <div class="chat">
      {narrow ? null : <aside class="side" aria-label="Conversations"><ConversationList onOpen={() => undefined} /></aside>}
      {drawer && narrow ? <Dialog title="Conversations" drawer onClose={() => setDrawer(false)}><ConversationList onOpen={() => setDrawer(false)} /></Dialog> : null}
      <main class="chat-main" id="main" tabIndex={-1}>
        <div class="chat-head">
          {narrow ? <IconButton icon="list" label="Conversations" onClick={() => setDrawer(true)} /> : null}
          <h1 tabIndex={-1}>{title}</h1>
          {doc.messages.length > 0 ? <span class={`facts save ${chat.save.value}`}>{SAVE_TEXT[chat.save.value]}</span> : null}
          <IconButton icon="sliders" label="Settings of this conversation" onClick={() => setSettings(true)} class={doc.system || Object.keys(doc.settings).length > 0 ? "set" : ""} />
        </div>
        {openError.value && id ? (
          <div class="log-wrap"><div class="column pad">
            <Note tone="bad" title="This conversation can't be shown" action={<Button small onClick={newConversation}>New conversation</Button>}>{openError.value}</Note>
          </div></div>
        ) : opening.value && id !== chat.id.value ? (
          <div class="log-wrap"><div class="column pad" aria-busy="true"><div class="skeletons tall" aria-hidden="true"><i /><i /><i /></div></div></div>
        ) : <><Log chat={chat} /><Composer chat={chat} /></>}
      </main>
      {settings ? <SettingsDialog chat={chat} onClose={() => setSettings(false)} /> : null}
    </div>
  );
}
