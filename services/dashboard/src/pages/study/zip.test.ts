import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { crc32, zip, type ZipEntry } from "./zip";

async function* entriesOf(...entries: ZipEntry[]) {
  yield* entries;
}

async function bytesOf(parts: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const gathered: Uint8Array[] = [];
  for await (const part of parts) gathered.push(part);
  return Buffer.concat(gathered);
}

const READ = "import sys,zipfile;z=zipfile.ZipFile(sys.argv[1]);assert z.testzip() is None;print([(i.filename,z.read(i).decode()) for i in z.infolist()])";

describe("zip", () => {
  it("knows the check value of CRC-32", () => {
    expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
  });

  it("is read and found whole by another program", async () => {
    const folder = mkdtempSync(join(tmpdir(), "zip-"));
    const file = join(folder, "series.zip");
    const text = new TextEncoder();
    writeFileSync(
      file,
      await bytesOf(zip(entriesOf({ name: "1.dcm", data: text.encode("one") }, { name: "ç.dcm", data: text.encode("") }))),
    );

    const read = execFileSync("python3", ["-c", READ, file], { encoding: "utf8" });

    rmSync(folder, { recursive: true });
    expect(read.trim()).toBe("[('1.dcm', 'one'), ('ç.dcm', '')]");
  });

  it("is a valid archive without entries", async () => {
    expect((await bytesOf(zip(entriesOf()))).length).toBe(22);
  });
});
