/* A picture of every tensor: colour is entropy, a mark is something out of the ordinary. Arrow keys move through it, and a
 * table says the same in words. */
import { useEffect, useRef, useState } from "preact/hooks";
import { explain } from "../lib/errors";
import { bytes, count } from "../lib/format";
import { describe, flagWords, LEVELS, neighbour, tensorMap, type Cell, type Tensor, type TensorDocument, type TensorMap } from "../lib/tensors";
import { fetchDocument, type DocumentOwner } from "../state/documents";
import { Button, Dialog, Note } from "../ui/parts";

const CELL = 14;
const GAP = 2;
const PITCH = CELL + GAP;

function isFlagged(t: Tensor): boolean {
  return (t.flags ?? []).length > 0;
}

function Square({ cell, chosen }: { cell: Cell; chosen: boolean }) {
  const x = cell.column * PITCH;
  const y = cell.row * PITCH;

  return (
    <g class={`cell l${cell.level < 0 ? "x" : cell.level}${chosen ? " chosen" : ""}`}>
      <rect x={x} y={y} width={CELL} height={CELL} rx="2.5" />
      {isFlagged(cell.tensor) ? <path class="flag" d={`M${x + 7} ${y + 2.5}l4.5 8h-9z`} /> : null}
    </g>
  );
}

/* One element that has the focus, as a slider has: the chosen tensor is told in the line below. */
function Picture({ map, chosen, choose }: { map: TensorMap; chosen: number; choose: (i: number) => void }) {
  const ref = useRef<SVGSVGElement>(null);
  const width = map.columns * PITCH;
  const height = map.rows.length * PITCH;
  const at = (e: MouseEvent) => {
    const box = ref.current?.getBoundingClientRect();
    if (!box || box.width === 0) return;
    const column = Math.floor(((e.clientX - box.left) / box.width) * width / PITCH);
    const row = Math.floor(((e.clientY - box.top) / box.height) * height / PITCH);
    const found = map.cells.findIndex((c) => c.column === column && c.row === row);
    if (found >= 0) choose(found);
  };
  const key = (e: KeyboardEvent) => {
    const next = neighbour(map, chosen, e.key);
    if (!e.key.startsWith("Arrow")) return;
    e.preventDefault();
    choose(next);
  };
  return (
    <div class="tensor-picture" tabIndex={0} role="application" aria-roledescription="map" aria-label="Map of the tensors: move with the arrow keys" aria-describedby="tensor-chosen" onKeyDown={key}>
      {map.layered ? <ol class="tensor-rows" aria-hidden="true">{map.rows.map((r) => <li key={r} title={r}>{r}</li>)}</ol> : null}
      <div class="tensor-scroll">
        <svg ref={ref} width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true" onMouseMove={at} onClick={at}>
          {map.cells.map((c, i) => <Square key={i} cell={c} chosen={i === chosen} />)}
        </svg>
      </div>
    </div>
  );
}

function Legend() {
  return (
    <div class="tensor-legend">
      <span class="facts">Entropy: low</span>
      <svg width={LEVELS * PITCH} height={CELL} aria-hidden="true">
        {Array.from({ length: LEVELS }, (_, i) => <g key={i} class={`cell l${i}`}><rect x={i * PITCH} y="0" width={CELL} height={CELL} rx="2.5" /></g>)}
      </svg>
      <span class="facts">high</span>
      <svg class="tensor-legend-flag" width={CELL} height={CELL} aria-hidden="true"><path class="flag" d="M7 2.5l4.5 8h-9z" /></svg>
      <span class="facts">out of the ordinary</span>
    </div>
  );
}

function Told({ tensor }: { tensor: Tensor | undefined }) {
  if (!tensor) return <p id="tensor-chosen" class="tensor-told facts" role="status">Nothing chosen yet.</p>;
  return (
    <div id="tensor-chosen" class="tensor-told" role="status">
      <p><code class="wrap">{tensor.file ? `${tensor.file}: ` : ""}{tensor.name}</code></p>
      <p class="facts">{describe(tensor)}, {bytes(tensor.bytes)} at byte {tensor.offset.toLocaleString("en")}</p>
      {isFlagged(tensor) ? <p class="tensor-flags">{(tensor.flags ?? []).map(flagWords).join("; ")}</p> : null}
    </div>
  );
}

const ROWS_STEP = 100;

function Table({ tensors, caption }: { tensors: Tensor[]; caption: string }) {
  const [shown, setShown] = useState(ROWS_STEP);

  return (
    <div class="tensor-table" tabIndex={0} role="region" aria-label={caption}>
      <table>
        <caption class="sr-only">{caption}</caption>
        <thead><tr><th scope="col">Tensor</th><th scope="col">Type and shape</th><th scope="col">Entropy</th><th scope="col">Remarks</th></tr></thead>
        <tbody>
          {tensors.slice(0, shown).map((t, i) => (
            <tr key={i}>
              <th scope="row"><code class="wrap">{t.file ? `${t.file}: ` : ""}{t.name}</code></th>
              <td>{t.type} {t.shape.join(" × ")}</td>
              <td>{t.entropy ? t.entropy.mean.toFixed(2) : "–"}</td>
              <td>{(t.flags ?? []).map(flagWords).join("; ")}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {tensors.length > shown ? <Button small look="quiet" onClick={() => setShown(shown + ROWS_STEP)}>Show {Math.min(ROWS_STEP, tensors.length - shown)} more</Button> : null}
    </div>
  );
}

function Content({ document }: { document: TensorDocument }) {
  const [map] = useState(() => tensorMap(document));
  const [chosen, setChosen] = useState(() => Math.max(0, map.cells.findIndex((c) => isFlagged(c.tensor))));
  const [table, setTable] = useState(false);

  if (map.cells.length === 0) return <p>This file has no tensors.</p>;
  return (
    <>
      <p class="facts">{count(document.tensors.length, "tensor")}; {map.flagged.length === 0 ? "none is out of the ordinary" : `${count(map.flagged.length, "tensor")} out of the ordinary`}.{map.layered ? " A column is a layer, a row one part of it." : ""}{map.left_out > 0 ? ` The picture shows the first ${map.cells.length.toLocaleString("en")}.` : ""}</p>
      <Picture map={map} chosen={chosen} choose={setChosen} />
      <Legend />
      <Told tensor={map.cells[chosen]?.tensor} />
      <div class="card-actions">
        <Button small icon="list" aria-expanded={table} onClick={() => setTable(!table)}>{table ? "Hide the table" : "Show as a table"}</Button>
      </div>
      {table ? <Table tensors={map.flagged.length > 0 ? [...map.flagged, ...document.tensors.filter((t) => !isFlagged(t))] : document.tensors} caption="All tensors" /> : null}
    </>
  );
}

export function TensorDialog({ owner, name, onClose }: { owner: DocumentOwner; name: string; onClose: () => void }) {
  const [document, setDocument] = useState<TensorDocument | null>(null);
  const [error, setError] = useState("");

  useEffect(() => {
    fetchDocument<TensorDocument>(owner, "tensors").then((d) => (Array.isArray(d?.tensors) ? setDocument(d) : setError("The document could not be read.")), (failure) => setError(explain(failure)));
  }, [owner.kind, owner.id]);
  return (
    <Dialog title={`Inside ${name}`} onClose={onClose} wide>
      {error ? <Note tone="bad" title="The map can't be shown">{error}</Note> : document ? <Content document={document} /> : <p role="status">Loading…</p>}
    </Dialog>
  );
}
