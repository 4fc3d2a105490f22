import { useEffect, useRef, useState } from "preact/hooks";
import { loadSession, request, session } from "./lib/api";
import { explain } from "./lib/errors";
import { ChatPage } from "./pages/chat";
import { Login, Setup, Unreachable } from "./pages/gate";
import { ModelsPage } from "./pages/models";
import { StatusPage } from "./pages/status";
import { current, forgetChats, refreshConversations, announcement as chatSpeech } from "./state/chat";
import { wipeDrafts } from "./state/drafts";
import { activeCount, announcement as jobSpeech, forgetJobs, isUploading, watchJobs } from "./state/jobs";
import { watchIdle } from "./state/idle";
import { inference, models, refreshInference, refreshModels } from "./state/models";
import { notices, report } from "./state/notices";
import { go, link, page, type Page } from "./state/router";
import { Icon, Mark, type IconName } from "./ui/icons";
import { Notices } from "./ui/notices";
import { Confirm, IconButton } from "./ui/parts";
import { Shortcuts, shortcutsShown } from "./ui/shortcuts";
import { ThemeButton } from "./ui/theme-button";

const PAGES: { page: Page; label: string; icon: IconName }[] = [
  { page: "chat", label: "Chat", icon: "chat" },
  { page: "models", label: "Models", icon: "models" },
  { page: "status", label: "Status", icon: "status" },
];

/* Wipes what this page holds; the service has ended the session, or could not be asked. */
export function forgetAll(): void {
  wipeDrafts();
  forgetChats();
  forgetJobs();
  models.value = null;
  inference.value = null;
  notices.value = [];
}

async function logOut(): Promise<void> {
  await request("POST", "/api/logout");
  forgetAll();
  go("chat");
  await loadSession();
}

/* The chat's link leads back to the conversation that is open. */
function address(target: Page): string {
  return link(target, target === "chat" ? current.value.id.value ?? undefined : undefined);
}

function Header() {
  const active = activeCount.value;
  const [asked, setAsked] = useState(false);
  const leave = () => {
    if (isUploading()) setAsked(true);
    else logOut().catch(report);
  };

  return (
    <header class="top">
      <a class="brand" href={address("chat")} aria-label="SecAI, to the chat"><Mark /><span class="brand-name">SecAI</span></a>
      <nav aria-label="Pages">
        {PAGES.map((p) => (
          <a key={p.page} class="tab" href={address(p.page)} aria-current={page.value === p.page ? "page" : undefined}>
            <Icon name={p.icon} />
            <span>{p.label}</span>
            {p.page === "models" && active > 0 ? <span class="badge" title={`${active} in progress`}>{active}<span class="sr-only"> in progress</span></span> : null}
          </a>
        ))}
      </nav>
      <div class="top-tools">
        <IconButton icon="keyboard" label="Keyboard shortcuts" class="keys-button" onClick={() => { shortcutsShown.value = true; }} />
        <ThemeButton />
        <IconButton icon="lock" label="Lock and log out" onClick={leave} />
      </div>
      {asked ? (
        <Confirm title="Log out during an upload?" yes="Log out" onYes={logOut} onClose={() => setAsked(false)}>
          <p>The upload that is under way is cancelled, and its file is not kept.</p>
        </Confirm>
      ) : null}
    </header>
  );
}

function Shell() {
  const first = useRef(true);

  useEffect(() => {
    refreshModels().catch(report);
    refreshInference().catch(report);
    refreshConversations().catch(report);
  }, []);
  useEffect(() => {
    const name = PAGES.find((p) => p.page === page.value)?.label;
    document.title = `${name} – SecAI`;
    /* A new page takes the focus to its heading, unless a part of it has taken it already. */
    const at = document.activeElement;
    if (first.current) first.current = false;
    else if (!at || at === document.body || at.closest("header")) document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
  }, [page.value]);
  return (
    <div class="shell">
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById("main")?.focus(); }}>Skip to the content</a>
      <Header />
      {page.value === "chat" ? <ChatPage /> : page.value === "models" ? <ModelsPage /> : <StatusPage />}
      <Notices />
      <Shortcuts />
      <div class="sr-only" aria-live="polite">{chatSpeech.value}</div>
      <div class="sr-only" aria-live="polite">{jobSpeech.value}</div>
    </div>
  );
}

export function App() {
  const [error, setError] = useState("");
  const state = session.value?.state;

  const load = () => {
    setError("");
    loadSession().catch((failure) => setError(explain(failure)));
  };
  useEffect(() => {
    load();
    watchJobs();
    watchIdle();
  }, []);
  useEffect(() => {
    if (state !== "open" && state) document.title = "SecAI";
  }, [state]);
  if (error && !session.value) return <Unreachable error={error} onRetry={load} />;
  if (state === "first_run") return <Setup />;
  if (state === "login") return <Login />;
  if (state === "open") return <Shell />;
  return <main class="gate" id="main" aria-busy="true"><h1 class="sr-only">SecAI is loading</h1></main>;
}
