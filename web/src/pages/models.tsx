import { useEffect, useRef, useState } from "preact/hooks";
import { explain } from "../lib/errors";
import { fromDrop, fromInput, gatherParts } from "../lib/folder";
import { bytes } from "../lib/format";
import { addDropped, groups, importDemo, incoming, jobsKnown, live, refreshJobs, uploads } from "../state/jobs";
import { models, refreshInference, refreshModels } from "../state/models";
import { report } from "../state/notices";
import { usePoll } from "../ui/hooks";
import { Icon } from "../ui/icons";
import { Button, CopyButton, Note } from "../ui/parts";
import { JobCard, UploadCard } from "./job-card";
import { ModelCard } from "./model-card";

function hasFiles(e: DragEvent): boolean {
  return [...(e.dataTransfer?.types ?? [])].includes("Files");
}

/* The whole page takes a dropped file, so that a near miss doesn't make the browser open it. */
function useDrop(): boolean {
  const [over, setOver] = useState(false);
  const depth = useRef(0);

  useEffect(() => {
    const enter = (e: DragEvent) => {
      if (!hasFiles(e)) return;
      depth.current++;
      setOver(true);
    };
    const leave = (e: DragEvent) => {
      if (!hasFiles(e)) return;
      depth.current = Math.max(0, depth.current - 1);
      if (depth.current === 0) setOver(false);
    };
    const move = (e: DragEvent) => {
      if (hasFiles(e)) e.preventDefault();
    };
    const drop = (e: DragEvent) => {
      if (!hasFiles(e)) return;
      e.preventDefault();
      depth.current = 0;
      setOver(false);
      if (e.dataTransfer) fromDrop(e.dataTransfer).then(addDropped).catch(report);
    };
    addEventListener("dragenter", enter);
    addEventListener("dragleave", leave);
    addEventListener("dragover", move);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragenter", enter);
      removeEventListener("dragleave", leave);
      removeEventListener("dragover", move);
      removeEventListener("drop", drop);
    };
  }, []);
  return over;
}

function AddModel() {
  const over = useDrop();
  const input = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);
  const demo = () => {
    setBusy(true);
    importDemo().catch(report).finally(() => setBusy(false));
  };
  const chosen = () => {
    addDropped(gatherParts([...(input.current?.files ?? [])]));
    if (input.current) input.current.value = "";
  };
  const chosenFolder = () => {
    addDropped({ files: [], folders: fromInput([...(folder.current?.files ?? [])]) });
    if (folder.current) folder.current.value = "";
  };

  /* Not an attribute that Preact's types know. */
  useEffect(() => folder.current?.setAttribute("webkitdirectory", ""), []);
  return (
    <section class={`drop${over ? " over" : ""}`} aria-label="Add a model">
      <span class="drop-mark"><Icon name="upload" size={28} /></span>
      <div class="drop-text">
        <h2>{over ? "Drop it here" : "Drop a model here"}</h2>
        <p>A GGUF or Safetensors file, or a whole folder: a model in several parts, an image model. It is checked first and never opened before it has passed.</p>
      </div>
      <div class="drop-actions">
        <Button look="primary" icon="file" onClick={() => input.current?.click()}>Choose a file…</Button>
        <Button icon="list" onClick={() => folder.current?.click()}>Choose a folder…</Button>
        <Button icon="spark" busy={busy} onClick={demo}>Try the included demo model</Button>
        <input ref={input} class="file-input" type="file" multiple tabIndex={-1} aria-label="Model file" onChange={chosen} />
        <input ref={folder} class="file-input" type="file" multiple tabIndex={-1} aria-label="Model folder" onChange={chosenFolder} />
      </div>
      {incoming.value ? (
        <p class="drop-inbox">Or copy files or folders into <code class="inline">{incoming.value}</code> <CopyButton text={() => incoming.value} label="Copy the folder’s path" bare /></p>
      ) : null}
    </section>
  );
}

function Library() {
  const list = models.value;
  const total = (list ?? []).reduce((sum, m) => sum + m.size, 0);

  return (
    <section aria-labelledby="library">
      <div class="section-head">
        <h2 id="library">Your library</h2>
        {list && list.length > 0 ? <span class="facts">{list.length === 1 ? "1 model" : `${list.length} models`}, {bytes(total)}</span> : null}
      </div>
      {list === null ? <div class="skeletons cards" aria-hidden="true"><i /><i /></div> : null}
      {list?.length === 0 ? (
        <div class="empty">
          <Icon name="models" size={26} />
          <p><strong>No models yet.</strong> A file that passes all checks moves in here and can be used at once.</p>
        </div>
      ) : null}
      {list && list.length > 0 ? <ul class="cards">{list.map((m) => <li key={m.sha256}><ModelCard model={m} /></li>)}</ul> : null}
    </section>
  );
}

const VERIFYING_MS = 1000;

export function ModelsPage() {
  const [error, setError] = useState("");
  const g = groups.value;
  const verifying = (models.value ?? []).some((m) => m.verify_state === "pending" || m.verify_state === "running");
  const load = () => {
    setError("");
    Promise.all([refreshModels(), refreshJobs(), refreshInference()]).catch((failure) => setError(explain(failure)));
  };

  useEffect(load, []);
  usePoll(() => { refreshModels().catch(() => undefined); }, VERIFYING_MS, verifying);
  return (
    <main class="page" id="main" tabIndex={-1}>
      <div class="page-inner">
        <h1 tabIndex={-1}>Models</h1>
        <p class="lead">Nothing runs here unchecked. Each file goes through seven checks in a locked room; only what passes all of them gets into your library.</p>
        {error ? <Note tone="bad" title="The models can't be shown" action={<Button small icon="refresh" onClick={load}>Try again</Button>}>{error}</Note> : null}
        {live.value === "lost" && !error ? <Note tone="warn" title="Live view interrupted">The page is trying to reach SecAI again. Checks go on meanwhile.</Note> : null}
        <AddModel />
        {uploads.value.length > 0 || g.current.length > 0 ? (
          <section aria-labelledby="checks">
            <div class="section-head"><h2 id="checks">Checks</h2></div>
            <ul class="cards">
              {uploads.value.map((u) => <li key={`u${u.key}`}><UploadCard item={u} /></li>)}
              {g.current.filter((j) => !(j.state === "receiving" && uploads.value.some((u) => u.parcel.name === j.name))).map((j) => <li key={j.id}><JobCard job={j} open /></li>)}
            </ul>
          </section>
        ) : null}
        <Library />
        {g.refused.length > 0 ? (
          <section aria-labelledby="refused">
            <div class="section-head"><h2 id="refused">Turned away or set aside</h2></div>
            <p class="section-text">These files can’t be used. They are kept locked up so that you can see why; delete them when you have.</p>
            <ul class="cards">{g.refused.map((j) => <li key={j.id}><JobCard job={j} /></li>)}</ul>
          </section>
        ) : null}
        {g.earlier.length > 0 ? (
          <section aria-labelledby="earlier">
            <div class="section-head"><h2 id="earlier">Earlier checks that passed</h2></div>
            <ul class="cards">{g.earlier.map((j) => <li key={j.id}><JobCard job={j} /></li>)}</ul>
          </section>
        ) : null}
        {!jobsKnown.value && !error ? <p class="sr-only" role="status">Loading…</p> : null}
      </div>
    </main>
  );
}
