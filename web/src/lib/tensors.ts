/* What the quarantine measured of every tensor, put in order for a picture. Pure. */

export interface Tensor {
  file?: string | null;
  name: string;
  type: string;
  shape: number[];
  offset: number;
  bytes: number;
  sha256?: string;
  merkle_root?: string;
  entropy?: { min: number; mean: number; max: number } | null;
  mean?: number | null;
  deviation?: number | null;
  min?: number | null;
  max?: number | null;
  zeros?: number | null;
  flags?: string[];
}

export interface TensorDocument {
  schema: string;
  merkle_root?: string;
  tensors: Tensor[];
}

/* Words for what stands in `flags`; others are shown as they come. */
const FLAG_WORDS: Record<string, string> = {
  non_finite: "numbers that are no numbers",
  constant: "all values the same",
  repeated: "the same block again and again",
  saturated: "many values at the end of their range",
  outliers: "values far outside the rest",
  high_entropy: "looks like random or compressed data",
  low_entropy: "looks like text or empty space",
  hidden_bits: "something may be hidden in the lowest bits",
  upcast: "lowest bits are empty: converted from a smaller type",
};

export function flagWords(flag: string): string {
  return FLAG_WORDS[flag] ?? flag.replace(/_/g, " ");
}

export interface Cell {
  tensor: Tensor;
  row: number;
  column: number;
  level: number; /* 0..LEVELS - 1, by entropy; -1: not measured */
}

export interface TensorMap {
  rows: string[];      /* what a row holds, with the layer's number left out */
  columns: number;
  layered: boolean;    /* columns are layers; else tensors in the order of the file */
  cells: Cell[];
  flagged: Tensor[];
  left_out: number;    /* tensors past CELLS_MAX */
}

export const LEVELS = 9;
export const CELLS_MAX = 6000;
const ROWS_MAX = 120;
const PLAIN_COLUMNS = 32;

/* Bits a byte, 0 to 8: fine steps at the upper end, where weights are. */
const STEPS = [1, 3, 5, 6, 6.5, 7, 7.4, 7.8];

export function level(tensor: Tensor): number {
  const bits = tensor.entropy?.mean;

  if (typeof bits !== "number" || !Number.isFinite(bits)) return -1;
  const at = STEPS.findIndex((s) => bits < s);
  return at < 0 ? LEVELS - 1 : at;
}

interface Place {
  role: string;
  layer: number;
}

/* "blk.7.attn_q.weight" → layer 7 of "blk.*.attn_q.weight"; a folder's file counts as part of the role. */
function placeOf(tensor: Tensor): Place {
  const name = tensor.name;
  const number = /(^|[._/])(\d+)([._/]|$)/.exec(name);

  if (!number || Number(number[2]) > 9999) return { role: name, layer: -1 };
  const at = number.index + (number[1] ?? "").length;
  return { role: `${name.slice(0, at)}*${name.slice(at + (number[2] ?? "").length)}`, layer: Number(number[2]) };
}

function layeredMap(tensors: Tensor[]): { rows: string[]; columns: number; cells: Cell[] } | null {
  const places = tensors.map(placeOf);
  const rows: string[] = [];
  const index = new Map<string, number>();
  const taken = new Set<string>();
  const cells: Cell[] = [];
  let columns = 1;

  for (const [i, tensor] of tensors.entries()) {
    const place = places[i] ?? { role: tensor.name, layer: -1 };
    let row = index.get(place.role);
    if (row === undefined) {
      row = rows.length;
      index.set(place.role, row);
      rows.push(place.role);
    }
    const column = Math.max(0, place.layer);
    const key = `${row}:${column}`;
    if (rows.length > ROWS_MAX || taken.has(key)) return null;
    taken.add(key);
    columns = Math.max(columns, column + 1);
    cells.push({ tensor, row, column, level: level(tensor) });
  }
  return columns > 1 && rows.length * columns <= 4 * CELLS_MAX ? { rows, columns, cells } : null;
}

function plainMap(tensors: Tensor[]): { rows: string[]; columns: number; cells: Cell[] } {
  const cells = tensors.map((tensor, i) => ({ tensor, row: Math.floor(i / PLAIN_COLUMNS), column: i % PLAIN_COLUMNS, level: level(tensor) }));
  const rows = Array.from({ length: Math.ceil(tensors.length / PLAIN_COLUMNS) }, () => "");

  return { rows, columns: Math.min(PLAIN_COLUMNS, Math.max(1, tensors.length)), cells };
}

export function tensorMap(document: TensorDocument): TensorMap {
  const all = Array.isArray(document.tensors) ? document.tensors.filter((t) => t && typeof t.name === "string") : [];
  const shown = all.slice(0, CELLS_MAX);
  const layered = layeredMap(shown);

  return { ...(layered ?? plainMap(shown)), layered: layered !== null, flagged: all.filter((t) => (t.flags ?? []).length > 0), left_out: all.length - shown.length };
}

/* The neighbour of a cell for an arrow key; itself where there is none. */
export function neighbour(map: TensorMap, from: number, key: string): number {
  const cell = map.cells[from];
  const step: Record<string, [number, number]> = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const by = step[key];

  if (!cell || !by) return from;
  for (let row = cell.row + by[0], column = cell.column + by[1]; row >= 0 && row < map.rows.length && column >= 0 && column < map.columns; row += by[0], column += by[1]) {
    const found = map.cells.findIndex((c) => c.row === row && c.column === column);
    if (found >= 0) return found;
  }
  return from;
}

function short(value: number): string {
  return Math.abs(value) >= 1e4 || (value !== 0 && Math.abs(value) < 1e-3) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

/* Everything about one tensor in a line of text. */
export function describe(t: Tensor): string {
  const parts = [t.type, t.shape.length > 0 ? t.shape.join(" × ") : "one number"];

  if (t.entropy) parts.push(`entropy ${t.entropy.mean.toFixed(2)} bits a byte (${t.entropy.min.toFixed(2)} to ${t.entropy.max.toFixed(2)})`);
  if (typeof t.mean === "number" && typeof t.deviation === "number") parts.push(`mean ${short(t.mean)}, deviation ${short(t.deviation)}`);
  if (typeof t.min === "number" && typeof t.max === "number") parts.push(`from ${short(t.min)} to ${short(t.max)}`);
  return parts.join(", ");
}
