import assert from "node:assert/strict";
import { test } from "node:test";
import { CELLS_MAX, describe, flagWords, level, LEVELS, neighbour, tensorMap, type Tensor } from "../src/lib/tensors";

function tensor(name: string, over: Partial<Tensor> = {}): Tensor {
  return { name, type: "Q8_0", shape: [32, 2], offset: 0, bytes: 68, entropy: { min: 7, mean: 7.5, max: 7.7 }, flags: [], ...over };
}

const document = (tensors: Tensor[]) => ({ schema: "secai.tensors/1", tensors });

test("layers become columns, their parts rows", () => {
  const map = tensorMap(document([tensor("token_embd.weight"), tensor("blk.0.attn_q.weight"), tensor("blk.1.attn_q.weight"), tensor("blk.1.ffn_up.weight")]));
  assert.equal(map.layered, true);
  assert.deepEqual(map.rows, ["token_embd.weight", "blk.*.attn_q.weight", "blk.*.ffn_up.weight"]);
  assert.deepEqual(map.cells.map((c) => [c.row, c.column]), [[0, 0], [1, 0], [1, 1], [2, 1]]);
});

test("names without layers, or with two tensors in one place, are drawn in the order of the file", () => {
  assert.equal(tensorMap(document([tensor("a"), tensor("b")])).layered, false);
  const twice = tensorMap(document([tensor("x.1.w"), tensor("x.2.w", { file: "a" }), tensor("x.2.w", { file: "b" })]));
  assert.equal(twice.layered, false);
  assert.deepEqual(twice.cells.map((c) => c.column), [0, 1, 2]);
});

test("a hostile document can't make the picture large or break it", () => {
  const many = tensorMap(document(Array.from({ length: CELLS_MAX + 5 }, (_, i) => tensor(`t${"x".repeat(i % 3)}${i}`))));
  assert.equal(many.cells.length, CELLS_MAX);
  assert.equal(many.left_out, 5);
  const far = tensorMap(document([tensor("blk.9999.w"), tensor("a"), tensor("b"), tensor("c")]));
  assert.ok(far.rows.length * far.columns <= 4 * CELLS_MAX || !far.layered);
  assert.equal(tensorMap({ schema: "x", tensors: null as unknown as Tensor[] }).cells.length, 0);
  assert.equal(tensorMap(document([null as unknown as Tensor, tensor("a")])).cells.length, 1);
});

test("levels go from empty to random, and what was not measured has none", () => {
  assert.equal(level(tensor("a", { entropy: { min: 0, mean: 0, max: 0 } })), 0);
  assert.equal(level(tensor("a", { entropy: { min: 8, mean: 8, max: 8 } })), LEVELS - 1);
  assert.equal(level(tensor("a", { entropy: null })), -1);
  assert.equal(level(tensor("a", { entropy: { min: NaN, mean: NaN, max: NaN } })), -1);
});

test("arrow keys go to the next tensor in their direction and stop at the border", () => {
  const map = tensorMap(document([tensor("blk.0.q"), tensor("blk.1.q"), tensor("blk.3.q"), tensor("blk.3.k")]));
  assert.equal(neighbour(map, 1, "ArrowRight"), 2);
  assert.equal(neighbour(map, 2, "ArrowRight"), 2);
  assert.equal(neighbour(map, 2, "ArrowDown"), 3);
  assert.equal(neighbour(map, 3, "ArrowUp"), 2);
  assert.equal(neighbour(map, 0, "Enter"), 0);
});

test("a tensor is told in words, flags too", () => {
  assert.match(describe(tensor("a", { mean: 0.00001, deviation: 0.02, min: -1, max: 1 })), /Q8_0, 32 × 2, entropy 7\.50 .*mean 1\.00e-5, deviation 0\.02, from -1 to 1/);
  assert.match(describe(tensor("a", { shape: [], entropy: null })), /one number/);
  assert.equal(flagWords("constant"), "all values the same");
  assert.equal(flagWords("something_new"), "something new");
});
