/* One model of the library. */
import { useState } from "preact/hooks";
import { request } from "../lib/api";
import { bytes, date, dateTime, parameters, shortHash } from "../lib/format";
import type { Model } from "../lib/types";
import { chooseModel, startNew } from "../state/chat";
import { canAnswer, inference, isLoaded, label, loadModel, models, refreshModels, unloadModel } from "../state/models";
import { notify, report } from "../state/notices";
import { go } from "../state/router";
import { Icon } from "../ui/icons";
import { Bar, Button, Chip, Confirm, CopyButton, IconButton } from "../ui/parts";
import { Evidence } from "./evidence";

function Signature({ model }: { model: Model }) {
  const status = model.signature?.status ?? "none";

  if (/^(ok|valid|trusted|signed|verified)$/.test(status)) return <Chip tone="good" icon="seal">Signed by a trusted key</Chip>;
  if (/^(untrusted|unknown_key)$/.test(status)) return <Chip tone="warn" icon="seal">Signed, key not trusted</Chip>;
  return <Chip>Not signed</Chip>;
}

function Verified({ model }: { model: Model }) {
  const state = model.verify_state;

  if (state === "failed") return <Chip tone="bad" icon="alert">File damaged</Chip>;
  if (state === "pending" || state === "running") return <Chip tone="info">Verifying</Chip>;
  if (model.verified_at) return <span title={dateTime(model.verified_at)}><Chip tone="good" icon="shield">Verified {date(model.verified_at)}</Chip></span>;
  return null;
}

const SOURCE: Record<string, string> = { local: "inbox", upload: "upload", demo: "included demo", url: "download" };

export function ModelCard({ model }: { model: Model }) {
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState("");
  const loaded = isLoaded(model);
  const usable = canAnswer(model) && model.verify_state !== "failed";
  const loading = inference.value?.state === "loading" && inference.value.model === model.sha256;
  const verifying = model.verify_state === "pending" || model.verify_state === "running";
  const facts = [model.architecture, parameters(model.parameters), model.quantization, bytes(model.size), model.members ? `${model.members.toLocaleString("en")} files` : "", model.context_length ? `context ${model.context_length.toLocaleString("en")}` : ""].filter(Boolean);

  const run = (name: string, act: () => Promise<void>) => {
    setBusy(name);
    act().catch(report).finally(() => setBusy(""));
  };
  const verify = () => run("verify", async () => {
    await request("POST", `/api/models/${model.sha256}/verify`);
    await refreshModels();
  });
  const remove = async () => {
    await request("DELETE", `/api/models/${model.sha256}`);
    models.value = (models.value ?? []).filter((m) => m.sha256 !== model.sha256);
    notify("info", `${model.name} was deleted.`);
  };
  const chat = () => {
    startNew();
    chooseModel(model.sha256);
    go("chat");
  };
  return (
    <article class="card model" aria-label={`Model ${label(model)}`}>
      <div class="card-head">
        <span class={`card-icon${loaded ? " good" : ""}`}><Icon name="models" /></span>
        <div class="card-title">
          <h3>{model.name}</h3>
          <p class="facts">{facts.join(" · ")}</p>
        </div>
        {loading ? <Chip tone="info">Loading…</Chip> : loaded ? <Chip tone="good">In memory</Chip> : null}
      </div>
      {loading ? <Bar label="Loading the model into memory" /> : null}
      <div class="chips">
        <Signature model={model} />
        <Verified model={model} />
        <span class="facts">{[model.source ? `from ${SOURCE[model.source] ?? model.source}` : "", model.promoted_at ? `since ${date(model.promoted_at)}` : ""].filter(Boolean).join(", ")}</span>
      </div>
      {verifying ? (
        <div class="job-progress">
          {model.verify_bytes ? <Bar value={model.verify_bytes} max={model.size} label="Verification" /> : <Bar label="Verification" />}
          <p class="facts tight">Reading the file again and comparing its fingerprint{model.verify_bytes ? `: ${bytes(model.verify_bytes)} of ${bytes(model.size)}` : "…"}</p>
        </div>
      ) : null}
      {model.verify_state === "failed" ? <p class="card-text bad">The file no longer has the fingerprint it had when it was checked. It can’t be loaded. Delete it and import it again; then look into why the disk changed it.</p> : null}
      {canAnswer(model) ? null : <p class="card-text facts">This kind of file ({model.kind}) is kept and verified here, but only GGUF models can answer.</p>}
      <Evidence owner={{ kind: "models", id: model.sha256 }} name={model.name} documents={model.documents ?? []} />
      <div class="card-foot">
        <span class="hash facts">SHA-256 <code class="inline" title={model.sha256}>{shortHash(model.sha256)}</code> <CopyButton text={() => model.sha256} label="Copy SHA-256" bare /></span>
        <div class="card-actions">
          <Button small look="primary" icon="chat" disabled={!usable} onClick={chat}>Chat</Button>
          {loaded ? <Button small icon="eject" busy={busy === "unload"} onClick={() => run("unload", unloadModel)}>Unload</Button>
            : <Button small icon="upload" busy={busy === "load" || loading} disabled={!usable} onClick={() => run("load", () => loadModel(model))}>Load</Button>}
          <Button small icon="shield" busy={busy === "verify" || verifying} onClick={verify}>Verify</Button>
          <IconButton small icon="trash" onClick={() => setAsked(true)} label={`Delete ${label(model)}`} />
        </div>
      </div>
      {asked ? (
        <Confirm title="Delete this model?" yes="Delete" onYes={remove} onClose={() => setAsked(false)}>
          <p>“{label(model)}” ({bytes(model.size)}) is deleted from this machine for good. Conversations with it stay readable.</p>
          {loaded ? <p>It is in memory now: unload it first.</p> : null}
        </Confirm>
      ) : null}
    </article>
  );
}
