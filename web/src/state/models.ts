/* The library and what the inference service has loaded. */
import { computed, signal } from "@preact/signals";
import { request } from "../lib/api";
import type { Inference, Model } from "../lib/types";
import { report } from "./notices";

/* null: not asked yet. */
export const models = signal<Model[] | null>(null);
export const inference = signal<Inference | null>(null);

/* Only GGUF files can answer; others are kept and verified. */
export function canAnswer(model: Model): boolean {
  return !model.kind || model.kind === "gguf" || model.kind === "gguf-set";
}

export const usableModels = computed(() => (models.value ?? []).filter(canAnswer));

export async function refreshModels(): Promise<void> {
  const answer = await request<{ models?: Model[] }>("GET", "/api/models");
  models.value = answer.models ?? [];
}

export async function refreshInference(): Promise<void> {
  inference.value = await request<Inference>("GET", "/api/inference");
}

/* What a model is called for people: two files of one name are told apart by their quantisation or fingerprint. */
export function label(model: Model): string {
  const name = model.name || model.sha256.slice(0, 12);
  const twins = (models.value ?? []).filter((m) => m.name === model.name);

  if (twins.length < 2) return name;
  const byQuantisation = twins.filter((m) => m.quantization === model.quantization).length === 1;
  return `${name} (${byQuantisation && model.quantization ? model.quantization : model.sha256.slice(0, 8)})`;
}

export function isLoaded(model: Model): boolean {
  const current = inference.value;
  return current?.state === "ready" && (current.model === model.sha256 || current.model === model.name);
}

export const loadedModel = computed(() => (models.value ?? []).find(isLoaded) ?? null);

export async function loadModel(model: Model): Promise<void> {
  inference.value = { ...(inference.value ?? {}), state: "loading", model: model.sha256 };
  try {
    await request("POST", "/api/inference/load", { body: { model: model.sha256 }, deadlineMs: 600_000 });
  } finally {
    await refreshInference().catch(report);
  }
}

export async function unloadModel(): Promise<void> {
  await request("POST", "/api/inference/unload", { body: {}, deadlineMs: 60_000 });
  await Promise.all([refreshInference(), refreshModels()]);
}
