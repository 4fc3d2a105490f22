/* One file on its way through the seven checks, and one upload before them. */
import { useEffect, useState } from "preact/hooks";
import { ago, bytes, count, dateTime, duration, milliseconds, rate } from "../lib/format";
import { advice, findings, inSight, isActive, notTested, place, sentence, stageRows, STAGES, statusWord, summary, untestedReason, type PlacedFinding, type StageRow, type StageView } from "../lib/stages";
import type { Job, Rule } from "../lib/types";
import { loadRules, rules } from "../state/documents";
import { apply, cancelUpload, deleteJob, fetchJob, removeUpload, retryJob, retryUpload, type Upload } from "../state/jobs";
import { chooseModel, startNew } from "../state/chat";
import { canAnswer, models } from "../state/models";
import { report } from "../state/notices";
import { go } from "../state/router";
import { useNow } from "../ui/hooks";
import { Icon, type IconName } from "../ui/icons";
import { Bar, Button, Chip, Confirm, CopyButton } from "../ui/parts";
import { Evidence } from "./evidence";

/* ---- upload ---- */

export function UploadCard({ item }: { item: Upload }) {
  const total = item.parcel.body.size;
  const name = item.parcel.name;
  const left = item.meter.secondsLeft(item.loaded, total);
  const speed = rate(item.meter.bytesPerSecond);
  const percent = total > 0 ? Math.floor((item.loaded / total) * 100) : 0;

  return (
    <article class={`card job${item.state === "failed" ? " bad" : ""}`} aria-label={`Upload of ${name}`}>
      <div class="card-head">
        <span class="card-icon"><Icon name="upload" /></span>
        <div class="card-title">
          <h3>{name}</h3>
          <p class="facts">{item.parcel.folder ? `folder with ${count(item.files, "file")}, ` : ""}{bytes(total)}</p>
        </div>
        {item.state === "failed" ? <Chip tone="bad">Upload failed</Chip> : item.state === "queued" ? <Chip>Queued</Chip> : <Chip tone="info">{item.state === "finishing" ? "Arriving" : `Uploading ${percent} %`}</Chip>}
      </div>
      {item.state === "failed" ? <p class="card-text" role="alert">{item.error}</p> : (
        <>
          {item.state === "queued" ? <Bar value={0} max={1} label="Upload, not started" /> : item.state === "finishing" ? <Bar label="Writing to disk" /> : <Bar value={item.loaded} max={total} label={`Upload of ${name}`} />}
          <p class="facts tight">
            {item.state === "queued" ? "Waits for the upload before it" : item.state === "finishing" ? "Writing to disk…" : [`${bytes(item.loaded)} of ${bytes(total)}`, speed, Number.isFinite(left) ? `${duration(left)} left` : ""].filter(Boolean).join(" · ")}
          </p>
        </>
      )}
      <div class="card-actions">
        {item.state === "failed" ? <>
          {total > 0 && item.files > 0 ? <Button small icon="refresh" onClick={() => retryUpload(item.key)}>Upload again</Button> : null}
          <Button small onClick={() => removeUpload(item.key)}>Dismiss</Button>
        </> : <Button small icon="cross" onClick={() => cancelUpload(item.key)}>Cancel</Button>}
      </div>
    </article>
  );
}

/* ---- the seven stages ---- */

const VIEW_ICON: Record<StageView, IconName> = { pass: "check", fail: "cross", not_applicable: "minus", not_run: "minus", running: "clock", pending: "clock", done: "check" };

function StageNode({ row }: { row: StageRow }) {
  const tone = row.view === "pass" && row.warnings > 0 ? "warned" : row.view;

  return (
    <li class={`stage ${tone}`} aria-current={row.view === "running" ? "step" : undefined}>
      <span class="stage-dot" aria-hidden="true">
        <Icon name={row.view === "pending" || row.view === "running" ? row.text.icon : row.view === "pass" && row.warnings > 0 ? "alert" : VIEW_ICON[row.view]} size={18} />
      </span>
      <span class="stage-name">{row.text.label}</span>
      <span class="stage-status">{statusWord(row)}</span>
    </li>
  );
}

function StageRail({ rows }: { rows: StageRow[] }) {
  return <ol class="rail" aria-label="The seven checks">{rows.map((r) => <StageNode key={r.number} row={r} />)}</ol>;
}

