/* What the ui service sends and takes; docs/interfaces.md is the contract. */

export interface Session {
  state: "first_run" | "login" | "open";
  csrf?: string;
  locked_until?: string | null;
  idle_timeout_s?: number;
  version?: string;
}

export interface Finding {
  rule: string;
  severity: "info" | "warning" | "reject";
  message: string;
  at?: number | null;
  tensor?: string | null;
  file?: string | null; /* of a folder: which of its files */
}

/* What a rule means: of the programs' own catalogue. */
export interface Rule {
  id: string;
  stage: number;
  severity: Finding["severity"];
  title: string;
  meaning: string;
  action: string;
}

export type StageStatus = "pass" | "fail" | "not_applicable" | "not_run";

export interface Stage {
  stage: number;
  name: string;
  status: StageStatus;
  bytes?: number;
  ms?: number;
  findings?: Finding[];
}

export type JobState = "receiving" | "waiting" | "scanning" | "promoting" | "promoted" | "rejected" | "parked";

export interface Job {
  id: string;
  name: string;
  size: number;
  sha256?: string | null;
  source: "local" | "upload" | "demo" | "url";
  state: JobState;
  stage: number;
  stages?: Stage[];
  bytes_done?: number;
  tries?: number;
  reason?: string | null;
  code?: string | null;
  created_at?: string;
  updated_at?: string;
  duplicate?: boolean;
  documents?: string[];
  verdict?: Verdict | null;
}

export interface Verdict {
  stages?: Stage[];
  not_tested?: string[];
  policy_digest?: string;
  scanner?: string;
  members?: { path: string; size: number; sha256: string; kind: string }[];
}

export interface Model {
  sha256: string;
  name: string;
  kind?: string;
  size: number;
  architecture?: string | null;
  parameters?: number | null;
  context_length?: number | null;
  quantization?: string | null;
  promoted_at?: string | null;
  job?: string | null;
  source?: string | null;
  signature?: { status?: string | null; key?: string | null } | null;
  verified_at?: string | null;
  verify_state?: "ok" | "pending" | "running" | "failed" | null;
  verify_bytes?: number | null;
  loaded?: boolean;
  members?: number;
  documents?: string[];
  verdict?: Verdict | null;
}

export interface Inference {
  state: "idle" | "loading" | "ready" | "failed";
  model?: string | null;
  restarts?: number;
  threads?: number;
  context?: number;
  memory_limit?: number;
  backend?: string;
  reason?: string | null;
}

export interface Settings {
  temperature?: number;
  top_p?: number;
  max_tokens?: number;
  seed?: number;
}

export type Cut = "stopped" | "length" | "lost";

export interface Message {
  role: "user" | "assistant";
  content: string;
  tokens?: number;
  tokens_per_second?: number;
  cut?: Cut;
}

export interface Conversation {
  title: string;
  model: string;
  system: string;
  settings: Settings;
  messages: Message[];
}

export interface ConversationEntry {
  id: string;
  title: string;
  model?: string | null;
  updated_at?: string;
}

export interface Status {
  version?: string;
  services?: { name: string; state: "ok" | "down" | "degraded"; message?: string | null }[];
  machine?: { cpu?: string; cores?: number; memory_bytes?: number; kernel?: string; gpu?: string | null };
  absent?: { what: string; why?: string; what_to_do?: string }[];
  audit?: { sequence?: number; state?: string } | null;
}
