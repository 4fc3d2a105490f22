import { dismiss, notices } from "../state/notices";
import { Icon } from "./icons";
import { Button, IconButton } from "./parts";

export function Notices() {
  return (
    <div class="notices" role="region" aria-label="Notices">
      {notices.value.map((n) => (
        <div key={n.id} class={`notice ${n.kind}`} role={n.kind === "bad" ? "alert" : "status"}>
          <Icon name={n.kind === "good" ? "check" : n.kind === "bad" ? "alert" : "info"} />
          <p>{n.text}</p>
          {n.action ? <Button small onClick={() => { n.action?.run(); dismiss(n.id); }}>{n.action.label}</Button> : null}
          <IconButton icon="cross" small label="Close notice" onClick={() => dismiss(n.id)} />
        </div>
      ))}
    </div>
  );
}