function FindingItem({ finding, rule, what }: { finding: PlacedFinding; rule: Rule | undefined; what: string }) {
  const stage = STAGES[finding.stage - 1];

  return (
    <li class={`finding ${finding.severity}`}>
      <Icon name={finding.severity === "info" ? "info" : "alert"} size={18} />
      <div>
        <p class="finding-message"><span class="sr-only">{finding.severity === "reject" ? "Reason: " : finding.severity === "warning" ? "Note: " : "Information: "}</span>{sentence(finding.message)}</p>
        <p class="facts"><code class="rule">{finding.rule}</code> {[stage?.label, place(finding)].filter(Boolean).join(", at ")}</p>
        {rule ? <p class="finding-advice"><strong>What it means:</strong> {rule.meaning}</p> : null}
        {what ? <p class="finding-advice"><strong>What to do:</strong> {what}</p> : null}
      </div>
    </li>
  );
}

function Findings({ list, state }: { list: PlacedFinding[]; state: Job["state"] }) {
  const [all, setAll] = useState(false);
  const shown = all ? list : list.slice(0, inSight(list));
  /* The same advice is given once. */
  const known = shown.map((f) => rules.value.get(f.rule));
  const advices = shown.map((f, i) => advice(f, state, known[i]));

  useEffect(() => {
    if (list.length > 0) loadRules().catch(() => undefined);
  }, [list.length > 0]);

  if (list.length === 0) return null;
  return (
    <>
      <ul class="findings" aria-label="Findings">{shown.map((f, i) => <FindingItem key={`${f.rule}${i}`} finding={f} rule={known.indexOf(known[i]) === i ? known[i] : undefined} what={advices.indexOf(advices[i] ?? "") === i ? advices[i] ?? "" : ""} />)}</ul>
      {list.length > shown.length ? <Button small look="quiet" class="more" onClick={() => setAll(true)}>Show {list.length - shown.length} more {list.length - shown.length === 1 ? "finding" : "findings"}</Button> : null}
    </>
  );
}

function StageTable({ job, rows }: { job: Job; rows: StageRow[] }) {
  return (
    <ol class="stage-table">
      {rows.map((r) => {
        const told = (r.stage?.findings ?? []).filter((f) => f.severity === "info");
        const untested = told.length === 0 ? untestedReason(r, job) : "";
        const facts = [r.stage?.bytes ? `${bytes(r.stage.bytes)} read` : "", r.view === "pass" || r.view === "fail" ? milliseconds(r.stage?.ms) : ""].filter(Boolean);
        return (
          <li key={r.number} class={r.view}>
            <p class="stage-question"><span class="stage-number">{r.number}</span>{r.text.question} <strong>{statusWord(r)}</strong></p>
            <p class="stage-does">{r.text.does}{untested ? <> <em>{untested}</em></> : null}</p>
            {told.map((f, i) => <p key={i} class="stage-told">{sentence(f.message)} <code class="rule">{f.rule}</code></p>)}
            {facts.length > 0 ? <p class="facts">{facts.join(" · ")}</p> : null}
          </li>
        );
      })}
    </ol>
  );
}

/* Silence would promise more than was done. */
function NotTested({ job }: { job: Job }) {
  const list = notTested(job);

  if (list.length === 0) return null;
  return (
    <section class="not-tested" aria-label="What was not tested">
      <h4>What was not tested</h4>
      <ul>{list.map((text) => <li key={text}>{text}</li>)}</ul>
    </section>
  );
}

/* ---- the card ---- */

function StateChip({ job }: { job: Job }) {
  switch (job.state) {
    case "promoted": return <Chip tone="good" icon="check">{job.duplicate ? "Already there" : "Passed"}</Chip>;
    case "rejected": return <Chip tone="bad" icon="cross">Turned away</Chip>;
    case "parked": return <Chip tone="warn" icon="clock">Set aside</Chip>;
    case "waiting": return <Chip>Waiting</Chip>;
    case "receiving": return <Chip tone="info">Arriving</Chip>;
    default: return <Chip tone="info">Checking</Chip>;
  }
}

const SOURCE = { local: "from the inbox", upload: "uploaded", demo: "included demo", url: "downloaded" };

function JobProgress({ job }: { job: Job }) {
  const done = job.bytes_done ?? 0;
  const known = job.state !== "waiting" && done > 0 && done < job.size;
  const questions = job.state === "scanning" && job.stage === 6;

  if (!isActive(job)) return null;
  return (
    <div class="job-progress">
      {known ? <Bar value={done} max={job.size} label={questions ? "Part of the test questions" : "Part of the file"} /> : <Bar label="Check in progress" />}
      <p class="facts tight">{questions ? "The model is answering test questions in its sealed room. This takes longest." : known ? `${bytes(done)} of ${bytes(job.size)} ${job.state === "receiving" ? "arrived" : "read"}` : summary(job)}</p>
    </div>
  );
}

