import { useState } from "preact/hooks";
import { parseSettings, RANGES, settingsText, type SettingsText } from "../lib/conversation";
import { save, type Chat } from "../state/chat";
import { report } from "../state/notices";
import { Button, Dialog, Field } from "../ui/parts";

const HELP: Record<keyof SettingsText, string> = {
  temperature: "0 is sober and repeatable; higher is more varied.",
  top_p: "Considers only the likeliest words up to this share, 0 to 1.",
  max_tokens: "In tokens; a token is about three quarters of a word.",
  seed: "The same number gives the same answer again.",
};

const FIELDS = ["temperature", "top_p", "max_tokens", "seed"] as const;

export function SettingsDialog({ chat, onClose }: { chat: Chat; onClose: () => void }) {
  const doc = chat.doc.value;
  const [system, setSystem] = useState(doc.system);
  const [text, setText] = useState(settingsText(doc.settings));
  const [tried, setTried] = useState(false);
  const parsed = parseSettings(text);

  const submit = (e: Event) => {
    e.preventDefault();
    setTried(true);
    if (parsed.settings === null) return;
    chat.doc.value = { ...chat.doc.value, system, settings: parsed.settings };
    if (chat.id.value) save(chat).catch(report);
    onClose();
  };
  const reset = () => {
    setSystem("");
    setText(settingsText({}));
  };
  return (
    <Dialog title="Settings of this conversation" onClose={onClose} wide>
      <form onSubmit={submit} noValidate>
        <Field label="System prompt" hint="Tells the model how to behave, for example “Answer in one short sentence.”">
          {(p) => <textarea {...p} class="input" rows={4} value={system} maxLength={20_000} onInput={(e) => setSystem(e.currentTarget.value)} />}
        </Field>
        <div class="field-grid">
          {FIELDS.map((name) => (
            <Field key={name} label={RANGES[name].label} hint={HELP[name]} error={tried && parsed.wrong?.field === name ? parsed.wrong.message : ""}>
              {(p) => <input {...p} class="input" inputMode={RANGES[name].whole ? "numeric" : "decimal"} placeholder="the model’s own" value={text[name]} maxLength={12} onInput={(e) => setText({ ...text, [name]: e.currentTarget.value })} />}
            </Field>
          ))}
        </div>
        <div class="dialog-actions inside">
          <Button look="quiet" onClick={reset}>Reset</Button>
          <span class="grow" />
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary">Use these</Button>
        </div>
      </form>
    </Dialog>
  );
}
