/* Where the page stands, kept in the address after '#': #/chat, #/chat/<id>, #/models, #/status. */
import { computed, signal } from "@preact/signals";

export type Page = "chat" | "models" | "status";

export interface Route {
  page: Page;
  id: string | null;
}

function parse(hash: string): Route {
  const [page, id] = hash.replace(/^#\/?/, "").split("/");

  if (page === "models" || page === "status") return { page, id: null };
  return { page: "chat", id: id && /^[\w-]{1,64}$/.test(id) ? id : null };
}

export const route = signal<Route>(parse(location.hash));
export const page = computed(() => route.value.page);

addEventListener("hashchange", () => {
  route.value = parse(location.hash);
});

export function link(target: Page, id?: string): string {
  return id ? `#/${target}/${id}` : `#/${target}`;
}

export function go(target: Page, id?: string): void {
  location.hash = link(target, id);
}

/* Changes the address without a new step in the history: the conversation got its id. */
export function replace(target: Page, id?: string): void {
  history.replaceState(null, "", link(target, id));
  route.value = parse(location.hash);
}
