/* One answer while it streams: a pure reducer over the chunks of an OpenAI-shaped stream. */
import { ApiError } from "./errors";
import type { Cut, Message } from "./types";

export interface Answer {
  content: string;
  /* Chunks with text so far: the token count until the server tells its own. */
  chunks: number;
  /* Chunks of thinking, which some models do before they answer; not shown, not kept. */
  thoughts: number;
  firstAt: number;
  lastAt: number;
  finish: string | null;
  tokens: number | null;
  tokensPerSecond: number | null;
  done: boolean;
}

export const EMPTY_ANSWER: Answer = {
  content: "", chunks: 0, thoughts: 0, firstAt: 0, lastAt: 0, finish: null, tokens: null, tokensPerSecond: null, done: false,
};

interface Chunk {
  choices?: { delta?: { content?: unknown; reasoning_content?: unknown }; finish_reason?: unknown }[];
  usage?: { completion_tokens?: unknown } | null;
  timings?: { predicted_n?: unknown; predicted_per_second?: unknown } | null;
  error?: { code?: unknown; message?: unknown; detail?: unknown };
}

function positive(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? value : null;
}

/* `data` is one event's text. An error that the service sends inside the stream is thrown. */
export function reduceAnswer(answer: Answer, data: string, nowMs: number): Answer {
  if (data.trim() === "[DONE]") return { ...answer, done: true };
  let chunk: Chunk;
  try {
    chunk = JSON.parse(data) as Chunk;
  } catch {
    throw new ApiError(502, "bad_answer", "");
  }
  if (chunk.error) {
    const { code, message } = chunk.error;
    throw new ApiError(502, typeof code === "string" ? code : "stream_error", typeof message === "string" ? message : "The model stopped with an error.");
  }
  const choice = chunk.choices?.[0];
  const text = typeof choice?.delta?.content === "string" ? choice.delta.content : "";

  return {
    content: answer.content + text,
    chunks: answer.chunks + (text ? 1 : 0),
    thoughts: answer.thoughts + (choice?.delta?.reasoning_content ? 1 : 0),
    firstAt: text && answer.chunks === 0 ? nowMs : answer.firstAt,
    lastAt: text ? nowMs : answer.lastAt,
    finish: typeof choice?.finish_reason === "string" ? choice.finish_reason : answer.finish,
    tokens: positive(chunk.timings?.predicted_n) ?? positive(chunk.usage?.completion_tokens) ?? answer.tokens,
    tokensPerSecond: positive(chunk.timings?.predicted_per_second) ?? answer.tokensPerSecond,
    done: answer.done,
  };
}

/* The message to keep. `stopped`: the owner pressed Stop. An end without a finish reason is a lost connection. */
export function toMessage(answer: Answer, stopped: boolean): Message {
  const seconds = (answer.lastAt - answer.firstAt) / 1000;
  const tokens = answer.tokens ?? answer.chunks;
  const measured = seconds > 0.02 && answer.chunks > 1 ? (answer.chunks - 1) / seconds : null;
  const perSecond = answer.tokensPerSecond ?? measured;
  let cut: Cut | undefined;

  if (answer.finish === "length") cut = "length";
  else if (answer.finish === null) cut = stopped ? "stopped" : "lost";

  return {
    role: "assistant",
    content: answer.content,
    ...(tokens > 0 ? { tokens } : {}),
    ...(perSecond !== null ? { tokens_per_second: Math.round(perSecond * 100) / 100 } : {}),
    ...(cut ? { cut } : {}),
  };
}
