/* A hint about a passphrase while it is typed. The service decides; this only helps to choose a good one. Pure. */

export const PASSPHRASE_MIN = 12;

export interface Strength {
  score: 0 | 1 | 2 | 3 | 4;
  label: string;
  hint: string;
}

const COMMON = ["password", "passphrase", "letmein", "qwerty", "asdf", "welcome", "admin", "secret", "iloveyou", "dragon", "monkey", "abc123", "secai"];

function isRun(a: number, b: number, c: number): boolean {
  return (b - a === c - b && Math.abs(b - a) <= 1) || (a === b && b === c);
}

/* Characters that carry something: those that only continue a run (aaa, 123) or repeat a common word count little. */
function usefulLength(text: string): number {
  let rest = text.toLowerCase();
  let useful = 0;

  for (const word of COMMON) rest = rest.split(word).join("\u0001");
  for (let i = 0; i < rest.length; i++) {
    const run = i >= 2 && isRun(rest.charCodeAt(i - 2), rest.charCodeAt(i - 1), rest.charCodeAt(i));
    useful += run ? 0.2 : 1;
  }
  return Math.min(useful, new Set(rest).size * 2.2);
}

export function strength(text: string): Strength {
  const useful = usefulLength(text);
  const classes = [/[a-z]/, /[A-Z]/, /[0-9]/, /[^a-zA-Z0-9\s]/].filter((r) => r.test(text)).length;
  const words = text.trim().split(/[\s\-_.]+/).filter((w) => w.length > 2).length;
  const points = useful + classes * 1.5 + Math.max(0, words - 1) * 1.5;

  if (text.length === 0) return { score: 0, label: "", hint: `At least ${PASSPHRASE_MIN} characters. Four or five unrelated words are easy to remember and hard to guess.` };
  if (text.length < PASSPHRASE_MIN) {
    const missing = PASSPHRASE_MIN - text.length;
    return { score: 1, label: "Too short", hint: `${missing} more ${missing === 1 ? "character" : "characters"} to go.` };
  }
  if (points < 14) return { score: 1, label: "Weak", hint: "Repeats, runs such as 1234 and well-known words are guessed first. Add an unrelated word or two." };
  if (points < 19) return { score: 2, label: "Fair", hint: "Good enough to start; one more unrelated word makes it strong." };
  if (points < 25) return { score: 3, label: "Strong", hint: "Good. Keep it somewhere safe: nobody can reset it for you." };
  return { score: 4, label: "Very strong", hint: "Excellent. Keep it somewhere safe: nobody can reset it for you." };
}
