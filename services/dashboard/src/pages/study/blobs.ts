// Bytes of results: fetched in chunks, shown as object URLs that are let go.

/** The part of a BlobRef that names and bounds the bytes. */
export interface BlobName {
  readonly sha256: string;
  readonly sizeBytes: bigint;
  readonly mediaType: string;
}

/** A stream of chunks, as FetchResult and FetchInstance give it. */
export type Chunks = AsyncIterable<{ readonly data: Uint8Array }>;

/** How many bytes have come of how many. */
export type OnProgress = (received: number, total: number) => void;

/** The bytes are more than this page takes, or not as many as promised. */
export class BlobSizeError extends Error {
  override readonly name = "BlobSizeError";
}

/** What a browser should hold of one blob at most. */
export const LARGEST_BLOB = 1024 * 1024 * 1024;

/** Gathers a stream into one array of exactly the promised size. */
export async function gather(chunks: Chunks, size: number, onProgress?: OnProgress): Promise<Uint8Array<ArrayBuffer>> {
  if (!Number.isSafeInteger(size) || size < 0 || size > LARGEST_BLOB) throw new BlobSizeError("too large");
  const whole = new Uint8Array(size);
  let received = 0;
  for await (const { data } of chunks) {
    if (received + data.length > size) throw new BlobSizeError("longer than promised");
    whole.set(data, received);
    received += data.length;
    onProgress?.(received, size);
  }
  if (received !== size) throw new BlobSizeError("shorter than promised");
  return whole;
}

interface Entry {
  readonly url: Promise<string>;
  holders: number;
}

/**
 * Object URLs of small blobs, shared while they are held. The last few that
 * nobody holds are kept; older ones are revoked.
 */
export class ObjectUrls {
  private readonly entries = new Map<string, Entry>();

  constructor(
    private readonly fetchBlob: (name: BlobName) => Promise<Uint8Array<ArrayBuffer>>,
    private readonly keep: number = 48,
  ) {}

  /** The URL of a blob; held until `release` is called once for each `acquire`. */
  acquire(name: BlobName): Promise<string> {
    const known = this.entries.get(name.sha256);
    const entry = known ?? { url: this.load(name), holders: 0 };
    entry.holders += 1;
    this.entries.delete(name.sha256);
    this.entries.set(name.sha256, entry);
    return entry.url;
  }

  /** Lets go of a blob. */
  release(name: BlobName): void {
    const entry = this.entries.get(name.sha256);
    if (!entry) return;
    entry.holders = Math.max(0, entry.holders - 1);
    this.evict();
  }

  /** Revokes everything. */
  clear(): void {
    for (const entry of this.entries.values()) revoke(entry);
    this.entries.clear();
  }

  private async load(name: BlobName): Promise<string> {
    try {
      return URL.createObjectURL(new Blob([await this.fetchBlob(name)], { type: name.mediaType }));
    } catch (error) {
      this.entries.delete(name.sha256);
      throw error;
    }
  }

  private evict(): void {
    let spare = [...this.entries.values()].filter((entry) => entry.holders === 0).length - this.keep;
    for (const [hash, entry] of this.entries) {
      if (spare <= 0) return;
      if (entry.holders > 0) continue;
      this.entries.delete(hash);
      revoke(entry);
      spare -= 1;
    }
  }
}

function revoke(entry: Entry): void {
  entry.url.then(
    (url) => URL.revokeObjectURL(url),
    () => undefined,
  );
}
