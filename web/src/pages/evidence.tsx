/* What can be taken along about a check: the picture of the tensors and the signed documents. */
import { useState } from "preact/hooks";
import { documentPath, type DocumentOwner } from "../state/documents";
import { Button } from "../ui/parts";
import { Icon } from "../ui/icons";
import { TensorDialog } from "./tensor-map";

const TITLES: Record<string, string> = {
  statement: "Signed statement",
  bom: "Bill of materials",
  behaviour: "Test answers",
  tensors: "Tensor data",
};

export function Evidence({ owner, name, documents }: { owner: DocumentOwner; name: string; documents: readonly string[] }) {
  const [map, setMap] = useState(false);

  if (documents.length === 0) return null;
  return (
    <div class="evidence">
      {documents.includes("tensors") ? <Button small icon="models" onClick={() => setMap(true)}>Look inside</Button> : null}
      {documents.filter((d) => TITLES[d]).map((d) => (
        <a key={d} class="button quiet small" href={documentPath(owner, d)} download={`${name}.${d}.json`}><Icon name="file" size={17} /><span>{TITLES[d]}</span></a>
      ))}
      {map ? <TensorDialog owner={owner} name={name} onClose={() => setMap(false)} /> : null}
    </div>
  );
}
