import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_ANSWER, reduceAnswer, toMessage } from "../src/lib/completion";
import { dropAnswer, editAt, parseSettings, requestMessages, settingsText, speakable, titleFrom } from "../src/lib/conversation";
import { ApiError, errorFrom, explain } from "../src/lib/errors";
import { strength } from "../src/lib/strength";
import type { Message } from "../src/lib/types";

const delta = (content: string) => JSON.stringify({ choices: [{ delta: { content } }] });
const finish = (reason: string, extra = {}) => JSON.stringify({ choices: [{ delta: {}, finish_reason: reason }], ...extra });

test("chunks add up to the answer, and the server's own count and speed win", () => {
  let a = reduceAnswer(EMPTY_ANSWER, JSON.stringify({ choices: [{ delta: { role: "assistant", content: null } }] }), 0);
  a = reduceAnswer(a, delta("Hel"), 100);
  a = reduceAnswer(a, delta("lo"), 200);
  a = reduceAnswer(a, finish("stop", { timings: { predicted_n: 9, predicted_per_second: 812.345 } }), 210);
  a = reduceAnswer(a, "[DONE]", 211);
  assert.deepEqual(toMessage(a, false), { role: "assistant", content: "Hello", tokens: 9, tokens_per_second: 812.35 });
});

test("without timings, tokens and speed are measured", () => {
  let a = EMPTY_ANSWER;
  for (let i = 0; i < 11; i++) a = reduceAnswer(a, delta("x"), i * 100);
  a = reduceAnswer(a, finish("stop"), 1000);
  assert.deepEqual([toMessage(a, false).tokens, toMessage(a, false).tokens_per_second], [11, 10]);
});

test("an answer that was cut says why", () => {
  const half = reduceAnswer(EMPTY_ANSWER, delta("half"), 1);
  assert.equal(toMessage(half, true).cut, "stopped");
  assert.equal(toMessage(half, false).cut, "lost");
  assert.equal(toMessage(reduceAnswer(half, finish("length"), 2), false).cut, "length");
  assert.equal(toMessage(reduceAnswer(half, finish("stop"), 2), true).cut, undefined);
});

test("an error inside the stream is an error, and so is what is no JSON", () => {
  assert.throws(() => reduceAnswer(EMPTY_ANSWER, JSON.stringify({ error: { code: "model_busy", message: "m" } }), 0), (e) => e instanceof ApiError && e.code === "model_busy");
  assert.throws(() => reduceAnswer(EMPTY_ANSWER, "<html>", 0), (e) => e instanceof ApiError && e.code === "bad_answer");
});

const THREE: Message[] = [{ role: "user", content: "a" }, { role: "assistant", content: "b" }, { role: "user", content: "c" }];

test("editing a message drops what came after it", () => {
  assert.deepEqual(editAt(THREE, 0, "z"), [{ role: "user", content: "z" }]);
  assert.deepEqual(editAt(THREE, 2, "z").map((m) => m.content), ["a", "b", "z"]);
  assert.deepEqual(dropAnswer(THREE, 1).map((m) => m.content), ["a"]);
});

test("the model gets the system prompt first and no empty messages", () => {
  const c = { title: "", model: "", system: " s ", settings: {}, messages: [...THREE, { role: "assistant" as const, content: "" }] };
  assert.deepEqual(requestMessages(c).map((m) => `${m.role}:${m.content}`), ["system:s", "user:a", "assistant:b", "user:c"]);
  assert.equal(requestMessages({ ...c, system: "  " })[0]?.role, "user");
});

test("titles are one short line without marks", () => {
  assert.equal(titleFrom("# Hello\n\n**world**"), "Hello world");
  assert.equal(titleFrom("   "), "New conversation");
  assert.ok(titleFrom("word ".repeat(60)).length <= 61);
});

test("settings: empty means unset, wrong ones are named", () => {
  assert.deepEqual(parseSettings({ temperature: "0,7", top_p: "", max_tokens: "512", seed: "0" }).settings, { temperature: 0.7, max_tokens: 512, seed: 0 });
  for (const [field, value] of [["temperature", "3"], ["top_p", "-1"], ["max_tokens", "1.5"], ["seed", "1e3"], ["max_tokens", "0"], ["seed", "NaN"]] as const) {
    const result = parseSettings({ temperature: "", top_p: "", max_tokens: "", seed: "", [field]: value });
    assert.equal(result.wrong?.field, field, `${field} ${value}`);
  }
  assert.deepEqual(settingsText({ seed: 0 }), { temperature: "", top_p: "", max_tokens: "", seed: "0" });
});

test("a screen reader gets whole sentences and in the end all the rest", () => {
  const text = "This is the first sentence of an answer. And this is";
  const first = speakable(text, 0, false);
  assert.equal(first.text, "This is the first sentence of an answer.");
  assert.equal(speakable(text, first.spoken, false).text, "");
  assert.equal(speakable(text, first.spoken, true).text, "And this is");
});

test("error codes become sentences; unknown ones keep the server's words", () => {
  assert.match(explain(new ApiError(403, "wrong_passphrase", "m", { tries_left: 1 })), /One more try/);
  assert.match(explain(new ApiError(429, "locked_out", "m", { retry_after_s: 65 })), /1:05/);
  assert.equal(explain(new ApiError(400, "strange", "The server's words.")), "The server's words.");
  assert.equal(explain(new ApiError(418, "strange", "")), "The service refused this (418).");
});

test("bodies that are no errors of ours still become errors", () => {
  assert.equal(errorFrom(502, null).code, "bad_gateway");
  assert.equal(errorFrom(404, { error: { code: 5 } }).code, "http_404");
  assert.deepEqual(errorFrom(409, { error: { code: "job_active", message: "m", detail: { a: 1 } } }).detail, { a: 1 });
});

test("passphrases: length first, then variety", () => {
  assert.equal(strength("").score, 0);
  assert.equal(strength("short").label, "Too short");
  assert.ok(strength("aaaaaaaaaaaaaaaa").score <= 1);
  assert.ok(strength("123456789012345").score <= 1);
  assert.ok(strength("passwordpassword").score <= 1);
  assert.ok(strength("correct horse battery staple").score >= 3);
});
