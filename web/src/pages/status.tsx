import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { request, session } from "../lib/api";
import { explain } from "../lib/errors";
import { bytes, duration } from "../lib/format";
import { PASSPHRASE_MIN } from "../lib/strength";
import type { Session, Status } from "../lib/types";
import { inference, models, refreshInference } from "../state/models";
import { notify } from "../state/notices";
import { usePoll } from "../ui/hooks";
import { Icon } from "../ui/icons";
import { Button, Chip, Field, Note, Secret } from "../ui/parts";
import { ShortcutList } from "../ui/shortcuts";
import { StrengthHint } from "./gate";

const status = signal<Status | null>(null);

const SERVICE: Record<string, string> = {
  ui: "This page",
  audit: "Audit log",
  registry: "Model library",
  quarantine: "Checks",
  inference: "Answers",
};

function Services({ list }: { list: NonNullable<Status["services"]> }) {
  const down = list.filter((s) => s.state !== "ok").length;

  return (
    <section aria-labelledby="services">
      <div class="section-head">
        <h2 id="services">Services</h2>
        {down === 0 ? <Chip tone="good" icon="check">All running</Chip> : <Chip tone="bad" icon="alert">{down === 1 ? "1 needs attention" : `${down} need attention`}</Chip>}
      </div>
      <ul class="grid">
        {list.map((s) => (
          <li key={s.name} class={`tile ${s.state}`}>
            <span class={`dot ${s.state === "ok" ? "good" : s.state === "down" ? "bad" : "warn"}`} aria-hidden="true" />
            <div>
              <h3>{SERVICE[s.name] ?? s.name}</h3>
              <p class="facts"><code class="rule">{s.name}</code> {s.state === "ok" ? "running" : s.state === "down" ? "not running" : "limited"}</p>
              {s.message && s.state !== "ok" ? <p>{s.message}</p> : null}
              {s.state === "down" ? <p class="finding-advice">It is restarted by itself. If it stays down, stop SecAI and start it again.</p> : null}
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Facts({ rows }: { rows: [string, string | number | null | undefined][] }) {
  return (
    <dl class="fact-list">
      {rows.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => (
        <div key={name}><dt>{name}</dt><dd>{value}</dd></div>
      ))}
    </dl>
  );
}

function Machine({ s }: { s: Status }) {
  const m = s.machine ?? {};
  const i = inference.value;
  const model = (models.value ?? []).find((x) => x.sha256 === i?.model)?.name ?? i?.model;

  return (
    <section aria-labelledby="machine">
      <div class="section-head"><h2 id="machine">This machine</h2></div>
      <div class="panel">
        <Facts rows={[
          ["Processor", m.cpu], ["Cores", m.cores], ["Memory", m.memory_bytes ? bytes(m.memory_bytes) : null], ["Graphics", m.gpu ?? "none used"],
          ["Kernel", m.kernel],
          ["Model in memory", i?.state === "ready" ? model : i?.state === "loading" ? `${model ?? "a model"}, loading…` : i?.state === "failed" ? `failed${i.reason ? `: ${i.reason}` : ""}` : "none"],
          ["Threads for answers", i?.threads], ["Context", i?.context ? `${i.context.toLocaleString("en")} tokens` : null],
          ["Memory limit of the model", i?.memory_limit ? bytes(i.memory_limit) : null], ["Restarts of the model", i?.restarts],
        ]} />
      </div>
    </section>
  );
}

const AUDIT_GOOD = /^(ok|valid|intact|good)$/;

function Audit({ s }: { s: Status }) {
  const state = s.audit?.state ?? "unknown";
  const good = AUDIT_GOOD.test(state);

  return (
    <section aria-labelledby="audit">
      <div class="section-head"><h2 id="audit">Audit log</h2>{good ? <Chip tone="good" icon="check">Intact</Chip> : <Chip tone="bad" icon="alert">{state === "down" ? "Not running" : state}</Chip>}</div>
      <div class="panel">
        <p>Every decision is written to one log in which nothing can be changed or left out unnoticed{state !== "down" && s.audit?.sequence !== undefined ? <>; it has <strong>{s.audit.sequence.toLocaleString("en")}</strong> {s.audit.sequence === 1 ? "entry" : "entries"}</> : null}. It never holds what you write or what a model answers.</p>
        {good ? <p class="facts">Prove it yourself: <code class="inline">securectl audit verify</code></p>
          : state === "down" ? <Note tone="bad" title="The log does not answer">Until it does, SecAI refuses to import, load or delete anything. It is restarted by itself; if it stays down, stop SecAI and start it again.</Note>
          : <Note tone="bad" title="The log can't be trusted as it is">Run <code class="inline">securectl audit verify</code>: it names the first place that is wrong.</Note>}
      </div>
    </section>
  );
}

function Absent({ list }: { list: NonNullable<Status["absent"]> }) {
  return (
    <section aria-labelledby="absent">
      <div class="section-head"><h2 id="absent">What this machine can’t provide</h2></div>
      {list.length === 0 ? <p class="section-text">Nothing is missing: every protection that SecAI knows is in force.</p> : (
        <>
          <p class="section-text">SecAI works without these, with less protection in depth. It never pretends to have them.</p>
          <ul class="absent">
            {list.map((a) => (
              <li key={a.what}>
                <Icon name="minus" size={18} />
                <div>
                  <h3>{a.what}</h3>
                  {a.why ? <p>{a.why}</p> : null}
                  {a.what_to_do ? <p class="finding-advice"><strong>What to do:</strong> {a.what_to_do}</p> : null}
                </div>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function ChangePassphrase() {
  const [old, setOld] = useState("");
  const [one, setOne] = useState("");
  const [two, setTwo] = useState("");
  const [busy, setBusy] = useState(false);
  const [tried, setTried] = useState(false);
  const [error, setError] = useState("");
  const short = one.length < PASSPHRASE_MIN ? `Use at least ${PASSPHRASE_MIN} characters.` : "";
  const differs = one !== two ? "The two passphrases differ. Type the same one twice." : "";

  const submit = (e: Event) => {
    e.preventDefault();
    setTried(true);
    if (old === "" || short || differs) return;
    setBusy(true);
    setError("");
    request<Session | undefined>("POST", "/api/passphrase", { body: { old, new: one } }).then((answer) => {
      if (answer?.state === "open" && answer.csrf) session.value = answer;
      setOld(""); setOne(""); setTwo(""); setTried(false);
      notify("good", "The passphrase was changed.");
    }, (failure) => setError(explain(failure))).finally(() => setBusy(false));
  };
  return (
    <section aria-labelledby="passphrase">
      <div class="section-head"><h2 id="passphrase">Change passphrase</h2></div>
      <form class="panel narrow" onSubmit={submit} noValidate>
        {error ? <Note tone="bad">{error}</Note> : null}
        <Field label="Passphrase now" error={tried && old === "" ? "Type the passphrase you use now." : ""}>{(p) => <Secret {...p} value={old} onInput={setOld} autocomplete="current-password" />}</Field>
        <Field label="New passphrase" error={tried ? short : ""}>{(p) => <Secret {...p} value={one} onInput={setOne} autocomplete="new-password" />}</Field>
        {one ? <StrengthHint text={one} /> : null}
        <Field label="New passphrase again" error={tried ? differs : ""}>{(p) => <Secret {...p} value={two} onInput={setTwo} autocomplete="new-password" />}</Field>
        <Button type="submit" look="primary" busy={busy}>Change passphrase</Button>
      </form>
    </section>
  );
}

const RENEWED_MS = 5000;
/* The build names the file in the head of the page. */
const LICENCES = document.querySelector<HTMLLinkElement>("link[rel=license]")?.getAttribute("href") ?? "";

export function StatusPage() {
  const [error, setError] = useState("");
  const s = status.value;
  const idle = session.value?.idle_timeout_s;
  const load = () => {
    refreshInference().catch(() => undefined);
    request<Status>("GET", "/api/status").then((answer) => {
      status.value = answer;
      setError("");
    }, (failure) => setError(explain(failure)));
  };

  useEffect(() => () => { status.value = null; }, []);
  usePoll(load, RENEWED_MS, true);
  return (
    <main class="page" id="main" tabIndex={-1}>
      <div class="page-inner">
        <h1 tabIndex={-1}>Status</h1>
        <p class="lead">How SecAI is doing on this machine{s?.version ?? session.value?.version ? `, version ${s?.version ?? session.value?.version}` : ""}.{idle ? ` The page locks itself after ${duration(idle)} without use.` : ""}</p>
        {error ? <Note tone="bad" title="The status can't be read" action={<Button small icon="refresh" onClick={load}>Try again</Button>}>{error}</Note> : null}
        {!s && !error ? <div class="skeletons cards" aria-hidden="true"><i /><i /><i /></div> : null}
        {s ? <>
          <Services list={s.services ?? []} />
          <Absent list={s.absent ?? []} />
          <Machine s={s} />
          <Audit s={s} />
        </> : null}
        <ChangePassphrase />
        <section aria-labelledby="keys">
          <div class="section-head"><h2 id="keys">Keyboard</h2></div>
          <div class="panel"><ShortcutList /></div>
        </section>
        {LICENCES ? <p class="facts"><a href={LICENCES} target="_blank" rel="noopener">Licences of the software in this page</a></p> : null}
      </div>
    </main>
  );
}
