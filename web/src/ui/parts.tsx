/* Small parts that every page uses. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { report } from "../state/notices";
import { Icon, type IconName } from "./icons";

type ButtonProps = Omit<JSX.IntrinsicElements["button"], "icon" | "size"> & {
  icon?: IconName;
  look?: "primary" | "quiet" | "plain" | "danger";
  small?: boolean;
  busy?: boolean;
};

export function Button({ icon, look = "plain", small, busy, children, class: extra, disabled, ...rest }: ButtonProps) {
  const classes = ["button", look, small ? "small" : "", children ? "" : "only-icon", extra ?? ""].filter(Boolean).join(" ");

  return (
    <button type="button" {...rest} class={classes} disabled={disabled || busy} aria-busy={busy ? "true" : undefined}>
      {busy ? <span class="spinner" aria-hidden="true" /> : icon ? <Icon name={icon} size={small ? 17 : 20} /> : null}
      {children ? <span>{children}</span> : null}
    </button>
  );
}

export function IconButton({ label, icon, ...rest }: Omit<ButtonProps, "children"> & { label: string; icon: IconName }) {
  return <Button {...rest} icon={icon} look={rest.look ?? "quiet"} aria-label={label} title={label} />;
}

async function toClipboard(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  throw new Error("This browser does not let the page copy. Select the text and copy it with the keyboard.");
}

export function CopyButton({ text, label = "Copy", small = true, bare = false }: { text: () => string; label?: string; small?: boolean; bare?: boolean }) {
  const [copied, setCopied] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);

  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = () => {
    toClipboard(text()).then(() => {
      setCopied(true);
      clearTimeout(timer.current);
      timer.current = setTimeout(() => setCopied(false), 1800);
    }, report);
  };
  return (
    <>
      <Button small={small} look="quiet" icon={copied ? "check" : "copy"} onClick={copy} aria-label={bare ? label : undefined} title={bare ? label : undefined}>
        {bare ? undefined : copied ? "Copied" : label}
      </Button>
      <span class="sr-only" role="status">{copied ? "Copied" : ""}</span>
    </>
  );
}

type Tone = "good" | "bad" | "warn" | "info" | "neutral";

export function Chip({ tone = "neutral", icon, children }: { tone?: Tone; icon?: IconName; children: ComponentChildren }) {
  return (
    <span class={`chip ${tone}`}>
      {icon ? <Icon name={icon} size={14} /> : null}
      {children}
    </span>
  );
}

export function Note({ tone = "info", icon, title, children, action }: { tone?: Tone; icon?: IconName; title?: string; children?: ComponentChildren; action?: ComponentChildren }) {
  return (
    <div class={`note ${tone}`} role={tone === "bad" ? "alert" : undefined}>
      <Icon name={icon ?? (tone === "bad" || tone === "warn" ? "alert" : tone === "good" ? "check" : "info")} />
      <div class="note-text">
        {title ? <p class="note-title">{title}</p> : null}
        {children ? <div>{children}</div> : null}
      </div>
      {action ? <div class="note-action">{action}</div> : null}
    </div>
  );
}

export function Bar({ value, max, label }: { value?: number; max?: number; label: string }) {
  if (value === undefined || !max) return <progress class="bar" aria-label={label} />;
  return <progress class="bar" value={Math.min(value, max)} max={max} aria-label={label} />;
}

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  actions?: ComponentChildren;
  drawer?: boolean;
  wide?: boolean;
}

/* The browser's own modal dialog: it keeps the focus inside, closes on Escape and gives the focus back. */
export function Dialog({ title, onClose, children, actions, drawer, wide }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();

  useEffect(() => {
    const dialog = ref.current;
    const before = document.activeElement;
    if (dialog && !dialog.open) dialog.showModal();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={ref} class={`dialog${drawer ? " drawer" : ""}${wide ? " wide" : ""}`} aria-labelledby={id}
      onCancel={(e) => { e.preventDefault(); onClose(); }}
      onMouseDown={(e) => { if (e.target === ref.current) onClose(); }}
    >
      <div class="dialog-inner">
        <div class="dialog-head">
          <h2 id={id}>{title}</h2>
          <IconButton icon="cross" label="Close" onClick={onClose} />
        </div>
        <div class="dialog-body">{children}</div>
        {actions ? <div class="dialog-actions">{actions}</div> : null}
      </div>
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  children: ComponentChildren;
  yes: string;
  onYes: () => Promise<void>;
  onClose: () => void;
}

export function Confirm({ title, children, yes, onYes, onClose }: ConfirmProps) {
  const [busy, setBusy] = useState(false);
  const run = () => {
    setBusy(true);
    onYes().then(onClose, (error) => {
      setBusy(false);
      onClose();
      report(error);
    });
  };
  return (
    <Dialog title={title} onClose={onClose} actions={<>
      <Button onClick={onClose}>Cancel</Button>
      <Button look="danger" busy={busy} onClick={run}>{yes}</Button>
    </>}>
      {children}
    </Dialog>
  );
}

export function Field({ label, hint, error, children }: { label: string; hint?: ComponentChildren; error?: string; children: (props: { id: string; "aria-describedby": string; "aria-invalid"?: "true" }) => ComponentChildren }) {
  const id = useId();

  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, "aria-describedby": `${id}-hint`, ...(error ? { "aria-invalid": "true" as const } : {}) })}
      <div id={`${id}-hint`} class={error ? "field-error" : "field-hint"}>{error || hint}</div>
    </div>
  );
}

export function Secret({ value, onInput, autocomplete, autofocus, ...rest }: { value: string; onInput: (text: string) => void; autocomplete: string; autofocus?: boolean } & Record<string, unknown>) {
  const [shown, setShown] = useState(false);
  const ref = useRef<HTMLInputElement>(null);

  useEffect(() => {
    if (autofocus) ref.current?.focus();
  }, []);
  return (
    <div class="secret">
      <input {...rest} {...({ type: shown ? "text" : "password" } as { type: "password" })} ref={ref} class="input" value={value} autocomplete={autocomplete} autocapitalize="off" spellcheck={false}
        maxLength={1024} onInput={(e) => onInput(e.currentTarget.value)} />
      <button type="button" class="secret-eye" aria-pressed={shown} aria-label="Show what is typed" title="Show what is typed" onClick={() => setShown(!shown)}>
        <Icon name="eye" />
      </button>
    </div>
  );
}
