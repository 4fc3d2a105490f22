import assert from "node:assert/strict";
import { test } from "node:test";
import { fromInput, gatherParts, isLeftOut } from "../src/lib/folder";
import { fileParcel, folderParcel } from "../src/lib/upload";

function file(name: string, text: string, path = ""): File {
  return Object.defineProperty(new File([text], name), "webkitRelativePath", { value: path });
}

test("parts of one model that are given side by side become one folder, a part alone stays a file", () => {
  const got = gatherParts([file("m-00001-of-00002.gguf", "a"), file("m-00002-of-00002.gguf", "b"), file("x-00001-of-00003.gguf", "c"), file("y.gguf", "d")]);
  assert.deepEqual(got.folders.map((f) => [f.name, f.files.map((e) => e.path)]), [["m", ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]]]);
  assert.deepEqual(got.files.map((f) => f.name), ["y.gguf", "x-00001-of-00003.gguf"]);
});

test("a chosen folder keeps its paths and leaves out what is no part of a model", () => {
  const got = fromInput([file("config.json", "{}", "sd/unet/config.json"), file("HEAD", "x", "sd/.git/HEAD"), file("model_index.json", "{}", "sd/model_index.json")]);
  assert.deepEqual(got.map((f) => [f.name, f.files.map((e) => e.path)]), [["sd", ["unet/config.json", "model_index.json"]]]);
  assert.equal(isLeftOut("a/.gitattributes"), true);
  assert.equal(isLeftOut("a/git.json"), false);
});

test("a folder goes as one body: list, empty line, contents", async () => {
  const parcel = folderParcel("sd", [{ path: "a.json", file: file("a.json", "{}") }, { path: "b\nc.txt", file: file("b", "hello") }]);
  assert.equal(parcel.folder, true);
  assert.equal(await parcel.body.text(), "secai.folder/1\n2 a.json\n5 b\ufffdc.txt\n\n{}hello");
  assert.equal(fileParcel(file("x.gguf", "GGUF")).name, "x.gguf");
});
