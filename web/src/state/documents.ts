/* Documents that go with a check or a model, and what the rules mean: asked for when somebody looks. */
import { signal } from "@preact/signals";
import { request } from "../lib/api";
import type { Rule } from "../lib/types";

export const rules = signal<ReadonlyMap<string, Rule>>(new Map());
let asked = false;

export async function loadRules(): Promise<void> {
  if (asked) return;
  asked = true;
  try {
    const answer = await request<{ rules?: Rule[] }>("GET", "/api/rules");
    rules.value = new Map((answer.rules ?? []).map((r) => [r.id, r]));
  } catch (error) {
    asked = false;
    throw error;
  }
}

export interface DocumentOwner {
  kind: "jobs" | "models";
  id: string;
}

export function documentPath(owner: DocumentOwner, name: string): string {
  return `/api/${owner.kind}/${encodeURIComponent(owner.id)}/documents/${name}`;
}

export async function fetchDocument<T>(owner: DocumentOwner, name: string): Promise<T> {
  return request<T>("GET", documentPath(owner, name), { deadlineMs: 60_000 });
}
