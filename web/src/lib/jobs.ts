/* The list of jobs as the page knows it: a pure reducer over what the event stream and the answers say. */
import { isActive } from "./stages";
import type { Job } from "./types";

export interface JobsState {
  readonly byId: ReadonlyMap<string, Job>;
  /* Jobs that were seen running in this visit: they stay in sight when they finish. */
  readonly watched: ReadonlySet<string>;
  /* Forgotten ones, so that a late event doesn't bring them back. */
  readonly gone: ReadonlySet<string>;
}

export const NO_JOBS: JobsState = { byId: new Map(), watched: new Set(), gone: new Set() };

export type JobAction =
  | { type: "job"; job: Job }
  | { type: "all"; jobs: Job[] }
  | { type: "removed"; id: string }
  | { type: "dismissed"; id: string };

function isOlder(next: Job, known: Job): boolean {
  const a = Date.parse(next.updated_at ?? "");
  const b = Date.parse(known.updated_at ?? "");
  return Number.isFinite(a) && Number.isFinite(b) && a < b;
}

/* A change may come without what only GET /api/jobs/{id} tells; keep that. */
function merge(known: Job | undefined, next: Job): Job {
  if (!known) return next;
  if (isOlder(next, known)) return known;
  return { ...known, ...next, verdict: next.verdict ?? (next.state === known.state ? known.verdict ?? null : null) };
}

export function reduceJobs(state: JobsState, action: JobAction): JobsState {
  switch (action.type) {
    case "job": {
      const { job } = action;
      if (state.gone.has(job.id)) return state;
      const byId = new Map(state.byId).set(job.id, merge(state.byId.get(job.id), job));
      const watched = isActive(job) && !state.watched.has(job.id) ? new Set(state.watched).add(job.id) : state.watched;
      return { ...state, byId, watched };
    }
    case "all": {
      const byId = new Map<string, Job>();
      const watched = new Set(state.watched);
      for (const job of action.jobs) {
        if (state.gone.has(job.id)) continue;
        byId.set(job.id, merge(state.byId.get(job.id), job));
        if (isActive(job)) watched.add(job.id);
      }
      return { ...state, byId, watched };
    }
    case "removed": {
      const byId = new Map(state.byId);
      byId.delete(action.id);
      return { ...state, byId, gone: new Set(state.gone).add(action.id) };
    }
    case "dismissed": {
      const watched = new Set(state.watched);
      watched.delete(action.id);
      return { ...state, watched };
    }
  }
}

export interface JobGroups {
  current: Job[];
  refused: Job[];
  earlier: Job[];
}

export function groupJobs(state: JobsState): JobGroups {
  const all = [...state.byId.values()].sort((a, b) => (b.created_at ?? "").localeCompare(a.created_at ?? "") || b.id.localeCompare(a.id));
  const groups: JobGroups = { current: [], refused: [], earlier: [] };

  for (const job of all) {
    if (isActive(job) || state.watched.has(job.id)) groups.current.push(job);
    else if (job.state === "promoted") groups.earlier.push(job);
    else groups.refused.push(job);
  }
  return groups;
}

/* Jobs that a change has just finished, for a notice. */
export function finishedBy(before: JobsState, after: JobsState): Job[] {
  return [...after.byId.values()].filter((job) => {
    const was = before.byId.get(job.id);
    return was !== undefined && isActive(was) && !isActive(job);
  });
}
