import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { BlobSizeError, gather, LARGEST_BLOB, ObjectUrls } from "./blobs";

async function* chunks(...parts: number[][]) {
  for (const part of parts) yield { data: new Uint8Array(part) };
}

const named = (sha256: string) => ({ sha256, sizeBytes: 1n, mediaType: "image/png" });

describe("gathering a blob", () => {
  it("joins the chunks and tells how far it has come", async () => {
    const seen: number[] = [];

    const whole = await gather(chunks([1, 2], [3]), 3, (received) => seen.push(received));

    expect([...whole]).toEqual([1, 2, 3]);
    expect(seen).toEqual([2, 3]);
  });

  it.each([1, 4])("refuses 3 bytes where %d were promised", async (size) => {
    await expect(gather(chunks([1, 2, 3]), size)).rejects.toBeInstanceOf(BlobSizeError);
  });

  it("refuses what a browser should not hold before it fetches anything", async () => {
    const stream = { [Symbol.asyncIterator]: vi.fn() };

    await expect(gather(stream, LARGEST_BLOB + 1)).rejects.toBeInstanceOf(BlobSizeError);

    expect(stream[Symbol.asyncIterator]).not.toHaveBeenCalled();
  });
});

describe("object URLs", () => {
  const revoked: string[] = [];

  beforeEach(() => {
    let count = 0;
    vi.spyOn(URL, "createObjectURL").mockImplementation(() => `blob:${(count += 1)}`);
    vi.spyOn(URL, "revokeObjectURL").mockImplementation((url) => void revoked.push(url));
  });

  afterEach(() => {
    vi.restoreAllMocks();
    revoked.length = 0;
  });

  it("fetches a blob once for all who hold it", async () => {
    const fetchBlob = vi.fn(async () => new Uint8Array([1]));
    const urls = new ObjectUrls(fetchBlob);

    const both = await Promise.all([urls.acquire(named("a")), urls.acquire(named("a"))]);

    expect(both).toEqual(["blob:1", "blob:1"]);
    expect(fetchBlob).toHaveBeenCalledTimes(1);
  });

  it("revokes the oldest that nobody holds, and none that is held", async () => {
    const urls = new ObjectUrls(async () => new Uint8Array([1]), 1);
    for (const hash of ["a", "b", "c"]) await urls.acquire(named(hash));

    urls.release(named("b"));
    urls.release(named("c"));
    await Promise.resolve();

    expect(revoked).toEqual(["blob:2"]);
  });

  it("revokes all at the end", async () => {
    const urls = new ObjectUrls(async () => new Uint8Array([1]));
    await urls.acquire(named("a"));

    urls.clear();
    await Promise.resolve();

    expect(revoked).toEqual(["blob:1"]);
  });

  it("tries again after a failure", async () => {
    const fetchBlob = vi.fn().mockRejectedValueOnce(new Error("away")).mockResolvedValueOnce(new Uint8Array([1]));
    const urls = new ObjectUrls(fetchBlob);

    await expect(urls.acquire(named("a"))).rejects.toThrow("away");

    await expect(urls.acquire(named("a"))).resolves.toBe("blob:1");
  });
});
