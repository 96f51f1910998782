import { expect, test } from "vitest";
import { crc32 } from "../study/zip";
import { sorted, zipBlob } from "./zip-blob";

const FILES = [
  { name: "b/two", file: new File(["second file"], "two") },
  { name: "a/one", file: new File(["first"], "one") },
  { name: "empty", file: new File([], "empty") },
];

test("an archive holds each file whole, with its checksum, in one order", async () => {
  const read: number[] = [];
  const blob = await zipBlob(FILES, (bytes) => read.push(bytes), new AbortController().signal);
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const view = new DataView(bytes.buffer);

  let at = 0;
  for (const { name, file } of sorted(FILES)) {
    const content = new Uint8Array(await file.arrayBuffer());
    expect(view.getUint32(at, true)).toBe(0x04034b50);
    expect(view.getUint32(at + 14, true)).toBe(crc32(content));
    expect(view.getUint32(at + 18, true)).toBe(content.length);
    const start = at + 30 + view.getUint16(at + 26, true);
    expect(new TextDecoder().decode(bytes.slice(at + 30, start))).toBe(name);
    expect(bytes.slice(start, start + content.length)).toEqual(content);
    at = start + content.length;
  }
  expect(view.getUint32(at, true)).toBe(0x02014b50);
  expect(view.getUint16(bytes.length - 12, true)).toBe(3);
  expect(view.getUint32(bytes.length - 6, true)).toBe(at);
  expect(read.at(-1)).toBe(16);
});

test("the same files are the same bytes, in whichever order they were chosen", async () => {
  const { signal } = new AbortController();
  const one = await zipBlob(FILES, () => {}, signal);
  const other = await zipBlob(FILES.toReversed(), () => {}, signal);

  expect(new Uint8Array(await one.arrayBuffer())).toEqual(new Uint8Array(await other.arrayBuffer()));
});

test("reading ends when it is not wanted any more", async () => {
  await expect(zipBlob(FILES, () => {}, AbortSignal.abort())).rejects.toThrow();
});
