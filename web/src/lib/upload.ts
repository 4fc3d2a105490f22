/* One upload with progress: XMLHttpRequest, because fetch doesn't tell how much has left. */
import { session, sessionLost } from "./api";
import { ApiError, errorFrom } from "./errors";

export interface UploadHandle {
  done: Promise<unknown>;
  cancel: () => void;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export interface Parcel {
  name: string;
  folder: boolean;
  body: Blob;
}

/* A path as it goes into a parcel's list; what can't stand on a line there is refused by the quarantine anyway. */
function lineOf(path: string, size: number): string {
  return `${size} ${path.replace(/[\u0000-\u001f\u007f]/g, "\ufffd")}\n`;
}

/* Files of one folder as one body: a list of sizes and paths, an empty line, and the contents one after the other. The
 * browser reads the files only while they are sent. */
export function folderParcel(name: string, files: readonly { path: string; file: Blob }[]): Parcel {
  const head = `secai.folder/1\n${files.map((f) => lineOf(f.path, f.file.size)).join("")}\n`;

  return { name, folder: true, body: new Blob([head, ...files.map((f) => f.file)]) };
}

export function fileParcel(file: File): Parcel {
  return { name: file.name, folder: false, body: file };
}

export function upload(parcel: Parcel, progress: (loaded: number) => void): UploadHandle {
  const xhr = new XMLHttpRequest();
  const done = new Promise<unknown>((resolve, reject) => {
    xhr.open("PUT", `/api/uploads?name=${encodeURIComponent(parcel.name)}${parcel.folder ? "&folder=1" : ""}`);
    xhr.setRequestHeader("Content-Type", "application/octet-stream");
    xhr.setRequestHeader("X-CSRF-Token", session.value?.csrf ?? "");
    xhr.upload.onprogress = (e) => progress(e.loaded);
    xhr.onload = () => {
      const body = parse(xhr.responseText);
      if (xhr.status >= 200 && xhr.status < 300) {
        resolve(body);
        return;
      }
      if (xhr.status === 401) sessionLost();
      reject(errorFrom(xhr.status, body));
    };
    xhr.onerror = () => reject(new ApiError(0, "upload_broken", ""));
    xhr.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    xhr.send(parcel.body);
  });
  return { done, cancel: () => xhr.abort() };
}
