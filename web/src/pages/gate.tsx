/* What stands before the open page: first run, log-in, and "not reachable". */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { loadSession, request, session, sessionNotice } from "../lib/api";
import { ApiError, explain } from "../lib/errors";
import { clock } from "../lib/format";
import { PASSPHRASE_MIN, strength } from "../lib/strength";
import type { Session } from "../lib/types";
import { Mark } from "../ui/icons";
import { useNow } from "../ui/hooks";
import { Button, Field, Note, Secret } from "../ui/parts";
import { ThemeButton } from "../ui/theme-button";

function Card({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <main class="gate" id="main">
      <div class="gate-card">
        <div class="gate-mark"><Mark size={44} /></div>
        <h1>{title}</h1>
        {children}
      </div>
      <footer class="gate-foot">
        <span>Everything here runs on this machine. Nothing you type leaves it.</span>
        <ThemeButton />
      </footer>
    </main>
  );
}

export function StrengthHint({ text }: { text: string }) {
  const s = strength(text);

  return (
    <div class="strength">
      <meter class={`strength-meter s${s.score}`} min={0} max={4} value={s.score} aria-label="Strength of the passphrase" />
      <p role="status">{s.label ? <strong>{s.label}. </strong> : null}{s.hint}</p>
    </div>
  );
}

function accept(answer: Session): void {
  sessionNotice.value = "";
  session.value = answer;
}

export function Setup() {
  const [code, setCode] = useState("");
  const [one, setOne] = useState("");
  const [two, setTwo] = useState("");
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const codeRef = useRef<HTMLInputElement>(null);
  const wrong = {
    code: code.trim() === "" ? "Type the code that was printed when SecAI started." : "",
    one: one.length < PASSPHRASE_MIN ? `Use at least ${PASSPHRASE_MIN} characters.` : "",
    two: two !== one ? "The two passphrases differ. Type the same one twice." : "",
  };

  useEffect(() => codeRef.current?.focus(), []);
  const submit = (e: Event) => {
    e.preventDefault();
    setTried(true);
    if (wrong.code || wrong.one || wrong.two) return;
    setBusy(true);
    setError("");
    request<Session>("POST", "/api/setup", { body: { code: code.trim(), passphrase: one } }).then(accept, (failure) => {
      setBusy(false);
      setError(explain(failure));
    });
  };
  return (
    <Card title="Welcome to SecAI">
      <p class="lead">A private assistant that lives on this machine. Choose a passphrase now; it opens this page from here on.</p>
      {error ? <Note tone="bad">{error}</Note> : null}
      <form onSubmit={submit} noValidate>
        <Field label="One-time code" hint="Printed in the window where you started SecAI. It proves that this machine is yours." error={tried ? wrong.code : ""}>
          {(p) => <input {...p} ref={codeRef} class="input code" value={code} autocomplete="one-time-code" autocapitalize="off" spellcheck={false} maxLength={128} onInput={(e) => setCode(e.currentTarget.value)} />}
        </Field>
        <Field label="Passphrase" error={tried ? wrong.one : ""}>
          {(p) => <Secret {...p} value={one} onInput={setOne} autocomplete="new-password" />}
        </Field>
        <StrengthHint text={one} />
        <Field label="Passphrase again" error={tried || (two !== "" && two.length >= one.length) ? wrong.two : ""}>
          {(p) => <Secret {...p} value={two} onInput={setTwo} autocomplete="new-password" />}
        </Field>
        <p class="aside">There is no way to recover it: nobody but you ever has it. Write it down and keep it somewhere safe.</p>
        <Button type="submit" look="primary" busy={busy} class="full">Set passphrase and start</Button>
      </form>
    </Card>
  );
}

function lockedUntil(failure: unknown): number {
  if (!(failure instanceof ApiError) || failure.code !== "locked_out") return 0;
  const after = Number(failure.detail["retry_after_s"]);
  return Date.now() + (Number.isFinite(after) ? after : 30) * 1000;
}

export function Login() {
  const until = session.value?.locked_until ? Date.parse(session.value.locked_until) : 0;
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const [locked, setLocked] = useState(Number.isFinite(until) ? until : 0);
  const now = useNow(500, locked > 0);
  const left = Math.max(0, locked - now) / 1000;
  const waiting = left > 0;

  useEffect(() => {
    if (locked > 0 && !waiting) {
      setLocked(0);
      setError("");
    }
  }, [waiting, locked]);
  const submit = (e: Event) => {
    e.preventDefault();
    if (text === "" || waiting || busy) return;
    setBusy(true);
    setError("");
    request<Session>("POST", "/api/login", { body: { passphrase: text } }).then(accept, (failure) => {
      setBusy(false);
      setText("");
      setLocked(lockedUntil(failure));
      if (failure instanceof ApiError && failure.status === 409) loadSession().catch(() => undefined);
      setError(explain(failure));
    });
  };
  return (
    <Card title="Welcome back">
      {sessionNotice.value && !error && !waiting ? <Note tone="info">{sessionNotice.value}</Note> : null}
      {waiting ? (
        <Note tone="warn" icon="clock" title="Too many wrong tries">
          <span role="timer">You can try again in {clock(left)}.</span> The pause protects you from guessing and goes on when SecAI is started anew.
        </Note>
      ) : error ? <Note tone="bad">{error}</Note> : null}
      <form onSubmit={submit} noValidate>
        <Field label="Passphrase">
          {(p) => <Secret {...p} value={text} onInput={setText} autocomplete="current-password" autofocus />}
        </Field>
        <Button type="submit" look="primary" busy={busy} disabled={waiting || text === ""} class="full">{waiting ? `Wait ${clock(left)}` : "Unlock"}</Button>
      </form>
    </Card>
  );
}

export function Unreachable({ error, onRetry }: { error: string; onRetry: () => void }) {
  return (
    <Card title="SecAI does not answer">
      <Note tone="bad">{error}</Note>
      <Button look="primary" icon="refresh" onClick={onRetry} class="full">Try again</Button>
    </Card>
  );
}
