import assert from "node:assert/strict";
import { test } from "node:test";
import * as f from "../src/lib/format";

function table(fn: (x: never) => string, rows: [unknown, string][]): void {
  for (const [input, expected] of rows) assert.equal(fn(input as never), expected, String(input));
}

test("sizes", () => table(f.bytes as (x: never) => string, [
  [0, "0 bytes"], [1, "1 byte"], [999, "999 bytes"], [1000, "1 KB"], [1234, "1.23 KB"], [999_499, "999 KB"],
  [999_500, "1 MB"], [12_345_678, "12.3 MB"], [4.07e9, "4.07 GB"], [1e18, "1000 PB"], [null, "unknown size"], [-1, "unknown size"], [NaN, "unknown size"],
]));

test("parameter counts", () => table(f.parameters as (x: never) => string, [
  [0, ""], [null, ""], [918_656, "919 K parameters"], [7_240_000_000, "7.24 B parameters"], [999_600, "1 M parameters"], [1_100_048_384, "1.1 B parameters"],
]));

test("durations", () => table(f.duration as (x: never) => string, [
  [0, "0 seconds"], [1.2, "1 second"], [59.4, "59 seconds"], [60, "1 minute"], [150, "3 minutes"], [3725, "1 h 02 min"], [7195, "2 h 00 min"], [NaN, ""], [Infinity, ""],
]));

test("countdowns never show less than nothing", () => table(f.clock as (x: never) => string, [[61, "1:01"], [59.1, "1:00"], [0, "0:00"], [-5, "0:00"]]));

test("milliseconds", () => table(f.milliseconds as (x: never) => string, [[0.2, "under 1 ms"], [12.4, "12 ms"], [1500, "1.5 s"], [61_000, "1 minute"], [null, ""]]));

test("ages", () => {
  const now = Date.parse("2030-05-05T12:00:00Z");
  assert.equal(f.ago("2030-05-05T11:59:50Z", now), "just now");
  assert.equal(f.ago("2030-05-05T11:30:00Z", now), "30 min ago");
  assert.equal(f.ago("2030-05-05T09:00:00Z", now), "3 h ago");
  assert.equal(f.ago("2030-05-01T09:00:00Z", now), "May 1, 2030");
  assert.equal(f.ago("2030-05-05T12:00:30Z", now), "just now", "a clock that runs ahead");
  assert.equal(f.ago(null, now), "");
  assert.equal(f.ago("nonsense", now), "");
});

test("conversations stand under the right day", () => {
  const now = new Date(2030, 4, 5, 0, 30);
  assert.equal(f.dayGroup(new Date(2030, 4, 5, 0, 10).toISOString(), now), "Today");
  assert.equal(f.dayGroup(new Date(2030, 4, 4, 23, 50).toISOString(), now), "Yesterday");
  assert.equal(f.dayGroup(new Date(2030, 4, 1).toISOString(), now), "Last 7 days");
  assert.equal(f.dayGroup(undefined, now), "Earlier");
});

test("fingerprints are shortened in the middle", () => {
  assert.equal(f.shortHash("0123456789abcdef0123"), "01234567…0123");
  assert.equal(f.shortHash("short"), "short");
});

test("a transfer's speed settles and tells what is left", () => {
  const m = new f.Meter();
  for (let i = 0; i <= 40; i++) m.add(i * 500_000, i * 500);
  assert.ok(Math.abs(m.bytesPerSecond - 1e6) < 1e3);
  assert.ok(Math.abs(m.secondsLeft(20e6, 30e6) - 10) < 0.1);
  assert.ok(Number.isNaN(new f.Meter().secondsLeft(0, 10)));
});
