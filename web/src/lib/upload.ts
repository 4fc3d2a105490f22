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

export function upload(file: File, progress: (loaded: number) => void): UploadHandle {
  const xhr = new XMLHttpRequest();
  const done = new Promise<unknown>((resolve, reject) => {
    xhr.open("PUT", `/api/uploads?name=${encodeURIComponent(file.name)}`);
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
    xhr.send(file);
  });
  return { done, cancel: () => xhr.abort() };
}