function chatWith(sha256: string): void {
  startNew();
  chooseModel(sha256);
  go("chat");
}

function JobActions({ job, dismissable }: { job: Job; dismissable: boolean }) {
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  const model = job.sha256 ? (models.value ?? []).find((m) => m.sha256 === job.sha256) : undefined;

  if (isActive(job)) return null;
  const retry = () => {
    setBusy(true);
    retryJob(job.id).catch(report).finally(() => setBusy(false));
  };
  return (
    <div class="card-actions">
      {job.state === "promoted" && model && canAnswer(model) ? <Button small look="primary" icon="chat" onClick={() => chatWith(model.sha256)}>Chat with it</Button> : null}
      {job.state === "parked" ? <Button small icon="refresh" busy={busy} onClick={retry}>Check again</Button> : null}
      {dismissable ? <Button small onClick={() => apply({ type: "dismissed", id: job.id })}>OK</Button> : null}
      <Button small look="quiet" icon="trash" onClick={() => setAsked(true)}>{job.state === "promoted" ? "Forget this entry" : "Delete the file"}</Button>
      {asked ? (
        <Confirm title={job.state === "promoted" ? "Forget this entry?" : "Delete this file?"} yes={job.state === "promoted" ? "Forget" : "Delete"} onYes={() => deleteJob(job.id)} onClose={() => setAsked(false)}>
          <p>{job.state === "promoted"
            ? "Only the record of this check goes from the list. The model stays in your library, and the audit log keeps what happened."
            : `“${job.name}” is deleted from this machine for good. The audit log keeps what was found.`}</p>
        </Confirm>
      ) : null}
    </div>
  );
}

export function JobCard({ job, open }: { job: Job; open?: boolean }) {
  const [details, setDetails] = useState(false);
  const active = isActive(job);
  const now = useNow(30_000, !active);
  const rows = stageRows(job);
  const important = findings(job).filter((f) => f.severity !== "info");
  const showRail = active || open || details || job.state === "rejected" || job.state === "parked";

  useEffect(() => {
    if (!active && !job.verdict && (details || open || job.state !== "promoted")) fetchJob(job.id).catch(() => undefined);
  }, [active, details, job.id]);
  return (
    <article class={`card job ${job.state}`} aria-label={`Check of ${job.name}`}>
      <div class="card-head">
        <span class="card-icon"><Icon name={job.source === "demo" ? "spark" : job.verdict?.members?.length ? "list" : "file"} /></span>
        <div class="card-title">
          <h3>{job.name}</h3>
          <p class="facts" title={dateTime(job.updated_at)}>{[bytes(job.size), SOURCE[job.source], active ? "" : ago(job.updated_at, now)].filter(Boolean).join(" · ")}</p>
        </div>
        <StateChip job={job} />
      </div>
      {!active ? <p class="card-text">{job.state === "promoted" ? summary(job) : <><strong>{summary(job)}.</strong> {sentence(job.reason ?? "")}</>}</p> : null}
      {showRail ? <StageRail rows={rows} /> : null}
      <JobProgress job={job} />
      {showRail ? <Findings list={important} state={job.state} /> : null}
      {job.state === "parked" && important.length === 0 ? <p class="card-text">Nothing bad was found, but what can’t be checked to the end can’t be used. “Check again” starts over{job.tries ? ` (tried ${job.tries === 1 ? "once" : `${job.tries} times`})` : ""}.</p> : null}
      {details ? <StageTable job={job} rows={rows} /> : null}
      {details ? <NotTested job={job} /> : null}
      {details && !active ? <Evidence owner={{ kind: "jobs", id: job.id }} name={job.name} documents={job.documents ?? []} /> : null}
      {details && job.sha256 ? <p class="facts hash">SHA-256 <code class="inline wrap">{job.sha256}</code> <CopyButton text={() => job.sha256 ?? ""} label="Copy SHA-256" bare /></p> : null}
      <div class="card-foot">
        <button type="button" class="disclose" aria-expanded={details} onClick={() => setDetails(!details)}>
          <Icon name="chevron" size={16} />{details ? "Hide details" : "What was checked"}
        </button>
        <JobActions job={job} dismissable={open === true} />
      </div>
    </article>
  );
}
