/* What a person drops or chooses, as single files and as folders. */

export interface FolderFile {
  path: string; /* below the folder, with slashes */
  file: File;
}

export interface Folder {
  name: string;
  files: FolderFile[];
}

export interface Dropped {
  files: File[];
  folders: Folder[];
}

/* What models' folders carry along that is no part of the model. */
const LEFT_OUT = /^(\.git|\.gitattributes|\.gitignore|\.github|\.cache|\.DS_Store|Thumbs\.db|desktop\.ini)$/i;
export const FOLDER_FILES_MAX = 20_000;
const DEPTH_MAX = 32;

export function isLeftOut(path: string): boolean {
  return path.split("/").some((part) => LEFT_OUT.test(part));
}

/* Files of an <input webkitdirectory>: each knows its path with the folder's name in front. */
export function fromInput(files: Iterable<File>): Folder[] {
  const folders = new Map<string, FolderFile[]>();

  for (const file of files) {
    const [top, ...rest] = file.webkitRelativePath.split("/");
    const path = rest.join("/");
    if (!top || path === "" || isLeftOut(path)) continue;
    const list = folders.get(top) ?? [];
    list.push({ path, file });
    folders.set(top, list);
  }
  return [...folders].map(([name, list]) => ({ name, files: list }));
}

const PART = /^(.+)-(\d{5})-of-(\d{5})\.(gguf|safetensors)$/;

/* Parts of one model that are given side by side belong together: "x-00001-of-00003.gguf" and its kin become a folder. */
export function gatherParts(files: Iterable<File>): Dropped {
  const sets = new Map<string, FolderFile[]>();
  const single: File[] = [];

  for (const file of files) {
    const part = PART.exec(file.name);
    if (!part) {
      single.push(file);
      continue;
    }
    const key = `${part[1]}/${part[3]}/${part[4]}`;
    sets.set(key, [...(sets.get(key) ?? []), { path: file.name, file }]);
  }
  const folders: Folder[] = [];
  for (const [key, list] of sets) {
    if (list.length > 1) folders.push({ name: key.split("/")[0] ?? "model", files: list });
    else single.push(...list.map((f) => f.file));
  }
  return { files: single, folders };
}

function entryFile(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

function batch(reader: FileSystemDirectoryReader): Promise<FileSystemEntry[]> {
  return new Promise((resolve, reject) => reader.readEntries(resolve, reject));
}

/* Bounded in depth and number; what lies beyond is an error, not a part left out. */
async function walk(folder: FileSystemDirectoryEntry, path: string, depth: number, into: FolderFile[]): Promise<void> {
  if (depth > DEPTH_MAX) throw new Error(`“${folder.name}” has folders within folders more than ${DEPTH_MAX} deep.`);
  const reader = folder.createReader();
  for (let entries = await batch(reader); entries.length > 0; entries = await batch(reader)) {
    for (const entry of entries) {
      const below = path === "" ? entry.name : `${path}/${entry.name}`;
      if (isLeftOut(below)) continue;
      if (entry.isDirectory) await walk(entry as FileSystemDirectoryEntry, below, depth + 1, into);
      else into.push({ path: below, file: await entryFile(entry as FileSystemFileEntry) });
      if (into.length > FOLDER_FILES_MAX) throw new Error(`“${folder.name}” has more than ${FOLDER_FILES_MAX.toLocaleString("en")} files.`);
    }
  }
}

/* The items of a drop must be asked for at once, before the event is over; what is in folders comes later. */
export async function fromDrop(transfer: DataTransfer): Promise<Dropped> {
  const entries = [...transfer.items].filter((i) => i.kind === "file").map((i) => ({ entry: i.webkitGetAsEntry?.() ?? null, file: i.getAsFile() }));
  const files: File[] = [];
  const folders: Folder[] = [];

  for (const { entry, file } of entries) {
    if (entry?.isDirectory) {
      const list: FolderFile[] = [];
      await walk(entry as FileSystemDirectoryEntry, "", 1, list);
      folders.push({ name: entry.name, files: list });
    } else if (file) files.push(file);
  }
  const parts = gatherParts(files);
  return { files: parts.files, folders: [...folders, ...parts.folders] };
}
